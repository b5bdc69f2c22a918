"""The k-mer tokenizer of the Nucleotide Transformers and Agro-NT (ESM's, over k-mers)."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import TokenizerError, file_text

_BASES = "ATCG"  # the order of the authors' vocabularies
_LEADING = ("<unk>", "<pad>", "<mask>", "<cls>")
_TRAILING = ("<eos>", "<bos>")


@dataclass(frozen=True)
class KmerTokenizer:
    """The longest match over a vocabulary of all k-mers, single letters and special tokens.

    Text is scanned from the left. Only k upper-case A, C, G, T in a row become a k-mer; else a
    single letter is taken, so an N restarts the frame behind it and a tail shorter than k is
    spelled out. A run of characters outside the vocabulary is one `<unk>`, white space is
    nothing, and `<cls>` stands in front (transformers' EsmTokenizer, version 4.32).
    """

    ids: Mapping[str, int]
    pattern: re.Pattern[str]
    pad_id: int
    specials: int = 1
    known_letters: str = f"{_BASES}N"

    @property
    def vocab_size(self) -> int:
        """The largest id that letters can give plus one: special tokens are written in brackets."""
        given = {"<unk>", "<cls>"}
        return max(i for token, i in self.ids.items() if token.isalpha() or token in given) + 1

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut on the right; see `Tokenizer.encode`."""
        find, get = self.pattern.findall, self.ids.get
        unknown, cls = self.ids["<unk>"], self.ids["<cls>"]
        limit = None if max_tokens is None else max_tokens - 1
        encoded = []
        for sequence in sequences:
            pieces = find(sequence)[:limit]
            encoded.append(np.array([cls, *(get(p, unknown) for p in pieces)], np.int32))
        return encoded


def kmer_vocabulary(k: int, layout: str) -> list[str]:
    """Returns the authors' vocabulary by its rule.

    Args:
        k: Length of a k-mer.
        layout: 'eos-bos-first' (v2 models) or 'eos-bos-last': where `<eos>` and `<bos>` stand.
    """
    kmers = ["".join(bases) for bases in itertools.product(_BASES, repeat=k)]
    body = [*kmers, *_BASES, "N"]
    return {
        "eos-bos-first": [*_LEADING, *_TRAILING, *body],
        "eos-bos-last": [*_LEADING, *body, *_TRAILING],
    }[layout]


def kmer_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> KmerTokenizer:
    """Builds the tokenizer from vocab.txt, or from the vocabulary's rule where there is no file.

    Args:
        folder: The checkpoint's folder, or None.
        options: `k` and `layout`, see `kmer_vocabulary`.

    Raises:
        TokenizerError: vocab.txt cannot be read, or lacks a k-mer, a letter or a special token.
    """
    k = options["k"]
    expected = kmer_vocabulary(k, options["layout"])
    vocabulary = expected
    if folder is not None and (folder / "vocab.txt").is_file():
        vocabulary = file_text(folder / "vocab.txt").split()
        missing = set(expected) - set(vocabulary)
        if missing:
            raise TokenizerError(
                f"{folder / 'vocab.txt'}: {len(missing)} entries of a {k}-mer vocabulary are "
                f"missing, such as {min(missing)!r}; take the file of the model's repository"
            )
    specials = "|".join(map(re.escape, sorted({*_LEADING, *_TRAILING})))
    known = rf"{specials}|[ACGT]{{{k}}}|[ACGTN]"
    return KmerTokenizer(
        ids={token: i for i, token in enumerate(vocabulary)},
        pattern=re.compile(rf"{known}|(?:(?!{known})\S)+"),
        pad_id=vocabulary.index("<pad>"),
    )
