"""GENERator's k-mer tokenizer, with the input that GENEB's extractor hands to it."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import TokenizerError, check_k, file_fields, file_ids

_FRAME = 6  # records are trimmed to its multiples, whatever k is
_BOS = "<s>"
_SPECIALS = 32  # the first ids; DNA never gives one of those without a name here
_NAMED = ("<oov>", _BOS, "</s>", "<pad>", "<mask>")


@dataclass(frozen=True)
class GeneratorTokenizer:
    """One id a k-mer, scanned from the left, behind two BOS tokens.

    The extractor drops the letters beyond a multiple of six and writes `<s>` in front, and the
    tokenizer adds another. A piece is a special token, k upper-case letters, the longest shorter
    run of them, or one other character; what the vocabulary lacks is `<oov>`.
    """

    ids: Mapping[str, int]
    pattern: re.Pattern[str]
    pad_id: int
    specials: int = 2

    @property
    def vocab_size(self) -> int:
        """The largest id plus one; see `Tokenizer.vocab_size`."""
        return max(self.ids.values()) + 1

    @property
    def known_letters(self) -> str:
        """The letters of the k-mers; see `Tokenizer.known_letters`."""
        return "".join(sorted(set("".join(piece for piece in self.ids if piece.isalpha()))))

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut on the right; see `Tokenizer.encode`."""
        find, get, unknown = self.pattern.findall, self.ids.get, self.ids["<oov>"]
        bos, encoded = self.ids[_BOS], []
        for sequence in sequences:
            pieces = find(sequence[: len(sequence) // _FRAME * _FRAME])
            ids = [bos, bos, *(get(piece, unknown) for piece in pieces)]
            encoded.append(np.array(ids[:max_tokens], np.int32))
        return encoded


def generator_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> GeneratorTokenizer:
    """Builds the tokenizer from vocab.txt (lines 'piece id'), or from the vocabulary's rule.

    Args:
        folder: The checkpoint's folder, or None.
        options: `k`, used where the folder has no tokenizer_config.json that states it.

    Raises:
        TokenizerError: A line of vocab.txt is not 'piece id', or a needed piece is missing.
    """
    k = options["k"]
    ids = {token: i for i, token in enumerate(_NAMED)}
    if folder is not None and (folder / "tokenizer_config.json").is_file():
        path = folder / "tokenizer_config.json"
        k = check_k(path, file_fields(path).get("k", k))
    if folder is not None and (folder / "vocab.txt").is_file():
        ids = file_ids(folder / "vocab.txt")
        missing = [token for token in _NAMED if token not in ids]
        if missing:
            raise TokenizerError(f"{folder / 'vocab.txt'}: no {', '.join(missing)}")
    else:
        kmers = map("".join, itertools.product("ATCG", repeat=k))
        ids |= {kmer: _SPECIALS + i for i, kmer in enumerate(kmers)}
    specials = [re.escape(token) for token in ids if token.startswith("<")]
    pieces = rf"{'|'.join(specials)}|[A-Z]{{1,{k}}}|."
    return GeneratorTokenizer(ids, re.compile(pieces, re.DOTALL), ids["<pad>"])
