"""How many tokens a batch has on a device, and what embedding took.

The sizes depend on the kind of device and the model alone, never on a clock, so that the same
records give the same bytes in every run.
"""

import sys
from collections.abc import Sequence
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

# Tokens of a batch on one device: enough rows to fill the matrix units.
_BATCH_TOKENS = {"cpu": 2048}
_BATCH_TOKENS_ACCELERATOR = 65536
_SMALL = 4  # times fewer tokens has the batch that few records take
_WORTH_MEASURING = 2.0  # seconds of embedding; rates of less are noise
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
        devices = engine.port.mesh.size if engine.port.mesh else 1
        rate = devices * matmul_rate(engine.port.dtype, workdir)
        figures["matmul_flop_per_second"] = round(rate, -6)
        figures["share_of_matmul_rate"] = round(figures["flop_per_second"] / rate, 4)
    return figures
