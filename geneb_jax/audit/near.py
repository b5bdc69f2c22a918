"""Near copies: records of which one train record holds much.

Every record is compared by the share of its distinct canonical 11-mers that one train record holds.
One letter that differs in the middle of 41 bp halves that share, so a record below 100 bp is also
compared by its edit distance, on either strand. Neither serves for both: a window that is shifted
by three of 40 bp holds nine tenths of the 11-mers, and is six edits away.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

from geneb_jax.audit.records import Records, canonical_kmers

K = 11
SHORT = 100  # letters below which records are compared by edit distance too
EDITS = 0.1  # of such a record's letters that may be edited in a near copy
_BLOCK_KMERS = 2**21  # of train records at once
_BLOCK_PAIRS = 2**21  # pairs of a record and a train record at once
_CACHED = 2**15  # pairs whose distances are computed at once


class Nearest(NamedTuple):
    """The train record that is nearest to each of M records.

    Attributes:
        row: Its number, int64 [M]: within the edits of a near copy that with the fewest, else that
            with the largest share; of equal ones the smallest. -1: there is none.
        share: The largest share of the record's distinct canonical 11-mers that one train record
            holds, float64 [M]; 0 where it is below the least that was looked for.
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

    def split(self, count: int) -> "tuple[Nearest, Nearest]":
        """Returns what was found of the first records, and of the others."""
        first, others = zip(*(np.split(values, [count]) for values in self), strict=True)
        return Nearest(*first), Nearest(*others)


def nearest(
    records: Records, train: Records, least: float, without: np.ndarray | None = None
) -> Nearest:
    """Finds the train record that is nearest to each of M records.

    Args:
        records: The M records.
        train: The N train records.
        least: The share of 11-mers from which on train records are looked for.
        without: The train record that does not count for each record, int64 [M], as of a record of
            train itself; None: all count.
    """
    without = np.full(len(records), -1) if without is None else without
    row, share, empty = _most_shared(records, train, without, least)
    short = np.flatnonzero(records.lengths < SHORT)
    close = _fewest_edits(records.rows(short), train, without[short])
    edited = np.zeros(len(records), bool)
    edited[short] = close >= 0
    row[edited] = close[close >= 0]
    return Nearest(row, share, edited, empty)


