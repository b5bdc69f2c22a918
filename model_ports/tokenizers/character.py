"""One id a character, or none, by a table that the catalog states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class CharacterTokenizer:
    """One id a character; nothing is merged or folded, and dropped characters have none."""

    table: np.ndarray  # int32 [256], by Latin-1 code; -1 for dropped characters
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad_id: int
    known_letters: str  # see `Tokenizer.known_letters`

    @property
    def vocab_size(self) -> int:
        """The largest id plus one; see `Tokenizer.vocab_size`."""
        return max(*self.table.tolist(), *self.prefix, *self.suffix) + 1

    @property
    def specials(self) -> int:
        """The length of prefix and suffix; see `Tokenizer.specials`."""
        return len(self.prefix) + len(self.suffix)

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut before the suffix; see `Tokenizer.encode`."""
        limit = None if max_tokens is None else max_tokens - self.specials
        dropping, encoded = bool((self.table < 0).any()), []
        for sequence in sequences:
            # A character beyond Latin-1 becomes '?', which no table knows.
            kept = sequence if dropping else sequence[:limit]
            ids = self.table[np.frombuffer(kept.encode("latin-1", "replace"), np.uint8)]
            ids = ids[ids >= 0][:limit] if dropping else ids
            encoded.append(np.concatenate([self.prefix, ids, self.suffix]))
        return [ids.astype(np.int32) for ids in encoded]


def character_tokenizer(_: Path | None, options: Mapping[str, Any]) -> CharacterTokenizer:
    """Builds the tokenizer from the catalog alone.

    Args:
        options: `letters` maps strings of characters to the id that each has, `unknown` is the
            id of all others, `pad` that of padding; optionally `prefix` and `suffix`, lists of
            ids around the record, and `dropped`, characters without an id.
    """
    table = np.full(256, options["unknown"], np.int32)
    table[list(options.get("dropped", "").encode("latin-1"))] = -1
    for letters, token in options["letters"].items():
        table[list(letters.encode("latin-1"))] = token
    return CharacterTokenizer(
        table,
        tuple(options.get("prefix", ())),
        tuple(options.get("suffix", ())),
        options["pad"],
        "".join(options["letters"]),
    )
