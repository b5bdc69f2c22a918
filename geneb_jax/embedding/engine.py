"""The embedding engine: every record of a run through a port, once, in a few static shapes.

    records --tokenize--> ids --plan--> batches --collate, copy--> device --> pooled --> store
    ------- background thread ------   --- background thread ---              -- thread --
                                   `--> shapes --compile--> programs
                                        - a few threads -

The device works on a batch while the host prepares the next ones, compiles what they need, and
writes the last ones.
"""

import functools
import itertools
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from geneb_jax.devices.capacity import out_of_memory
from geneb_jax.devices.flop import matrix_flop
from geneb_jax.devices.memory import live_bytes
from geneb_jax.devices.programs import compile_program, soon, waited, waiting
from geneb_jax.embedding.batches import Batch, plan_batches
from geneb_jax.embedding.store import Store, key
from geneb_jax.embedding.units import Unit, units_of
from model_ports.contract.family import DATA, FINAL, Inputs, View
from model_ports.pooling import POOLINGS
from model_ports.port import Port, Reader
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, tokenize

_IN_FLIGHT = 2  # batches handed to the device before a result is fetched
_AHEAD = 3  # batches that wait on the device for their turn
_FLUSH_ROWS = 16384
_FLUSH_SECONDS = 60.0
_JOIN_SECONDS = 2.0  # what a thread has begun, such as tokenizing, may go on without anybody
_LETTERS = 40  # of a record that an error shows

Advance = Callable[[int], None]  # told how many records were done since the last call
T = TypeVar("T")


class NotFiniteError(FloatingPointError):
    """A model gave an embedding with a NaN or an infinity.

    Attributes:
        sequence: The record.
        dtype: The precision it was computed in.
    """

    def __init__(self, model: str, sequence: str, dtype: str) -> None:
        """Names the model and the record by its first letters and its length."""
        shown = sequence if len(sequence) <= _LETTERS else f"{sequence[:_LETTERS]}..."
        super().__init__(
            f"model '{model}': the embedding of record '{shown}' ({len(sequence)} letters) is not "
            f"finite{_in_dtype(dtype)}"
        )
        self.sequence, self.dtype = sequence, dtype

    def on(self, task: str, row: str) -> FloatingPointError:
        """Returns the error with the record named by its task and row."""
        return FloatingPointError(
            f"task '{task}': the embedding of {row} is not finite{_in_dtype(self.dtype)}"
        )


def _in_dtype(dtype: str) -> str:
    return f" in {dtype}" + ("" if dtype == "float32" else "; try --config.dtype=float32")


class DeviceMemoryError(MemoryError):
    """A batch does not fit the device's memory.

    Attributes:
        batch: The batch.
    """

    def __init__(self, model: str, batch: Batch) -> None:
        """Names the model and the batch's shape."""
        super().__init__(
            f"model '{model}': the device's memory does not hold a batch of {batch.size} x "
            f"{batch.length} tokens"
        )
        self.batch = batch


class Work(NamedTuple):
    """A batch with its token ids."""

    batch: Batch
    encoded: Sequence[np.ndarray]


class Program(NamedTuple):
    """The compiled forward pass of a static shape.

    Attributes:
        call: `(state, inputs) -> float32 [B, D]`.
        flop: See `Speed`.
        memory: Bytes of its arguments, results and temporaries together, on one device; 0: not
            known.
    """

    call: Callable[[nnx.State, Inputs], jax.Array]
    flop: float
    memory: int


