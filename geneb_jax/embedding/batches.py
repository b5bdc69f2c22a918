"""Static shapes: the ladder of padded lengths of a model, and records assigned to batches."""

import bisect
import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from model_ports.port import Port
from model_ports.running.records import padded_length

_SMALLEST_BUCKET = 16
_STEPS_PER_OCTAVE = 4
_STEP = 8
# Models whose tokenizer is not in the table of lengths have twice as many shapes.
_FINE_STEPS_PER_OCTAVE = 8
_FINE_STEP = 4
# The benchmark's records are padded by less than this; few more shapes are compiled for it.
_PADDING_SHARE = 0.04
_UNLIMITED = 2**17
_TYPICAL_LENGTH = 64  # of models whose benchmark lengths are not known
_MORE_COMPUTED = 0.1  # of computed tokens, for which batches of the preferred size are taken


@dataclass(frozen=True)
class Batch:
    """Records that run through the model together.

    Attributes:
        rows: Indices of the records.
        length: Padded length L.
        size: Padded number of rows B, at least `len(rows)`.
    """

    rows: tuple[int, ...]
    length: int
    size: int


@functools.cache
def benchmark_lengths(model_id: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns token lengths of the benchmark's records under a model's tokenizer, not truncated.

    The table counts every eighth distinct record of 52 of GENEB's tasks.

    Returns:
        Distinct lengths, rising, and how many records have each, int64 [n] both; None for a
        model whose tokenizer was not counted.
    """
    text = (resources.files("geneb_jax") / "data" / "token_lengths.json").read_text("utf-8")
    for row in json.loads(text):
        if model_id in row["models"]:
            return np.array(row["tokens"]), np.array(row["records"])
    return None


def bucket_lengths(limit: int, steps: int = _STEPS_PER_OCTAVE, finest: int = _STEP) -> list[int]:
    """Returns padded lengths from 16 to `limit`: `steps` an octave, none finer than `finest`."""
    ladder = [_SMALLEST_BUCKET]
    while ladder[-1] < limit:
        octave = 2 ** (ladder[-1].bit_length() - 1)
        ladder.append(ladder[-1] + max(finest, octave // steps))
    return [min(length, limit) for length in ladder]


@functools.cache
def model_ladder(model_id: str, limit: int) -> list[int]:
    """Returns the fixed ladder of a model's padded lengths.

    To the ladder of `bucket_lengths` come the lengths that save the most padding on the
    benchmark's records, one at a time, until less than 4 % of all computed tokens are padding.
    It depends on its arguments alone, so that the programs of one run serve the next.
    """
    table = benchmark_lengths(model_id)
    if table is None:
        return bucket_lengths(limit, _FINE_STEPS_PER_OCTAVE, _FINE_STEP)
    lengths, inverse = np.unique(np.minimum(table[0], limit), return_inverse=True)
    records = np.bincount(inverse, table[1]).astype(np.int64)
    ladder = bucket_lengths(limit)
    while True:
        # An edge at a length saves padding to all records between the edge below and it.
        edges = np.array([0, *ladder])
        above = np.searchsorted(edges, lengths)
        padding = edges[above] - lengths
        if padding @ records < _PADDING_SHARE * (edges[above] @ records):
            return ladder
        counted = np.cumsum(records)
        first = np.searchsorted(lengths, edges[above - 1], side="right")
        below = counted - np.where(first > 0, counted[first - 1], 0)
        ladder = sorted({*ladder, int(lengths[np.argmax(below * padding)])})


def ladder_of(port: Port, longest: int) -> list[int]:
    """Returns the model's ladder; of a model without a limit, one that holds `longest` tokens."""
    limit = port.preset.max_tokens or port.config.max_tokens
    limit = limit or max(_UNLIMITED, 1 << longest.bit_length())
    ladder = model_ladder(port.entry.id, limit)
    return sorted({padded_length(port, step) for step in ladder}) if bucketed(port) else ladder


def bucketed(port: Port) -> bool:
    """Says whether padding changes no embedding, so that records of many lengths share a shape."""
    return port.preset.batching in ("masked", "causal")


def typical_length(port: Port) -> int:
    """Returns the padded length in which most of the benchmark's tokens are computed."""
    table = benchmark_lengths(port.entry.id)
    if table is None:
        return _TYPICAL_LENGTH
    ladder = np.array(ladder_of(port, 1))
    lengths = np.minimum(table[0], ladder[-1])
    records = np.bincount(np.searchsorted(ladder, lengths), table[1], len(ladder))
    return int(ladder[np.argmax(ladder * records)])


def batch_size(length: int, batch_tokens: int, shards: int = 1) -> int:
    """Returns the rows of a batch of a padded length over all shards; at least one each."""
    return shards * max(1, batch_tokens // max(length, 1))


def plan_batches(
    port: Port, lengths: Sequence[int], sizes: Sequence[int], shards: int = 1
) -> list[Batch]:
    """Assigns records to batches of static shape by their token lengths.

    Of the sizes the first is taken that computes few tokens more than the best. Of records that may
    be bucketed those that do not fill a batch of their own padded length fill up the batches of the
    next longer ones, so that only the last batch has empty rows.

    Args:
        port: Says whether records may be bucketed.
        lengths: Token length of each record.
        sizes: Tokens that a batch may have on one device, padding included; the preferred first.
        shards: Devices over which the rows of a batch are spread.

    Returns:
        Batches of one padded length, then those of the rest; the longest first in both.
    """
    plans = [_plan(port, lengths, size, shards) for size in sizes]
    computed = [sum(batch.size * batch.length for batch in plan) for plan in plans]
    most = min(computed) * (1 + _MORE_COMPUTED)
    return next(plan for plan, tokens in zip(plans, computed, strict=True) if tokens <= most)


def _plan(port: Port, lengths: Sequence[int], batch_tokens: int, shards: int) -> list[Batch]:
    """Returns the batches of `plan_batches` for one size."""
    if bucketed(port):
        ladder = ladder_of(port, max(lengths, default=1))
        padded = [ladder[bisect.bisect_left(ladder, length)] for length in lengths]
    else:
        padded = [padded_length(port, length) for length in lengths]
    rows_of: dict[int, list[int]] = {}
    for row, length in enumerate(padded):
        rows_of.setdefault(length, []).append(row)
    whole, rests = [], []
    for length, rows in sorted(rows_of.items(), reverse=True):
        rest = len(rows) % batch_size(length, batch_tokens, shards)
        whole.append(rows[: len(rows) - rest])
        rests.append(rows[len(rows) - rest :])
    if bucketed(port):
        rests = [list(itertools.chain(*rests))]
    return [
        batch
        for rows in itertools.chain(whole, rests)
        for batch in _in_turn(rows, padded, batch_tokens, shards)
    ]


def _in_turn(
    rows: Sequence[int], padded: Sequence[int], batch_tokens: int, shards: int
) -> Iterator[Batch]:
    """Yields batches of rows that stand the longest first, each of its first row's length."""
    start = 0
    while start < len(rows):
        length = padded[rows[start]]
        size = batch_size(length, batch_tokens, shards)
        yield Batch(tuple(rows[start : start + size]), length, size)
        start += size
