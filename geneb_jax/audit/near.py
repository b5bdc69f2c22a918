"""Near copies: records of which one train record holds much.

Every record is compared by the share of its distinct canonical 11-mers that one train record holds.
One letter that differs in the middle of 41 bp halves that share, so a record below 100 bp is also
compared by its edit distance, on either strand. Neither serves for both: a window that is shifted
by three of 40 bp holds nine tenths of the 11-mers, and is six edits away.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse

from geneb_jax.audit.records import Records, kmers

K = 11
SHORT = 100  # letters below which records are compared by edit distance too
EDITS = 0.1  # of such a record's letters that may be edited in a near copy
_BLOCK_KMERS = 2**21  # of train records at once
_BLOCK_PAIRS = 2**21  # numbers of a product, and pairs of short records, at once


class Nearest(NamedTuple):
    """The train record that is nearest to each of M records.

    Attributes:
        row: Its number, int64 [M]: within the edits of a near copy that with the fewest, else that
            with the largest share; of equal ones the smallest. -1: there is none.
        share: The largest share of the record's distinct canonical 11-mers that one train record
            holds, float64 [M]; 0 where it has none.
        edited: Whether the record is below 100 bp and a train record within the edits of a near
            copy, bool [M].
        empty: Whether the record has no 11-mer, bool [M].
    """

    row: np.ndarray
    share: np.ndarray
    edited: np.ndarray
    empty: np.ndarray

    def near(self, share: float) -> np.ndarray:
        """Returns which records are near copies, of a share of 11-mers from this one on."""
        return self.edited | (self.share >= share)


def nearest(records: Records, train: Records, without: np.ndarray | None = None) -> Nearest:
    """Finds the train record that is nearest to each of M records.

    Args:
        records: The M records.
        train: The N train records.
        without: The train record that does not count for each record, int64 [M], as of a record of
            train itself; None: all count.
    """
    without = np.full(len(records), -1) if without is None else without
    row, share, empty = _most_shared(records, train, without)
    short = np.flatnonzero(records.lengths < SHORT)
    close = _fewest_edits(records.rows(short), train, without[short])
    edited = np.zeros(len(records), bool)
    edited[short] = close >= 0
    row[edited] = close[close >= 0]
    return Nearest(row, share, edited, empty)


def _kmer_matrix(records: Records) -> scipy.sparse.csr_array:
    """Returns which canonical 11-mers each record holds, ones [N, 4 ** 11]."""
    record, number = kmers(records, K, both_strands=True)
    order = np.sort(record.astype(np.int64) << (2 * K) | number)
    order = order[np.append(order[:-1] != order[1:], True)[: len(order)]]  # each once
    starts = np.searchsorted(order, np.arange(len(records) + 1, dtype=np.int64) << (2 * K))
    columns = (order & (4**K - 1)).astype(np.int32)
    ones = np.ones(len(columns), np.int32)
    return scipy.sparse.csr_array(
        (ones, columns, starts.astype(np.int32)), shape=(len(records), 4**K)
    )


def _most_shared(
    records: Records, train: Records, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of each record the train record with most of its 11-mers, their share, and if none.

    Products of the records' 11-mers with those of a block of train; a product is made of so many
    records at once that it stays small.
    """
    row, most = np.full(len(records), -1, np.int64), np.zeros(len(records), np.int64)
    if not len(records):
        return row, most.astype(np.float64), most == 0
    parts = [(chosen, _kmer_matrix(records.part(chosen))) for chosen in records.blocks()]
    for block in train.blocks(_BLOCK_KMERS):
        held = _kmer_matrix(train.part(block)).T.tocsr()
        per_kmer = np.diff(held.indptr)
        for chosen, matrix in parts:
            work = np.add.reduceat(np.append(per_kmer[matrix.indices], 0), matrix.indptr[:-1])
            work[np.diff(matrix.indptr) == 0] = 0
            for part in _shares_of_work(work):
                where = np.arange(chosen.start + part.start, chosen.start + part.stop)
                product = (matrix[part] @ held).tocsr()
                best, count = _row_maxima(product, without[where] - block.start)
                better = count > most[where]
                most[where[better]] = count[better]
                row[where[better]] = best[better] + block.start
    distinct = np.concatenate([np.diff(matrix.indptr) for _, matrix in parts])
    return row, most / np.maximum(distinct, 1), distinct == 0


def _shares_of_work(work: np.ndarray) -> Iterator[slice]:
    """Yields slices of records of about `_BLOCK_PAIRS` multiplications each."""
    numbers = np.cumsum(work) // _BLOCK_PAIRS
    ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(work)]
    yield from (slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if a < b)


