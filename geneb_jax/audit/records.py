"""Records as numbers: letters, k-mers of both strands, compositions, and keys of equal records."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geneb_jax.tasks.letters import reverse_complement

_OTHER = 4  # the number of a letter that is no base
_CODES = np.full(256, _OTHER, np.uint8)
for _code, _base in enumerate(b"ACGT"):
    _CODES[_base] = _CODES[_base + 32] = _code
_CODES[ord("U")] = _CODES[ord("u")] = 3
_BLOCK_LETTERS = 2**17  # of the records that are worked on at once: their numbers fit in a cache
_BLOCK_RECORDS = 1024  # whose texts are worked on at once


@dataclass(frozen=True)
class Records:
    """Some records as numbers.

    Attributes:
        codes: Their letters one behind the other, uint8: A, C, G, T and U, in any case, are 0, 1,
            2, 3 and 3, all others 4; a 4 stands behind each record.
        starts: Where each record begins in `codes`, int64 [N].
        lengths: Letters of each record, int64 [N].
    """

    codes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        """Returns N."""
        return len(self.starts)

    @functools.cached_property
    def compositions(self) -> np.ndarray:
        """Bases and dinucleotides of each record, int32 [N, 20]: A .. T, then AA, AC .. TT."""
        return _compositions(self)

    def blocks(self, letters: int = _BLOCK_LETTERS) -> Iterator[slice]:
        """Yields the records in turn, in slices of about so many letters."""
        numbers = (self.starts + self.lengths) // letters
        borders = np.flatnonzero(np.diff(numbers)) + 1
        ends = [*borders.tolist(), len(self)]
        yield from (slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if a < b)

    def part(self, chosen: slice) -> "Records":
        """Returns records that stand side by side."""
        starts, lengths = self.starts[chosen], self.lengths[chosen]
        first = starts[0] if len(starts) else 0
        last = starts[-1] + lengths[-1] + 1 if len(starts) else 0
        return Records(self.codes[first:last], starts - first, lengths)

    def rows(self, chosen: np.ndarray) -> "Records":
        """Returns the records of these numbers, int64 [n]."""
        lengths = self.lengths[chosen]
        ends = np.cumsum(lengths + 1)
        starts = ends - lengths - 1
        size = int(ends[-1]) if len(ends) else 0
        offsets = np.repeat(self.starts[chosen] - starts, lengths + 1)
        return Records(self.codes[np.arange(size) + offsets], starts, lengths)


def encode(sequences: Sequence[str]) -> Records:
    """Returns N sequences of any letters as numbers."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    text = "".join(f"{sequence}\n" for sequence in sequences).encode("latin-1", "replace")
    codes = _CODES[np.frombuffer(text, np.uint8)]
    return Records(codes, np.cumsum(lengths + 1) - lengths - 1, lengths)


class _Windows(NamedTuple):
    """All windows of some letters, one beginning at each letter.

    Attributes:
        size: Letters of a window.
        forward: The number of each, the first letter's digit the highest, int32.
        backward: That of its reverse complement.
        broken: Whether it holds a letter that is no base.
    """

    size: int
    forward: np.ndarray
    backward: np.ndarray
    broken: np.ndarray

    def followed_by(self, other: "_Windows") -> "_Windows":
        """Returns the windows of both sizes together."""
        count = max(len(self.broken) - other.size, 0)
        behind = slice(self.size, self.size + count)
        return _Windows(
            self.size + other.size,
            self.forward[:count] << 2 * other.size | other.forward[behind],
            other.backward[behind] << 2 * self.size | self.backward[:count],
            self.broken[:count] | other.broken[behind],
        )


def canonical_kmers(records: Records, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the windows of k bases; windows with another letter are left out.

    A k-mer and its reverse complement are one, with the smaller of their numbers.

    Args:
        records: N records.
        k: 1 to 15.

    Returns:
        The record of each window, in rising order, and its number 0 .. 4 ** k - 1, both int32.
    """
    found = [(_kmers_of_part(records.part(chosen), k), chosen.start) for chosen in records.blocks()]
    none = np.zeros(0, np.int32)
    return (
        np.concatenate([none, *(record + np.int32(first) for (record, _), first in found)]),
        np.concatenate([none, *(number for (_, number), _ in found)]),
    )


def _kmers_of_part(records: Records, k: int) -> tuple[np.ndarray, np.ndarray]:
    base = (records.codes & 3).astype(np.int32)
    one = windows = _Windows(1, base, 3 - base, records.codes == _OTHER)
    for digit in f"{k:b}"[1:]:  # the binary digits of k: twice the size, and one more for a 1
        windows = windows.followed_by(windows)
        windows = windows.followed_by(one) if digit == "1" else windows
    whole = ~windows.broken
    record = np.repeat(np.arange(len(records), dtype=np.int32), records.lengths + 1)
    number = np.minimum(windows.forward, windows.backward)
    return record[: len(whole)][whole], number[whole]


def _compositions(records: Records) -> np.ndarray:
    counts = np.zeros((len(records), 20), np.int32)
    for chosen in records.blocks():
        part = records.part(chosen)
        letters = _OTHER + 1
        # Each letter with that behind it, which is none behind the last.
        pair = part.codes[:-1] * np.uint8(letters) + part.codes[1:]
        cell = np.repeat(np.arange(len(part)) * letters**2, part.lengths + 1)[:-1]
        cell += pair
        pairs = np.bincount(cell, minlength=len(part) * letters**2).reshape(-1, letters, letters)
        counts[chosen, :4] = pairs[:, :4].sum(axis=2)
        counts[chosen, 4:] = pairs[:, :4, :4].reshape(-1, 16)
    return counts


def copy_keys(sequences: Sequence[str]) -> np.ndarray:
    """Returns a number for each record, int64 [N], equal where records are copies.

    Records are copies where their texts are equal, or that of one and the other's reverse
    complement; case does not count, and U is T. The number is Python's hash of a text, which is
    another in each process: of ten million distinct records two have the same with a probability
    of 3e-6.

    Args:
        sequences: N records without line ends.
    """
    keys = np.empty(len(sequences), np.int64)
    for first in range(0, len(keys), _BLOCK_RECORDS):
        # Both strands of many records at once: a call of each method for each takes twice as long.
        block = slice(first, first + _BLOCK_RECORDS)
        given = "\n".join(sequences[block]).upper().replace("U", "T")
        other = reverse_complement(given)  # the last record first
        strands = zip(given.split("\n"), reversed(other.split("\n")), strict=True)
        keys[block] = [hash(min(pair)) for pair in strands]
    return keys
