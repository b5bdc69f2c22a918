"""DNA-GPT's k-mer tokenizer, a pure rule."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import TokenizerError, check_k, file_fields

_RESERVED = [f"<{letter}>" for letter in "0123456789+-*/=&|!MBPRIKLOQSUVWYXZ"]
_ALPHABET = "NAGCT"  # the order of the digits
_PREFIX = "<R>"
_UNKNOWN = 0


@dataclass(frozen=True)
class DnaGptTokenizer:
    """Chunks of k letters from the left behind `<R>`, with reserved tokens in brackets.

    Text is split at `<` and `>`. A part whose bracketed form is a reserved token becomes it, so
    a record of the one letter R is read as `<R>`; others are cut into chunks, the last of which
    may be shorter: a token where the vocabulary is dynamic, unknown where not.
    """

    ids: Mapping[str, int]
    k: int
    pad_id: int
    specials: int = 1
    known_letters: str = _ALPHABET

    @property
    def vocab_size(self) -> int:
        """The largest id plus one; see `Tokenizer.vocab_size`."""
        return max(self.ids.values()) + 1

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut on the right; see `Tokenizer.encode`."""
        encoded = []
        for sequence in sequences:
            ids = [self.ids[_PREFIX]]
            for part in filter(None, re.split("[<>]", sequence)):
                ids += self._part(part)
            while ids[-1] == self.pad_id:  # the record P, which the original masks as padding
                ids.pop()
            encoded.append(np.array(ids[:max_tokens], np.int32))
        return encoded

    def _part(self, part: str) -> list[int]:
        if f"<{part}>" in self.ids:
            return [self.ids[f"<{part}>"]]
        chunks = (part[i : i + self.k] for i in range(0, len(part), self.k))
        return [self.ids.get(chunk, _UNKNOWN) for chunk in chunks]


def dna_gpt_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> DnaGptTokenizer:
    """Builds the tokenizer.

    Args:
        folder: The checkpoint's folder; `tokenizer` of its config.json wins over the options.
        options: `k`, and `dynamic_kmer`: whether shorter chunks are tokens too.

    Raises:
        TokenizerError: config.json cannot be read, or states another kind of value.
    """
    if folder is not None and (folder / "config.json").is_file():
        path = folder / "config.json"
        stated = file_fields(path).get("tokenizer", {})
        if not isinstance(stated, dict):
            raise TokenizerError(f"{path}: tokenizer is a {type(stated).__name__}, not an object")
        options = {**options, **stated}
        check_k(path, options["k"])
        if not isinstance(options["dynamic_kmer"], bool):
            raise TokenizerError(f"{path}: dynamic_kmer of tokenizer is neither true nor false")
    k = options["k"]
    sizes = range(1, k + 1) if options["dynamic_kmer"] else (k,)
    kmers = ("".join(m) for size in sizes for m in itertools.product(_ALPHABET, repeat=size))
    ids = {token: i for i, token in enumerate([*_RESERVED, *kmers])}
    return DnaGptTokenizer(ids, k, ids["<P>"])