@dataclass
class Speed:
    """What embedding took, summed over batches.

    Attributes:
        records: Records embedded.
        tokens: Their tokens.
        computed_tokens: The same with the padding of rows and batches.
        flop: Floating-point operations of matrix products and convolutions, padding included.
        seconds: Wall time, compilation included.
        compile_seconds: Of it, the device waited for programs to be traced and compiled, or read
            from the compilation cache.
        starved_seconds: Of it, the device had nothing to do because the host was not ready.
        programs: Static shapes that ran.
        program_bytes: Memory of the largest (see `Program`).
    """

    records: int = 0
    tokens: int = 0
    computed_tokens: int = 0
    flop: float = 0.0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    starved_seconds: float = 0.0
    programs: int = 0
    program_bytes: int = 0

    def figures(self) -> dict[str, float | None]:
        """Returns the sums with the rates that follow from them; rates leave compilation out."""
        running = max(self.seconds - self.compile_seconds, 1e-9)
        return {
            "records": self.records,
            "records_per_second": round(self.records / running, 2),
            "tokens_per_second": round(self.tokens / running, 1),
            "padding_share": round(1 - self.tokens / max(self.computed_tokens, 1), 4),
            "flop_per_second": round(self.flop / running, -6),
            "seconds": round(self.seconds, 3),
            "compile_seconds": round(self.compile_seconds, 3),
            "starved_seconds": round(self.starved_seconds, 3),
            "programs": self.programs,
            "program_bytes": self.program_bytes or None,
        }


@dataclass
class Engine:
    """A port on its devices, with its compiled programs.

    Attributes:
        port: The model.
        views: What is kept of each forward pass.
        speed: Sums over everything that was embedded.
    """

    port: Port
    views: tuple[View, ...]
    speed: Speed = field(default_factory=Speed)
    _programs: dict[tuple[int, int], Future[Program]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_views(self.port, self.views)
        mesh = self.port.mesh
        self._rows = mesh and NamedSharding(mesh, PartitionSpec(DATA))
        self._embed: Any = embedder(self.port, self.views)

    @property
    def shards(self) -> int:
        """Devices, or groups of devices that share the parameters, that split a batch's rows."""
        return self.port.mesh.shape[DATA] if self.port.mesh else 1

    def widths(self) -> list[int]:
        """Returns the width D of each view."""
        taps = tuple(view.tap for view in self.views)
        length = self.port.preset.max_tokens if self.port.preset.batching == "fixed" else 8
        assert length is not None
        inputs = collate(self.port, [np.zeros(1, np.int32)], length)

        def hidden(state: Any, inputs: Inputs) -> list[jax.Array]:
            states = forward(self.port, state, inputs, taps).states
            return [states[tap] for tap in taps]

        return [each.shape[-1] for each in jax.eval_shape(hidden, self.port.state, inputs)]

    def put(self, work: Work) -> tuple[Work, Inputs]:
        """Pads a batch and copies it to the devices, each its rows."""
        batch = work.batch
        rows = [*work.encoded, *([work.encoded[0]] * (batch.size - len(work.encoded)))]
        with self._memory_of(batch):
            return work, jax.device_put(collate(self.port, rows, batch.length), self._rows)

    def needed_bytes(self, batch: Batch) -> int:
        """Returns about how many bytes a batch needs on each device, the parameters included."""
        traced = self._embed.trace(self.port.state, self._shapes(batch))
        parameters = sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(self.port.state)
        )
        # On a mesh the forward pass is inside `shard_map`, where shapes are those of a device.
        return parameters + live_bytes(traced.jaxpr.jaxpr)

    def compile_soon(self, batches: Iterable[Batch]) -> None:
        """Lets threads compile the programs of batches, in their order, that are not made yet."""
        for batch in batches:
            shape = (batch.size, batch.length)
            if shape not in self._programs:
                self._programs[shape] = soon(functools.partial(self._compile, batch), "batches")

    def compile_no_more(self) -> None:
        """Forgets the programs that no thread has begun to compile."""
        self._programs = {
            shape: program for shape, program in self._programs.items() if not program.cancel()
        }

    def compiled(self, batch: Batch) -> Program:
        """Returns the program of a batch's shape."""
        before = waited()
        with waiting():
            self.compile_soon([batch])
            program = self._programs[batch.size, batch.length].result()
        self.speed.compile_seconds += waited() - before
        return program

    def is_compiled(self, batch: Batch) -> bool:
        """Says whether the program of a batch's shape is there."""
        program = self._programs.get((batch.size, batch.length))
        return program is not None and program.done()

    def _compile(self, batch: Batch) -> Program:
        traced = self._embed.trace(self.port.state, self._shapes(batch))
        call = compile_program(traced.lower(), f"{batch.size:,} x {batch.length:,} tokens")
        self.speed.programs += 1
        return Program(call, matrix_flop(traced.jaxpr.jaxpr), _memory(call))

    def _shapes(self, batch: Batch) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Returns the inputs of a batch without their numbers."""
        one = collate(self.port, [np.zeros(1, np.int32)], batch.length)
        return {
            name: jax.ShapeDtypeStruct(
                (batch.size, *array.shape[1:]), array.dtype, sharding=self._rows
            )
            for name, array in one.items()
        }

    def run(self, work: Work, inputs: Inputs) -> jax.Array:
        """Starts a batch; float32 [B, D], not awaited."""
        with self._memory_of(work.batch):
            program = self.compiled(work.batch)
            vectors = program.call(self.port.state, inputs)
        self.speed.records += len(work.encoded)
        self.speed.tokens += sum(map(len, work.encoded))
        self.speed.computed_tokens += work.batch.size * work.batch.length
        self.speed.flop += program.flop
        self.speed.program_bytes = max(self.speed.program_bytes, program.memory)
        return vectors

    def settle(self, batch: Batch, vectors: jax.Array) -> None:
        """Waits until the result of a batch is there, on the devices."""
        with self._memory_of(batch):
            vectors.block_until_ready()

    def fetch(self, batch: Batch, vectors: jax.Array) -> np.ndarray:
        """Waits for the result of a batch; float32 [n, D] of its n records."""
        with self._memory_of(batch):
            return np.asarray(vectors)[: len(batch.rows)]

    @contextmanager
    def _memory_of(self, batch: Batch) -> Iterator[None]:
        """Names the batch where the device's memory runs out."""
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error):
                raise
            raise DeviceMemoryError(self.port.entry.id, batch) from error


