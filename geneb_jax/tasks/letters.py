"""The letters of a sequence: which are refused, which are said, and how they are prepared."""

import re
import string
from collections.abc import Callable, Mapping, Sequence

from geneb_jax.config import Letters
from model_ports.running.letters import hold_only, unknown_letters

# Letters of any alphabet (IUPAC's codes among them), gaps (- and .) and stops (*).
_FORBIDDEN = re.compile(r"[^A-Za-z*.-]")
_FORBIDDEN_IN_FASTA = re.compile(r"[^A-Za-z0-9*.-]")  # EMBL and GenBank number their lines
_MISSING = ("na", "nan", "null", "none")
_USUAL = "ACGTNacgtn"
_TAKEN = string.ascii_letters + "*.-"
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_DNA = _UPPER | str.maketrans("Uu", "TT")
_PREPARED: Mapping[Letters, Callable[[str], str]] = {
    "as-is": lambda sequence: sequence,
    "upper": lambda sequence: sequence.translate(_UPPER),
    "dna": lambda sequence: sequence.translate(_DNA),
}


# IUPAC's complements; W, S and N are their own, and what is no base stays.
_COMPLEMENT = str.maketrans("ACGTURYKMBVDHacgturykmbvdh", "TGCAAYRMKVBHDtgcaayrmkvbhd")


def reverse_complement(sequence: str) -> str:
    """Returns the other strand of a sequence, in DNA's letters and in the case of each letter.

    IUPAC's codes have theirs; letters that are no base, such as gaps, stay as they are.
    """
    return sequence.translate(_COMPLEMENT)[::-1]


def prepare(sequence: str, letters: Letters) -> str:
    """Returns a sequence in the letters that models are given.

    Args:
        sequence: Any text; characters beyond ASCII stay.
        letters: 'as-is', 'upper' (a to A) or 'dna' (a to A, U and u to T).
    """
    return _PREPARED[letters](sequence)


def refusal(sequence: str, *, digits: bool = False) -> str | None:
    """Says what keeps a text from being a sequence, as in 'is empty' or 'holds white space'.

    Args:
        sequence: Any text.
        digits: Whether digits are taken.

    Returns:
        The end of a sentence; None: it is a sequence.
    """
    if not sequence:
        return "is empty"
    found = (_FORBIDDEN_IN_FASTA if digits else _FORBIDDEN).search(sequence)
    if found is None:
        return None
    sign = found.group()
    what = "white space" if sign.isspace() else f"the character {sign!r}"
    return f"holds {what} at position {found.start() + 1}; a sequence is letters alone"


def field_refusal(sequence: str) -> str | None:
    """Says what keeps a field of a table from being a sequence; see `refusal`."""
    if sequence.casefold() in _MISSING:
        return "is what tables write where a value is missing; give the row a sequence or remove it"
    return refusal(sequence)


def all_taken(sequences: Sequence[str]) -> bool:
    """Says whether `field_refusal` takes all of some texts, in a fraction of its time."""
    short = {sequence.casefold() for sequence in sequences if len(sequence) <= 4}
    return all(sequences) and short.isdisjoint(_MISSING) and hold_only(sequences, _TAKEN)


def unusual(
    sequences: Sequence[str], name_of: Callable[[int], str], letters: Letters = "as-is"
) -> str | None:
    """Says how many records hold letters other than A, C, G, T and N, in any case.

    Args:
        sequences: N sequences as a file holds them.
        name_of: Returns what the message calls a record, given by its index from 0.
        letters: How they are prepared; letters that become one of these are not counted.

    Returns:
        A sentence with the count, the first record and the letters; None: no record does.
    """
    reason = "hold letters other than A, C, G, T and N"
    usual = "".join(sign for sign in _TAKEN if prepare(sign, letters) in _USUAL)
    found = unknown_letters(sequences, usual, reason)
    if not found.rows:
        return None
    kept = "the file is read as it is" if letters == "as-is" else f"letters={letters} keeps these"
    return (
        f"{len(found.rows)} of {len(sequences)} records {reason} "
        f"({' '.join(found.letters)}), first {name_of(found.rows[0])}; "
        f"{kept}, and a model may not know them"
    )
