"""How many tokens a batch has on a device, and what embedding took.

The sizes depend on the kind of device and the model alone, never on a clock, so that the same
records give the same bytes in every run.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from absl import logging

from geneb_jax.devices.capacity import (
    keep_facts,
    matmul_rate,
    memory_bytes,
    peak_bytes,
    read_facts,
)
from geneb_jax.embedding.batches import Batch, batch_size, typical_length
from geneb_jax.embedding.engine import DeviceMemoryError, Engine
from geneb_jax.embedding.identity import BOTH_STRANDS
from geneb_jax.embedding.source import Advance

# Tokens of a batch on one device: enough rows to fill the matrix units.
_BATCH_TOKENS = {"cpu": 2048}
_BATCH_TOKENS_ACCELERATOR = 65536
_SMALL = 4  # times fewer tokens has the batch that few records take
_WORTH_MEASURING = 2.0  # seconds of embedding; rates of less are noise
_KEPT = 10.0  # seconds between two times that a rate is kept; a run may be killed
_USED = 0.9  # of a device's memory; the rest is for batches that wait and for fragments


def batch_sizes(engine: Engine, workdir: Path | None = None, wanted: int = 0) -> tuple[int, ...]:
    """Returns the tokens that a batch may have on one device, the preferred first.

    They are the device's default and, for few records, a quarter of it; less where the device's
    memory would not hold that beside the model, by what its results take before XLA fuses any.

    Args:
        engine: The model.
        workdir: Holds what is known of the devices; None: nothing is.
        wanted: The tokens that somebody asked for; 0: none. Fewer are returned where the device's
            memory did not hold as many before.
    """
    most = read_facts(workdir)["fitting_tokens"].get(_name(engine), sys.maxsize)
    default = wanted or _fitting(engine, default_batch_tokens())
    sizes = (default,) if wanted else (default, max(1, default // _SMALL))
    return tuple(dict.fromkeys(min(size, most) for size in sizes))


def smaller_batches(
    engine: Engine,
    sizes: Sequence[int],
    error: DeviceMemoryError,
    workdir: Path | None = None,
) -> int:
    """Returns half the tokens of a batch that did not fit the device, and remembers them.

    Args:
        engine: The model.
        sizes: Those that `batch_sizes` gave.
        error: What did not fit.
        workdir: Holds what is known of the devices; None: nothing is remembered.

    Raises:
        DeviceMemoryError: The batch was of a single record a device.
    """
    batch = error.batch
    if batch.size <= engine.shards:
        raise DeviceMemoryError(engine.port.entry.id, batch) from error
    computed = batch.size // engine.shards * batch.length
    tokens = min(size for size in sizes if size >= computed) // 2
    facts = read_facts(workdir)
    facts["fitting_tokens"][_name(engine)] = tokens
    keep_facts(workdir, facts)
    logging.warning("%s; from now on at most %d tokens a device", error, tokens)
    return tokens


def _name(engine: Engine) -> str:
    """What the facts of a device call a model: weights of a kind, precision and mesh count."""
    port = engine.port
    name = f"{port.entry.id} {port.weights_id.split(':')[0]} {port.dtype}"
    return name + (f" {'x'.join(map(str, port.mesh.shape.values()))}" if port.mesh else "")


def default_batch_tokens() -> int:
    """Returns the tokens of a batch that suit the default device."""
    return _BATCH_TOKENS.get(jax.default_backend(), _BATCH_TOKENS_ACCELERATOR)


def _fitting(engine: Engine, tokens: int) -> int:
    """Returns tokens, or a half, a quarter, ... of which a batch fits the device beside the model.

    A batch of a single record a device is not made smaller, and a device that does not tell its
    memory is taken to be large enough.
    """
    room = memory_bytes()
    length = typical_length(engine.port)
    while room is not None:
        size = batch_size(length, tokens, engine.shards)
        if size <= engine.shards or engine.needed_bytes(Batch((), length, size)) <= _USED * room:
            break
        tokens //= 2
    return tokens


def speed_figures(engine: Engine, workdir: Path) -> dict[str, Any]:
    """Returns what embedding took, beside the devices' product rate where it pays to measure it."""
    speed = engine.speed
    figures: dict[str, Any] = speed.figures() | {"peak_bytes": peak_bytes()}
    if speed.seconds - speed.compile_seconds >= _WORTH_MEASURING:
        rate = _devices(engine) * matmul_rate(engine.port.dtype, workdir)
        figures["matmul_flop_per_second"] = round(rate, -6)
        figures["share_of_matmul_rate"] = round(figures["flop_per_second"] / rate, 4)
    return figures


def _devices(engine: Engine) -> int:
    return engine.port.mesh.size if engine.port.mesh else 1


@contextmanager
def keeping_rate(engine: Engine, model: str, workdir: Path, advance: Advance) -> Iterator[Advance]:
    """Keeps how fast a model is embedded inside, for later runs and plans in the workdir.

    It is kept every ten seconds and at the end, so that a run that is killed leaves it.

    Args:
        engine: The model.
        model: Its name in the config.
        workdir: Holds what is known of the devices.
        advance: Is told how many records were done.

    Yields:
        What is to be told so in its stead.
    """
    kept = time.monotonic()

    def tell(done: int) -> None:
        nonlocal kept
        advance(done)
        if time.monotonic() - kept >= _KEPT:
            kept = time.monotonic()
            _keep_rate(engine, model, workdir)

    try:
        yield tell
    finally:
        _keep_rate(engine, model, workdir)


def _keep_rate(engine: Engine, model: str, workdir: Path) -> None:
    """Keeps the FLOP/s a device; those of a moment only where nothing else is known."""
    speed = engine.speed
    running = speed.seconds - speed.compile_seconds
    facts, name = read_facts(workdir), _rate_name(model, engine.port.dtype)
    short = running < _WORTH_MEASURING and name in facts["embedding_rate"]
    if speed.flop and running > 0 and not short:
        facts["embedding_rate"][name] = speed.flop / running / _devices(engine)
        keep_facts(workdir, facts)


def embedding_rate(model: str, dtype: str, workdir: Path) -> float | None:
    """Returns the FLOP/s at which runs in a workdir embedded a model, of all devices together.

    Args:
        model: Its name in the config; averaged over both strands it is as fast as it is.
        dtype: Precision of the computation.
        workdir: Holds what is known of the devices; it need not be there.

    Returns:
        The rate of the last run that embedded for two seconds or more; None: on this kind of device
        the model was not embedded there.
    """
    name = _rate_name(model.removesuffix(BOTH_STRANDS), dtype)
    rate = read_facts(workdir)["embedding_rate"].get(name)
    return rate and rate * len(jax.devices())


def _rate_name(model: str, dtype: str) -> str:
    return f"{model} {dtype}"