def _distinct_kmers(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct canonical 11-mers of each record, those of one behind another's.

    Returns:
        Where those of each record begin, int64 [N + 1], and their numbers, int32.
    """
    record, number = canonical_kmers(records, K)
    order = np.sort(record.astype(np.int64) << (2 * K) | number)
    order = order[np.append(order[:-1] != order[1:], True)[: len(order)]]  # each once
    starts = np.searchsorted(order, np.arange(len(records) + 1, dtype=np.int64) << (2 * K))
    return starts, (order & (4**K - 1)).astype(np.int32)


def _most_shared(
    records: Records, train: Records, without: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of each record the train record with most of its 11-mers, their share, and if none.

    The 11-mers of a block of train are listed by number. The lists of a record's 11-mers, one
    behind the other, name a train record as often as it holds one of them: they are sorted and
    counted, those of so many records at once that they stay small.
    """
    row, most = np.full(len(records), -1, np.int64), np.zeros(len(records), np.int64)
    if not len(records):
        return row, most.astype(np.float64), most == 0
    of_blocks = [(chosen, *_distinct_kmers(records.part(chosen))) for chosen in records.blocks()]
    # Of train those 11-mers count that a record holds: these are the columns.
    asked = np.zeros(4**K, bool)
    for _, _, numbers in of_blocks:
        asked[numbers] = True
    count = int(asked.sum())
    column = np.full(4**K, -1, np.int32)
    column[np.flatnonzero(asked)] = np.arange(count, dtype=np.int32)
    parts = [(chosen, starts, np.take(column, numbers)) for chosen, starts, numbers in of_blocks]
    distinct = np.concatenate([np.diff(starts) for _, starts, _ in parts])
    needed = np.maximum(np.ceil(least * distinct - 1e-9), 1).astype(np.int64)
    for block in train.blocks(_BLOCK_KMERS):
        lists, size = _lists_of_records(train.part(block), column, count), block.stop - block.start
        for chosen, starts, columns in parts:
            others = without[chosen] - block.start
            best, shared = _most_listed(lists, size, starts, columns, needed[chosen], others)
            better = shared > most[chosen]
            most[chosen][better] = shared[better]
            row[chosen][better] = best[better] + block.start
    return row, most / np.maximum(distinct, 1), distinct == 0


def _lists_of_records(train: Records, column: np.ndarray, count: int) -> scipy.sparse.csr_array:
    """Returns which of N train records hold each of the C 11-mers that are asked for.

    Args:
        train: The N train records.
        column: The row of the result that an 11-mer has, int32 [4 ** K]; -1: it is not asked for.
        count: C.

    Returns:
        True where a record holds an 11-mer, bool [C, N]; its indices rise in each row.
    """
    record, number = canonical_kmers(train, K)
    columns = np.take(column, number)
    kept = np.flatnonzero(columns >= 0)
    record, columns = np.take(record, kept), np.take(columns, kept)
    starts = np.searchsorted(record, np.arange(len(train) + 1, dtype=np.int32)).astype(np.int32)
    held = np.ones(len(columns), bool), columns, starts
    lists = scipy.sparse.csr_array(held, (len(train), count)).T.tocsr()
    lists.sum_duplicates()
    return lists


def _most_listed(
    lists: scipy.sparse.csr_array,
    size: int,
    starts: np.ndarray,
    columns: np.ndarray,
    needed: np.ndarray,
    without: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each record the train record in most lists of its 11-mers, and in how many.

    Args:
        lists: See `_lists_of_records`.
        size: Of how many records they are.
        starts: Where the 11-mers of each record begin in `columns`, int64 [n + 1].
        columns: The lists of these 11-mers, int32.
        needed: See `_most_frequent`, which makes the result.
        without: See there.
    """
    per_kmer = np.take(np.diff(lists.indptr), columns)
    work = np.diff(np.append(0, np.cumsum(per_kmer, dtype=np.int64))[starts])
    best, most = np.zeros(len(needed), np.int64), np.zeros(len(needed), np.int64)
    for part in _shares_of_work(work):
        of_part = slice(starts[part.start], starts[part.stop])
        dtype = np.int32 if (part.stop - part.start) * size < 2**31 else np.int64
        pairs = np.repeat(np.arange(part.stop - part.start, dtype=dtype) * size, work[part])
        pairs += lists[columns[of_part]].indices
        best[part], most[part] = _most_frequent(pairs, size, needed[part], without[part])
    return best, most


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the numbers first[i] .. first[i] + counts[i] - 1 for each i, one behind another."""
    before = np.cumsum(counts) - counts
    numbers = np.repeat(first - before, counts)
    numbers += np.arange(len(numbers))
    return numbers


def _most_frequent(
    pairs: np.ndarray, size: int, needed: np.ndarray, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each record the train record that it is paired with most often, and how often.

    Args:
        pairs: Numbers record * size + train record, in any order.
        size: How many train records there are.
        needed: How often is enough for each record, int64 [n].
        without: The train record that does not count, int64 [n].

    Returns:
        The train record, of several the first, and how often; 0 where none is often enough.
    """
    pairs = np.sort(pairs)
    ends = np.flatnonzero(np.append(pairs[1:] != pairs[:-1], True)[: len(pairs)])
    counts = np.diff(ends, prepend=-1)
    enough = counts >= needed.min()
    counts = counts[enough]
    record, row = np.divmod(pairs[ends[enough]].astype(np.int64), size)
    enough = (counts >= needed[record]) & (row != without[record])
    # The largest count, and of equal ones the first row: one number to be compared.
    best = np.full(len(needed), size - 1)
    np.maximum.at(best, record[enough], (counts * size + size - 1 - row)[enough])
    most, row = np.divmod(best, size)
    return size - 1 - row, most


def _shares_of_work(work: np.ndarray) -> Iterator[slice]:
    """Yields slices of records of about `_BLOCK_PAIRS` multiplications each."""
    numbers = np.cumsum(work) // _BLOCK_PAIRS
    ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(work)]
    yield from (slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if a < b)


def _fewest_edits(records: Records, train: Records, without: np.ndarray) -> np.ndarray:
    """Returns of each short record the train record within `EDITS` with the fewest; -1: none."""
    best = np.full(len(records), np.iinfo(np.int64).max)
    allowed = (EDITS * records.lengths + 1e-9).astype(np.int64)
    for most in np.unique(allowed).tolist():
        rows = np.flatnonzero(allowed == most)
        low, high = records.lengths[rows].min() - most, records.lengths[rows].max() + most
        theirs = np.flatnonzero((train.lengths >= low) & (train.lengths <= high))
        if not len(theirs):
            continue
        short, forward = _texts(records, rows, 5), _texts(train, theirs, 6)
        for strand in (forward, _turned(forward)):
            for i, j in _candidates(short, strand, most):
                distance = _distances(short.rows(i), strand.rows(j), most)
                near = (distance <= most) & (theirs[j] != without[rows[i]])
                # The fewest edits first, then the smallest row.
                rank = distance[near] * len(train) + theirs[j][near]
                np.minimum.at(best, rows[i][near], rank)
    return np.where(best < np.iinfo(np.int64).max, best % max(len(train), 1), -1)


class _Texts(NamedTuple):
    """The letters of n records.

    Attributes:
        letters: uint8 [n, width], padded with a letter of no record.
        lengths: int64 [n].
        pairs: Counts of dinucleotides AA, AC .. TT, int8 [n, 16].
    """

    letters: np.ndarray
    lengths: np.ndarray
    pairs: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Texts":
        return _Texts(*(values[chosen] for values in self))


def _texts(records: Records, rows: np.ndarray, letter: int) -> _Texts:
    """Returns records below 128 letters by their numbers, padded with a letter."""
    lengths = records.lengths[rows]
    letters = np.full((len(rows), int(lengths.max())), letter, np.uint8)
    for length in np.unique(lengths).tolist():
        of_length = lengths == length
        where = records.starts[rows[of_length]]
        for column in range(length):
            letters[of_length, column] = records.codes[where + column]
    return _Texts(letters, lengths, records.compositions[rows, 4:].astype(np.int8))


def _turned(texts: _Texts) -> _Texts:
    """Returns the other strand of each record."""
    letters = texts.letters.copy()
    for length in np.unique(texts.lengths).tolist():
        of_length = texts.lengths == length
        turned = letters[of_length, :length][:, ::-1]
        letters[of_length, :length] = np.where(turned < 4, 3 - turned, turned)
    pairs = texts.pairs.reshape(-1, 4, 4)[:, ::-1, ::-1].transpose(0, 2, 1).reshape(-1, 16)
    return _Texts(letters, texts.lengths, pairs)


def _candidates(a: _Texts, b: _Texts, edits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of rows of a and b, among which are all within some edits.

    A record of a is cut into edits + 1 pieces. Of two records within so many edits, there is a
    piece i, from 0, that is whole in b, with at most i edits before it and edits - i behind it (Li,
    Deng, Wang & Feng 2011, Pass-Join): it is looked for at these shifts alone.
    """
    least, most = (int(extreme(b.lengths)) for extreme in (np.min, np.max))
    # By where a piece begins in b, and its size: the rows of a, where it begins there, its number.
    looked_for: dict[tuple[int, int], list[tuple[np.ndarray, int, int]]] = {}
    for length in np.unique(a.lengths).tolist():
        rows = np.flatnonzero(a.lengths == length)
        borders = (np.arange(edits + 2) * length // (edits + 1)).tolist()
        for i, (first, end) in enumerate(itertools.pairwise(borders)):
            low = max(-i, least - length - (edits - i), -first)
            high = min(i, most - length + edits - i, most - end)
            for shift in range(low, high + 1):
                key = first + shift, end - first
                looked_for.setdefault(key, []).append((rows, first, i))
    found, count = [], 0
    for (start, size), pieces in looked_for.items():
        theirs = _numbered(b.letters[:, start : start + size], np.arange(len(b.lengths)))
        for rows, first, piece in pieces:
            ours = _numbered(a.letters[rows, first : first + size], rows)
            for i, j in _equal_numbers(ours, theirs):
                behind = b.lengths[j] - a.lengths[i] - (start - first)
                kept = np.abs(behind) <= edits - piece
                found.append(i[kept] * len(b.lengths) + j[kept])
                count += len(found[-1])
                if count > _BLOCK_PAIRS:
                    yield from _likely_pairs(found, a, b, edits)
                    found, count = [], 0
    yield from _likely_pairs(found, a, b, edits)


def _likely_pairs(
    found: Sequence[np.ndarray], a: _Texts, b: _Texts, edits: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields each pair i * len(b) + j once, as i and j, if dinucleotides allow so few edits.

    An edit takes at most two of them away and puts at most two there, so that counts differ by four
    at most. The pairs come so many at once as fit a processor's cache.
    """
    pairs = np.sort(np.concatenate([np.zeros(0, np.int64), *found]))
    pairs = pairs[np.append(pairs[:-1] != pairs[1:], True)[: len(pairs)]]
    i, j = np.divmod(pairs, max(len(b.lengths), 1))
    likely = np.empty(len(i), bool)
    for first in range(0, len(i), _CACHED):
        part = slice(first, first + _CACHED)
        differing = np.abs(np.take(a.pairs, i[part], axis=0) - np.take(b.pairs, j[part], axis=0))
        likely[part] = np.einsum("ij->i", differing, dtype=np.int16) <= 4 * edits
    i, j = i[likely], j[likely]
    for first in range(0, len(i), _CACHED):
        yield i[first : first + _CACHED], j[first : first + _CACHED]


def _numbered(letters: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the numbers of some letters and of their rows together, in rising order.

    Args:
        letters: Letters below 8, uint8 [n, size], of which there are at most 10.
        rows: The number of each row, int64 [n], below 2^32.
    """
    factors = 8 ** np.arange(letters.shape[1], dtype=np.int64)
    return np.sort((letters.astype(np.int64) @ factors) << 32 | rows)


def _equal_numbers(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all pairs of rows of a and b that have the same letters, some at once.

    Args:
        a, b: See `_numbered`.
    """
    letters = b >> 32
    heads = np.flatnonzero(np.append(True, letters[1:] != letters[:-1])[: len(b)])
    distinct, sizes = letters[heads], np.diff(heads, append=len(b))
    at = np.minimum(np.searchsorted(distinct, a >> 32), len(distinct) - 1)
    counts = np.where(distinct[at] == a >> 32, sizes[at], 0)
    rows_of_a, rows_of_b = a & (2**32 - 1), b & (2**32 - 1)
    for part in _shares_of_work(counts):
        of_b = rows_of_b[_ranges(heads[at[part]], counts[part])]
        yield np.repeat(rows_of_a[part], counts[part]), of_b


def _distances(a: _Texts, b: _Texts, most: int) -> np.ndarray:
    """Returns edit distances of P pairs of records, int64 [P].

    Distances above `most` come out as some larger number. The usual recurrence (Levenshtein 1966)
    on the diagonals that so few edits can reach, for all pairs at once.

    Args:
        a, b: P records each, whose lengths differ by at most `most`.
        most: At most 20.
    """
    x, y = (np.ascontiguousarray(texts.letters.T) for texts in (a, b))
    count, columns = len(a.lengths), len(y)
    beyond = np.full(count, most + 1, np.int8)
    band = 2 * most + 1
    diagonal = b.lengths - a.lengths + most
    ends = set(a.lengths.tolist())
    found = np.full(count, most + 1, np.int64)
    # now[d] is the distance of the first i letters of a and the first i + d - most of b.
    now = [
        np.full(count, d - most, np.int8) if 0 <= d - most <= columns else beyond
        for d in range(band)
    ]
    for i in range(len(x) + 1):
        if i:
            before, now = now, []
            for d in range(band):
                j = i + d - most
                if j < 0 or j > columns:
                    now.append(beyond)
                    continue
                if j == 0:
                    now.append(np.full(count, min(i, most + 1), np.int8))
                    continue
                best = before[d] + (x[i - 1] != y[j - 1])
                if d + 1 < band:
                    np.minimum(best, before[d + 1] + np.int8(1), out=best)
                if d:
                    np.minimum(best, now[d - 1] + np.int8(1), out=best)
                now.append(best)
        if i in ends:
            done = np.flatnonzero(a.lengths == i)
            found[done] = np.stack(now)[diagonal[done], done]
    return found
