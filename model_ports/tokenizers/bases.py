"""Base codes for models that take one-hot input: A, C, G, T are 0 .. 3, all else 4 (no base)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NO_BASE = 4


@dataclass(frozen=True)
class BasesTokenizer:
    """Upper-cased bases, placed in a window of `max_tokens`.

    Attributes:
        table: Code of each byte.
        centred: Records are cut to their centre, or padded on both sides, the odd base on the
            right; otherwise their first bases are kept, and padding is left to the batch.
    """

    table: np.ndarray
    centred: bool
    pad_id: int = NO_BASE

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """See `Tokenizer.encode`; where centred, all have `max_tokens` codes."""
        encoded = []
        for sequence in sequences:
            codes = self.table[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
            if max_tokens is not None and self.centred:
                codes = _centre(codes, max_tokens)
            encoded.append(codes[:max_tokens])
        return encoded


def _centre(codes: np.ndarray, length: int) -> np.ndarray:
    missing = length - len(codes)
    if missing < 0:
        start = -missing // 2
        return codes[start : start + length]
    return np.pad(codes, (missing // 2, missing - missing // 2), constant_values=NO_BASE)


def bases_tokenizer(_: Path | None, options: Mapping[str, Any]) -> BasesTokenizer:
    """Builds the tokenizer; options `centred`, and `uracil`: whether U counts as T."""
    table = np.full(256, NO_BASE, np.int32)
    for code, letter in enumerate("ACGT"):
        table[[ord(letter), ord(letter.lower())]] = code
    if options["uracil"]:
        table[[ord("U"), ord("u")]] = 3
    return BasesTokenizer(table, options["centred"])