def _row_maxima(
    counts: scipy.sparse.csr_array, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each row the first column with the largest entry, and the entry; 0 where none."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    values = np.where(counts.indices == without[rows], 0, counts.data).astype(np.int64)
    # The largest entry, and of equal ones the first column: one number to be compared.
    rank = values * counts.shape[1] + (counts.shape[1] - 1 - counts.indices)
    best = np.full(counts.shape[0], counts.shape[1] - 1, np.int64)
    np.maximum.at(best, rows, rank)
    most, column = np.divmod(best, counts.shape[1])
    return counts.shape[1] - 1 - column, most


def _fewest_edits(records: Records, train: Records, without: np.ndarray) -> np.ndarray:
    """Returns of each short record the train record within `EDITS` with the fewest; -1: none."""
    best = np.full(len(records), np.iinfo(np.int64).max)
    for length in np.unique(records.lengths).tolist():
        rows = np.flatnonzero(records.lengths == length)
        letters = _matrix(records, rows, length)
        edits = int(EDITS * length + 1e-9)
        for other in np.unique(train.lengths).tolist():
            if not length or abs(other - length) > edits:
                continue
            theirs = np.flatnonzero(train.lengths == other)
            candidates = _matrix(train, theirs, other)
            for strand in (candidates, 3 - candidates[:, ::-1]):
                strand[strand > 3] = 4  # 3 - 4, of a letter that has no complement
                for i, j in _candidates(letters, strand, edits):
                    distance = _distances(letters[i], strand[j], edits)
                    near = (distance <= edits) & (theirs[j] != without[rows[i]])
                    # The fewest edits first, then the smallest row.
                    rank = distance[near] * len(train) + theirs[j][near]
                    np.minimum.at(best, rows[i][near], rank)
    return np.where(best < np.iinfo(np.int64).max, best % max(len(train), 1), -1)


def _matrix(records: Records, rows: np.ndarray, length: int) -> np.ndarray:
    """Returns the codes of records of one length, uint8 [n, length]."""
    return records.codes[records.starts[rows][:, None] + np.arange(length)]


def _candidates(
    a: np.ndarray, b: np.ndarray, edits: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of rows of a [n, L] and b [m, L'] among which are all within some edits.

    a is cut into edits + 1 pieces. Of two records within so many edits, there is a piece i, from
    0, that is whole in b, with i edits before it and at most edits - i behind it (Li, Deng, Wang &
    Feng 2011, Pass-Join): it is looked for at these shifts alone.
    """
    length, difference = a.shape[1], b.shape[1] - a.shape[1]
    borders = np.arange(edits + 2) * length // (edits + 1)
    for i in range(edits + 1):
        first, size = int(borders[i]), int(borders[i + 1] - borders[i])
        low = max(-i, difference - (edits - i), -first)
        high = min(i, difference + edits - i, b.shape[1] - first - size)
        for shift in range(low, high + 1):
            pieces = (_numbers(a, first, size), _numbers(b, first + shift, size))
            yield from _equal_pairs(*pieces)


def _numbers(codes: np.ndarray, first: int, size: int) -> np.ndarray:
    """Returns a number for the piece of each row, int64 [n]; pieces have at most 27 letters."""
    return codes[:, first : first + size].astype(np.int64) @ 5 ** np.arange(size, dtype=np.int64)


def _equal_pairs(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all (i, j) with a[i] == b[j], some at once."""
    order = np.argsort(b, kind="stable")
    low, high = (np.searchsorted(b[order], a, side) for side in ("left", "right"))
    counts = high - low
    for part in _shares_of_work(counts):
        of_part = counts[part]
        i = np.repeat(np.arange(part.start, part.stop), of_part)
        step = np.arange(len(i)) - np.repeat(np.cumsum(of_part) - of_part, of_part)
        yield i, order[low[i] + step]


def _distances(a: np.ndarray, b: np.ndarray, most: int) -> np.ndarray:
    """Returns edit distances of the rows of a [P, L] and b [P, L'], int64 [P].

    Distances above `most` come out as some larger number. The usual recurrence (Levenshtein 1966)
    on the diagonals that so few edits can reach, for all pairs at once.

    Args:
        a, b: Letters of P pairs, uint8; lengths differ by at most `most`.
        most: At most 60.
    """
    rows, columns = a.shape[1], b.shape[1]
    a, b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    beyond = np.full(a.shape[1], most + 1, np.int8)
    band = 2 * most + 1
    # before[d] is the distance of the first i letters of a and the first i + d - most of b.
    before = [
        np.full(a.shape[1], d - most, np.int8) if 0 <= d - most <= columns else beyond
        for d in range(band)
    ]
    for i in range(1, rows + 1):
        now: list[np.ndarray] = []
        for d in range(band):
            j = i + d - most
            if j < 0 or j > columns:
                now.append(beyond)
                continue
            if j == 0:
                now.append(np.full(a.shape[1], min(i, most + 1), np.int8))
                continue
            best = before[d] + (a[i - 1] != b[j - 1])
            if d + 1 < band:
                np.minimum(best, before[d + 1] + np.int8(1), out=best)
            if d:
                np.minimum(best, now[d - 1] + np.int8(1), out=best)
            now.append(best)
        before = now
    return before[columns - rows + most].astype(np.int64)
