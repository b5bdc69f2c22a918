"""Records whose letters somebody does not know, counted without a model."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Unseen(NamedTuple):
    """Records that a model does not see in full, for one reason.

    Attributes:
        kind: 'unknown letters', 'no token' or 'cut'.
        reason: The end of a sentence about the records, as in 'hold letters that ...'.
        rows: Their indices, rising.
        letters: Of the kind 'unknown letters', which letters these are, sorted; else empty.
    """

    kind: str
    reason: str
    rows: Sequence[int]
    letters: str = ""


def unknown_letters(sequences: Sequence[str], known: str, reason: str) -> Unseen:
    """Returns the records that hold other letters than the known ones; there may be none.

    Args:
        sequences: N records.
        known: All letters that are known.
        reason: See `Unseen`.
    """
    find = re.compile(f"[^{re.escape(known)}]").search
    rows = [i for i, sequence in enumerate(sequences) if find(sequence)]
    letters = set[str]().union(*(sequences[i] for i in rows)) - set(known)
    return Unseen("unknown letters", reason, rows, "".join(sorted(letters)))