def _memory(compiled: Any) -> int:
    """Bytes that a compiled program needs at once; 0: its platform does not tell."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return 0
    kinds = ("argument", "output", "temp")
    total = sum(getattr(analysis, f"{kind}_size_in_bytes") for kind in kinds)
    return total - analysis.alias_size_in_bytes


def check_views(reader: Reader, views: Sequence[View]) -> None:
    """Checks that a model has the hidden states and that the poolings exist.

    Raises:
        ValueError: Names the view that is not valid, and what is.
    """
    layers, named = reader.config.layers, getattr(reader.config, "named_taps", ())
    for view in views:
        if view.tap not in (FINAL, *range(layers + 1), *named):
            names = f", {named[0]} .. {named[-1]}" if named else ""
            raise ValueError(
                f"model '{reader.entry.id}': no hidden state {view.tap}; valid: 0 (embedding), "
                f"1 .. {layers} (blocks), {FINAL} (final){names}"
            )
        if view.pooling not in POOLINGS:
            raise ValueError(f"pooling '{view.pooling}' is not valid: {', '.join(POOLINGS)}")


def open_engine(port: Port, views: Sequence[View] = ()) -> Engine:
    """Returns an engine; without views it keeps what the preset pools."""
    return Engine(port, tuple(views) or (View(port.preset.tap, port.preset.pooling),))


def embed_array(
    engine: Engine,
    sequences: Sequence[str],
    sizes: Sequence[int],
    advance: Advance = lambda _: None,
) -> np.ndarray:
    """Embeds records into memory, each distinct one once.

    Args:
        engine: A model whose embedding of a record depends on that record alone.
        sequences: N records.
        sizes: See `plan_batches`.
        advance: Told how many distinct records were done since the last call.

    Returns:
        float32 [N, D], the views side by side.
    """
    row_of = {sequence: row for row, sequence in enumerate(dict.fromkeys(sequences))}
    distinct = list(row_of)
    found = np.empty((len(distinct), sum(engine.widths())), np.float32)
    works = _bucketed(engine, [unit.sequences for unit in units_of([distinct])], sizes)
    for rows, vectors in _stream(engine, works, distinct):
        found[list(rows)] = vectors
        advance(len(rows))
    return found[[row_of[sequence] for sequence in sequences]]


def embed_array_in_order(
    engine: Engine, sequences: Sequence[str], batch_size: int, advance: Advance = lambda _: None
) -> np.ndarray:
    """Embeds N records into memory in batches of input order, whose padding the model sees."""
    found = np.empty((len(sequences), sum(engine.widths())), np.float32)
    for rows, vectors in _stream(engine, _in_order(engine, sequences, batch_size), sequences):
        found[list(rows)] = vectors
        advance(len(rows))
    return found


def embed_records(
    engine: Engine,
    units: Sequence[Unit],
    stores: Sequence[Store],
    sizes: Sequence[int],
    advance: Advance = lambda _: None,
) -> None:
    """Embeds the records of units that a store lacks, each in its first unit alone.

    The batches of a unit are always the same; those are left out of which the stores lack nothing.

    Args:
        engine: A model whose embedding of a record depends on that record alone.
        units: The records.
        stores: Take the embeddings, one for each of the engine's views, keyed by the record.
        sizes: See `plan_batches`.
        advance: Told how many of the lacking records were done since the last call.
    """
    sequences = [sequence for unit in units for sequence in unit.sequences]
    keys = [
        k if first else None
        for unit in units
        for k, first in zip(unit.keys, unit.first, strict=True)
    ]
    lacking = [store.missing([k for k in keys if k is not None]) for store in stores]
    wanted = set[bytes]().union(*lacking)
    asked = [k in wanted for k in keys]
    works = _bucketed(engine, [unit.sequences for unit in units], sizes, asked)
    _write(engine, _stream(engine, works, sequences), keys, stores, lacking, advance)


def embed_in_order(
    engine: Engine,
    sequences: Sequence[str],
    stores: Sequence[Store],
    batch_size: int,
    advance: Advance = lambda _: None,
) -> list[bytes]:
    """Embeds records in batches of input order, whose padding the model sees.

    Args:
        engine: A model with the batching 'input-order'.
        sequences: One split of a task, in the order of its file.
        stores: Take the embeddings, one for each of the engine's views, keyed by the batch and
            the place in it.
        batch_size: Records of a batch of the published run.
        advance: Told how many records were done since the last call.

    Returns:
        The stores' key of each record.
    """
    keys = keys_in_order(sequences, batch_size)
    lacking = [store.missing(keys) for store in stores]
    works = (
        work
        for work in _in_order(engine, sequences, batch_size)
        if any(keys[row] in of for of in lacking for row in work.batch.rows)
    )
    _write(engine, _stream(engine, works, sequences), keys, stores, lacking, advance)
    return keys


def keys_in_order(sequences: Sequence[str], batch_size: int) -> list[bytes]:
    """Returns the stores' keys of a split's records that see each other in batches."""
    keys = []
    for start in range(0, len(sequences), batch_size):
        together = sequences[start : start + batch_size]
        keys += [key(str(position), *together) for position in range(len(together))]
    return keys


def _bucketed(
    engine: Engine,
    units: Sequence[Sequence[str]],
    sizes: Sequence[int],
    wanted: Sequence[bool] | None = None,
) -> Iterator[Work]:
    """Yields batches of records of like length; the next unit is tokenized meanwhile.

    Args:
        engine: The model.
        units: Distinct records of each unit.
        sizes: See `plan_batches`.
        wanted: Of the records of all units, which are wanted; None: all. Batches of which none is
            wanted are left out.

    Yields:
        Batches whose rows count through the records of all units.
    """
    port = engine.port
    starts = [0, *itertools.accumulate(map(len, units))]
    asked = (
        (start, unit)
        for start, unit in zip(starts, units, strict=False)
        if wanted is None or any(wanted[start : start + len(unit)])
    )
    encoded = ((start, tokenize(port, unit)) for start, unit in asked)
    for start, ids in _ahead(encoded, 1):
        batches = plan_batches(port, list(map(len, ids)), sizes, engine.shards)
        if wanted is not None:
            of_unit = wanted[start : start + len(ids)]
            batches = [batch for batch in batches if any(of_unit[row] for row in batch.rows)]
        engine.compile_soon(batches)
        for batch in batches:
            rows = tuple(start + row for row in batch.rows)
            yield Work(replace(batch, rows=rows), [ids[row] for row in batch.rows])


def _in_order(engine: Engine, sequences: Sequence[str], batch_size: int) -> Iterator[Work]:
    """Yields batches in input order, each padded to its longest record."""
    encoded = tokenize(engine.port, sequences)
    size = batch_size + -batch_size % engine.shards
    for start in range(0, len(sequences), batch_size):
        together = encoded[start : start + batch_size]
        rows = tuple(range(start, start + len(together)))
        yield Work(Batch(rows, max(map(len, together)), size), together)


def _write(
    engine: Engine,
    found: Iterator[tuple[Sequence[int], np.ndarray]],
    keys: Sequence[bytes | None],
    stores: Sequence[Store],
    lacking: Sequence[set[bytes]],
    advance: Advance,
) -> None:
    """Takes the vectors of batches; a thread writes what each view's store lacks in chunks.

    Rows without a key are not written.
    """
    borders = np.cumsum(engine.widths())[:-1] if len(stores) > 1 else []
    wanted = set[bytes]().union(*lacking)

    def save(keys: Sequence[bytes], vectors: np.ndarray) -> None:
        parts = np.split(vectors, borders, axis=1)
        for store, lacks, part in zip(stores, lacking, parts, strict=True):
            rows = [row for row, k in enumerate(keys) if k in lacks]
            if rows:
                store.add([keys[row] for row in rows], part[rows])

    done_keys: list[bytes] = []
    done: list[np.ndarray] = []
    flushed = time.monotonic()
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(lambda: None)
        try:
            for rows, vectors in found:
                asked = [(i, k) for i, row in enumerate(rows) if (k := keys[row]) in wanted]
                done_keys += [k for _, k in asked]
                done.append(vectors[[i for i, _ in asked]])
                advance(len(asked))
                if len(done_keys) >= _FLUSH_ROWS or time.monotonic() - flushed > _FLUSH_SECONDS:
                    written.result()
                    written = writer.submit(save, done_keys, np.concatenate(done))
                    done_keys, done, flushed = [], [], time.monotonic()
        finally:  # a record that cannot be embedded loses nothing that was
            written.result()
            if done:
                save(done_keys, np.concatenate(done))


def _stream(
    engine: Engine, works: Iterator[Work], sequences: Sequence[str]
) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """Yields the rows of each batch, which are of `sequences`, with their float32 [n, D]."""
    speed, counted = engine.speed, time.monotonic()

    def count() -> None:
        nonlocal counted
        now = time.monotonic()
        speed.seconds, counted = speed.seconds + now - counted, now

    pending: deque[tuple[Batch, jax.Array]] = deque()
    prepared = _ahead(map(engine.put, works), _AHEAD)
    try:
        while True:
            asked = time.monotonic()
            idle = all(vectors.is_ready() for _, vectors in pending)  # pyright: ignore
            item = next(prepared, None)
            if idle:
                speed.starved_seconds += time.monotonic() - asked
            if item is None:
                break
            if not engine.is_compiled(item[0].batch):
                for batch, vectors in pending:  # what the device does meanwhile is no waiting
                    engine.settle(batch, vectors)
            pending.append((item[0].batch, engine.run(*item)))
            count()  # at each batch: whoever is told of it asks how fast it goes
            if len(pending) > _IN_FLIGHT:
                yield _finite(engine, *pending.popleft(), sequences)
        while pending:
            yield _finite(engine, *pending.popleft(), sequences)
    finally:
        prepared.close()
        engine.compile_no_more()
        count()


def _finite(
    engine: Engine, batch: Batch, vectors: jax.Array, sequences: Sequence[str]
) -> tuple[Sequence[int], np.ndarray]:
    """Returns the rows of a batch and their vectors, once these are found to be numbers."""
    found = engine.fetch(batch, vectors)
    finite = np.isfinite(found)
    if not finite.all():
        first = min(batch.rows[i] for i in np.flatnonzero(~finite.all(axis=1)).tolist())
        raise NotFiniteError(engine.port.entry.id, sequences[first], engine.port.dtype)
    return batch.rows, found


def _ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yields the items, of which a thread makes up to `depth` in advance; its errors come here."""
    made: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(what: str, item: Any) -> None:
        while not stopped.is_set():
            try:
                return made.put((what, item), timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            what, item = made.get()
            if what == "error":
                raise item
            if what == "end":
                return
            yield item
    finally:
        stopped.set()
        thread.join(_JOIN_SECONDS)
