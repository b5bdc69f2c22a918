"""The embedding engine: every record of a run through a port, once, in a few static shapes."""

import bisect
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from geneb_jax.store import Store, key
from model_ports.port import Port, collate, embedder, padded_length, tokenize

_STEPS_PER_OCTAVE = 4
_SMALLEST_BUCKET = 16
_IN_FLIGHT = 2  # batches handed to the device before a result is fetched
_FLUSH_ROWS = 16384
_FLUSH_SECONDS = 60.0
_BATCH_TOKENS = {"cpu": 2048}  # enough rows to fill the matrix units
_BATCH_TOKENS_ACCELERATOR = 65536


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


def bucket_lengths(limit: int) -> list[int]:
    """The fixed ladder of padded lengths: four steps an octave, multiples of 8 from 16 on.

    It depends on nothing but its arguments, so that other tasks in a run never change the shape
    in which a record is embedded.
    """
    ladder = [_SMALLEST_BUCKET]
    while ladder[-1] < limit:
        octave = 2 ** (ladder[-1].bit_length() - 1)
        ladder.append(ladder[-1] + max(8, octave // _STEPS_PER_OCTAVE))
    return [min(length, limit) for length in ladder]


def plan_batches(port: Port, lengths: Sequence[int], batch_tokens: int) -> list[Batch]:
    """Assigns records to batches of static shape by their token lengths.

    Args:
        port: Says whether records may be bucketed.
        lengths: Token length of each record.
        batch_tokens: Tokens of a batch, padding included.

    Returns:
        Batches, the longest first, so that memory is found short at once or not at all.
    """
    longest = max(lengths, default=0)
    if port.preset.batching in ("masked", "causal"):
        ladder = bucket_lengths(port.preset.max_tokens or _next_power_of_two(longest))
        padded = [ladder[bisect.bisect_left(ladder, length)] for length in lengths]
    else:
        padded = [padded_length(port, length) for length in lengths]
    batches = []
    for length in sorted(set(padded), reverse=True):
        rows = [row for row, other in enumerate(padded) if other == length]
        size = max(1, batch_tokens // max(length, 1))
        for start in range(0, len(rows), size):
            batches.append(Batch(tuple(rows[start : start + size]), length, size))
    return batches


def default_batch_tokens() -> int:
    """Returns the tokens of a batch that suit the default device."""
    return _BATCH_TOKENS.get(jax.default_backend(), _BATCH_TOKENS_ACCELERATOR)


def embed_records(
    port: Port,
    sequences: Sequence[str],
    store: Store,
    batch_tokens: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[bytes]:
    """Embeds the records that the store lacks, each distinct one once.

    Args:
        port: A model whose embedding of a record depends on that record alone.
        sequences: Records.
        store: Takes the embeddings, keyed by the record.
        batch_tokens: Tokens of a batch, padding included.
        advance: Told how many records were done since the last call.

    Returns:
        The store's key of each record.
    """
    keys = [key(sequence) for sequence in sequences]
    missing = dict(zip(keys, sequences, strict=True))
    missing = {k: sequence for k, sequence in missing.items() if k not in store}
    order, encoded = list(missing), tokenize(port, list(missing.values()))
    batches = plan_batches(port, [len(ids) for ids in encoded], batch_tokens)
    _run(port, order, encoded, batches, store, advance)
    return keys


def embed_in_order(
    port: Port,
    sequences: Sequence[str],
    store: Store,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[bytes]:
    """Embeds records in batches of input order, whose padding the model sees.

    Args:
        port: A model with the batching 'input-order'.
        sequences: One split of a task, in the order of its file.
        store: Takes the embeddings, keyed by the batch and the place in it.
        batch_size: Records of a batch of the published run.
        advance: Told how many records were done since the last call.

    Returns:
        The store's key of each record.
    """
    encoded = tokenize(port, sequences)
    keys, batches = [], []
    for start in range(0, len(sequences), batch_size):
        rows = range(start, min(start + batch_size, len(sequences)))
        together = [sequences[row] for row in rows]
        keys += [key(str(place), *together) for place in range(len(rows))]
        if any(keys[row] not in store for row in rows):
            longest = max(len(encoded[row]) for row in rows)
            batches.append(Batch(tuple(rows), longest, batch_size))
    _run(port, keys, encoded, batches, store, advance)
    return keys


def _run(
    port: Port,
    keys: Sequence[bytes],
    encoded: Sequence[np.ndarray],
    batches: Sequence[Batch],
    store: Store,
    advance: Callable[[int], None],
) -> None:
    """Runs the batches and writes their embeddings in chunks."""
    done_keys: list[bytes] = []
    done: list[np.ndarray] = []
    flushed = time.monotonic()
    for batch, vectors in _embed_batches(port, encoded, batches):
        done_keys += [keys[row] for row in batch.rows]
        done.append(vectors)
        advance(len(batch.rows))
        if len(done_keys) >= _FLUSH_ROWS or time.monotonic() - flushed > _FLUSH_SECONDS:
            store.add(done_keys, np.concatenate(done))
            done_keys, done, flushed = [], [], time.monotonic()
    if done:
        store.add(done_keys, np.concatenate(done))


def _embed_batches(
    port: Port, encoded: Sequence[np.ndarray], batches: Sequence[Batch]
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Yields each batch with its float32 [n, D]; the device works while the host collates."""
    embed = embedder(port)
    pending: deque[tuple[Batch, jax.Array]] = deque()
    for batch in batches:
        records = [encoded[row] for row in batch.rows]
        records += records[:1] * (batch.size - len(records))
        pending.append((batch, embed(port.state, collate(port, records, batch.length))))
        if len(pending) > _IN_FLIGHT:
            yield _fetch(*pending.popleft(), port)
    while pending:
        yield _fetch(*pending.popleft(), port)


def _fetch(batch: Batch, vectors: jax.Array, port: Port) -> tuple[Batch, np.ndarray]:
    found = np.asarray(vectors)[: len(batch.rows)]
    if not np.isfinite(found).all():
        raise FloatingPointError(
            f"model '{port.entry.id}': an embedding in a batch of length {batch.length} is not "
            f"finite in {port.dtype}; try dtype float32"
        )
    return batch, found


def _next_power_of_two(number: int) -> int:
    return 1 << max(number - 1, 1).bit_length()
