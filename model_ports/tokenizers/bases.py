"""Base codes for models that take one-hot input: A, C, G, T are 0 .. 3, all else 4 (no base)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import PRINTABLE

NO_BASE = 4


@dataclass(frozen=True)
class BasesTokenizer:
    """One id a base, upper or lower case.

    Attributes:
        table: Code of each byte.
        centred: Whether records are cut to their centre, instead of to their first bases.
    """

    table: np.ndarray
    centred: bool
    pad_id: int = NO_BASE
    vocab_size: int = NO_BASE + 1
    specials: int = 0

    @property
    def known_letters(self) -> str:
        """The bases and N, which is no base; see `Tokenizer.known_letters`."""
        return "Nn" + "".join(c for c in PRINTABLE if self.table[ord(c)] != NO_BASE)

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the code of each base; see `Tokenizer.encode`."""
        encoded = []
        for sequence in sequences:
            codes = self.table[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
            excess = 0 if max_tokens is None else max(len(codes) - max_tokens, 0)
            start = excess // 2 if self.centred else 0
            encoded.append(codes[start : start + len(codes) - excess])
        return encoded


def bases_tokenizer(_: Path | None, options: Mapping[str, Any]) -> BasesTokenizer:
    """Builds the tokenizer.

    Args:
        _: Not used: the tokenizer needs no file.
        options: `centred`, and `uracil`: whether U counts as T.
    """
    table = np.full(256, NO_BASE, np.int32)
    for code, letter in enumerate("ACGT"):
        table[[ord(letter), ord(letter.lower())]] = code
    if options["uracil"]:
        table[[ord("U"), ord("u")]] = 3
    return BasesTokenizer(table, options["centred"])
