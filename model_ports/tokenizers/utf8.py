"""One id a UTF-8 byte, its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Utf8Tokenizer:
    """Bytes as they are; no special tokens."""

    pad_id: int
    vocab_size: int = 256
    specials: int = 0

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """See `Tokenizer.encode`; cut on the right."""
        encoded = (sequence.encode()[:max_tokens] for sequence in sequences)
        return [np.frombuffer(code, np.uint8).astype(np.int32) for code in encoded]


def utf8_tokenizer(_: Path | None, options: Mapping[str, Any]) -> Utf8Tokenizer:
    """Builds the tokenizer; the option `pad` is the id of padding."""
    return Utf8Tokenizer(options["pad"])
