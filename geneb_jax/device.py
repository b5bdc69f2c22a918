"""What the device can do, measured once and kept in the workdir, and room for its programs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from geneb_jax.buckets import Batch, batch_size, bucketed, typical_lengths, typical_padding
from geneb_jax.embedding import Engine, Speed, Work
from geneb_jax.scores import write_json

# Tokens of a batch on one device: enough rows to fill the matrix units.
_BATCH_TOKENS = {"cpu": 2048}
_BATCH_TOKENS_ACCELERATOR = 65536
_MOST_PADDING = 0.1  # of computed tokens; few records are embedded in smaller batches for it
_CANDIDATES = {"cpu": (512, 1024, 2048, 4096)}
_CANDIDATES_ACCELERATOR = (16384, 32768, 65536, 131072, 262144)
WORTH_TUNING = 5000  # records; fewer are embedded sooner than batch sizes are compared
_WORTH_MEASURING = 2.0  # seconds of embedding; rates of less are noise
_TYPICAL_LENGTH = 64  # of models whose benchmark lengths are not known
_CLOSE = 0.97  # of the best rate: the smallest batch that reaches it is taken
_REPEATS = 3
_MAPS = Path("/proc/self/maps")
_MOST_MAPS = Path("/proc/sys/vm/max_map_count")


def batch_tokens(engine: Engine, records: int, workdir: Path) -> int:
    """Returns the tokens of a batch on one device that suit it, the model and how many records.

    The first run with many records in a workdir compares some; later runs there read the choice,
    so that a resumed run computes in the same shapes. Several processes do not compare: they could
    choose differently.
    """
    port = engine.port
    kept = _read(workdir)
    name = f"{port.entry.id} {port.weights_id.split(':')[0]} {port.dtype}"
    if port.mesh:
        name += f" {'x'.join(map(str, port.mesh.shape.values()))}"
    if name not in kept["batch_tokens"]:
        if records < WORTH_TUNING or not bucketed(port) or jax.process_count() > 1:
            return untuned_batch_tokens(engine, records)
        kept["batch_tokens"][name] = _fastest(engine, records)
        logging.info("%s: batches of %d tokens", name, kept["batch_tokens"][name])
        _write(workdir, kept)
    return kept["batch_tokens"][name]


def default_batch_tokens() -> int:
    """Returns the tokens of a batch that suit the default device."""
    return _BATCH_TOKENS.get(jax.default_backend(), _BATCH_TOKENS_ACCELERATOR)


def untuned_batch_tokens(engine: Engine, records: int) -> int:
    """Returns the device's default, or less where few records would leave much of it padding."""
    default = default_batch_tokens()
    if not bucketed(engine.port):
        return default
    smallest, *larger = (tokens for tokens in _candidates() if tokens <= default)
    for tokens in reversed(larger):
        if typical_padding(engine.port, records, tokens, engine.shards) < _MOST_PADDING:
            return tokens
    return smallest


def matmul_rate(dtype: str, workdir: Path | None = None) -> float:
    """FLOP/s of a large square product in a dtype, measured once a workdir."""
    kept = _read(workdir)
    if dtype not in kept["matmul_rate"]:
        size = 2048 if jax.default_backend() == "cpu" else 8192
        keys = jax.random.split(jax.random.key(0))
        a, b = (jax.random.normal(key, (size, size), dtype) for key in keys)
        product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))  # as models' forward
        kept["matmul_rate"][dtype] = 2 * size**3 / best_seconds(lambda: product(a, b))
        _write(workdir, kept)
    return kept["matmul_rate"][dtype]


def speed_figures(engine: Engine, workdir: Path) -> dict[str, Any]:
    """What embedding took, beside its devices' own rate where that is worth its measurement."""
    speed = engine.speed
    figures: dict[str, Any] = speed.figures() | {"peak_bytes": peak_bytes()}
    if speed.seconds - speed.compile_seconds >= _WORTH_MEASURING:
        devices = engine.port.mesh.size if engine.port.mesh else 1
        rate = devices * matmul_rate(engine.port.dtype, workdir)
        figures["matmul_flop_per_second"] = round(rate, -6)
        figures["share_of_matmul_rate"] = round(figures["flop_per_second"] / rate, 4)
    return figures


def out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory, in the words of GPUs and TPUs or of CPUs."""
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "Out of memory"))


def peak_bytes() -> int | None:
    """Largest memory in use on the first device since the process began; None: it does not tell."""
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def make_room_for_programs() -> None:
    """Drops JAX's compiled programs once they hold half of the memory maps a process may have.

    On CPUs a program takes several maps, Linux allows 65,530, and a process that wants more dies
    without a word: a run over 40 models comes there. What is needed again is read from the
    compilation cache.
    """
    if _MAPS.is_file() and _MOST_MAPS.is_file():
        with _MAPS.open("rb") as maps:
            count = sum(1 for _ in maps)
        if count > int(_MOST_MAPS.read_text()) // 2:
            jax.clear_caches()


def _candidates() -> tuple[int, ...]:
    return _CANDIDATES.get(jax.default_backend(), _CANDIDATES_ACCELERATOR)


def _fastest(engine: Engine, records: int) -> int:
    """The smallest batch that embeds records of the benchmark's lengths at close to the best rate.

    The rate at the benchmark's commonest length, less what would be padding.
    """
    length = _typical_length(engine)
    rates: dict[int, float] = {}
    for tokens in _candidates():
        size = batch_size(length, tokens, engine.shards)
        work = Work(Batch((0,), length, size), [np.zeros(length, np.int32)])
        try:
            _, inputs = engine.place(work)
            embed = engine.compiled(work.batch, inputs).call
            seconds = best_seconds(lambda: embed(engine.port.state, inputs))  # noqa: B023
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error) or not rates:
                raise
            break
        padding = typical_padding(engine.port, records, tokens, engine.shards)
        rates[tokens] = (1 - padding) * size * length / seconds
    engine.speed = Speed()  # what was compiled here is not part of embedding
    best = max(rates.values())
    return min(tokens for tokens, rate in rates.items() if rate >= _CLOSE * best)


def _typical_length(engine: Engine) -> int:
    """The padded length in which most of the benchmark's tokens are computed."""
    typical = typical_lengths(engine.port)
    if typical is None:
        return _TYPICAL_LENGTH
    ladder, records, _ = typical
    return int(ladder[np.argmax(ladder * records)])


def best_seconds(work: Callable[[], jax.Array]) -> float:
    """Shortest wall time of a call, after one that compiles."""
    work().block_until_ready()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work().block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)


def _path(workdir: Path) -> Path:
    """Of this kind of device: another machine may go on in the same workdir."""
    kind = "".join(c if c.isalnum() else "-" for c in jax.devices()[0].device_kind)
    return workdir / "devices" / f"{kind}.json"


def _read(workdir: Path | None) -> dict[str, dict[str, Any]]:
    if workdir is None or not _path(workdir).is_file():
        return {"matmul_rate": {}, "batch_tokens": {}}
    return json.loads(_path(workdir).read_text("utf-8"))


def _write(workdir: Path | None, kept: dict[str, dict[str, Any]]) -> None:
    if workdir is not None:
        write_json(_path(workdir), kept)
