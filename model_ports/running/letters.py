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


def hold_only(sequences: Sequence[str], letters: str) -> bool:
    """Says whether no record holds another letter; asked of all at once, it takes little time.

    Args:
        sequences: N records.
        letters: ASCII.
    """
    joined = "".join(sequences).encode("utf-8", "surrogatepass")
    return not joined.translate(None, letters.encode())


def unknown_letters(sequences: Sequence[str], known: str, reason: str) -> Unseen:
    """Returns the records that hold other letters than the known ones; there may be none.

    Args:
        sequences: N records.
        known: All letters that are known.
        reason: See `Unseen`.
    """
    if hold_only(sequences, known):
        return Unseen("unknown letters", reason, [])
    find = re.compile(f"[^{re.escape(known)}]").search
    rows = [i for i, sequence in enumerate(sequences) if find(sequence)]
    letters = set[str]().union(*(sequences[i] for i in rows)) - set(known)
    return Unseen("unknown letters", reason, rows, "".join(sorted(letters)))
