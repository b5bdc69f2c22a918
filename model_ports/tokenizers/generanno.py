"""GENERanno's tokens: one id a base between two `<s>`, by its vocab.txt where that is there."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from model_ports.tokenizers.base import TokenizerError, file_ids
from model_ports.tokenizers.character import CharacterTokenizer

# The ids that matter of the published vocabulary.
_IDS: Mapping[str, int] = MappingProxyType(
    {"<s>": 1, "<pad>": 3, "A": 32, "C": 33, "G": 34, "N": 37, "T": 40}
)
_BASES = "ACGTN"


def generanno_tokenizer(folder: Path | None, _: Mapping[str, Any]) -> CharacterTokenizer:
    """Builds the tokenizer from vocab.txt (lines 'piece id'), or from the published ids.

    Records are upper-cased, and every letter other than A, C, G and T is N, which the authors'
    tokenizer names as its unknown token. The authors' fine-tuning script writes `<s>` in front and
    behind.

    Args:
        folder: The checkpoint's folder, or None.

    Raises:
        TokenizerError: A line of vocab.txt is not 'piece id', or a needed piece is missing.
    """
    ids = _IDS
    if folder is not None and (folder / "vocab.txt").is_file():
        ids = file_ids(folder / "vocab.txt")
        if missing := [piece for piece in _IDS if piece not in ids]:
            raise TokenizerError(f"{folder / 'vocab.txt'}: no {', '.join(missing)}")
    table = np.full(256, ids["N"], np.int32)
    for base in _BASES:
        table[[ord(base), ord(base.lower())]] = ids[base]
    ends = (ids["<s>"],)
    return CharacterTokenizer(table, ends, ends, ids["<pad>"], _BASES + _BASES.lower())
