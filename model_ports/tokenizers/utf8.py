"""One id a UTF-8 byte, its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import PRINTABLE


@dataclass(frozen=True)
class Utf8Tokenizer:
    """One id a byte; there are no special tokens."""

    pad_id: int
    vocab_size: int = 256
    specials: int = 0
    known_letters: str = PRINTABLE

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the bytes of each record, cut on the right; see `Tokenizer.encode`."""
        encoded = (sequence.encode()[:max_tokens] for sequence in sequences)
        return [np.frombuffer(code, np.uint8).astype(np.int32) for code in encoded]


def utf8_tokenizer(_: Path | None, options: Mapping[str, Any]) -> Utf8Tokenizer:
    """Builds the tokenizer.

    Args:
        _: Not used: the tokenizer needs no file.
        options: `pad`, the id of padding.
    """
    return Utf8Tokenizer(options["pad"])
