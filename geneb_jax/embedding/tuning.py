"""How many tokens a batch has: by device, by model, compared once in a workdir."""

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging

from geneb_jax.devices.capacity import (
    best_seconds,
    keep_facts,
    matmul_rate,
    memory_bytes,
    out_of_memory,
    peak_bytes,
    read_facts,
)
from geneb_jax.devices.processes import this_process
from geneb_jax.embedding.batches import (
    Batch,
    batch_size,
    bucketed,
    typical_lengths,
    typical_padding,
)
from geneb_jax.embedding.engine import DeviceMemoryError, Engine, Speed, Work
from model_ports.port import Port

# Tokens of a batch on one device: enough rows to fill the matrix units.
_BATCH_TOKENS = {"cpu": 2048}
_BATCH_TOKENS_ACCELERATOR = 65536
_MOST_PADDING = 0.1  # of computed tokens; few records are embedded in smaller batches for it
_CANDIDATES = {"cpu": (512, 1024, 2048, 4096)}
_CANDIDATES_ACCELERATOR = (16384, 32768, 65536, 131072, 262144)
WORTH_TUNING = 5000  # records; fewer are embedded sooner than batch sizes are compared
_WORTH_MEASURING = 2.0  # seconds of embedding; rates of less are noise
_TYPICAL_LENGTH = 64  # of models whose benchmark lengths are not known
_USED = 0.9  # of a device's memory; the rest is for batches that wait and for fragments
_CLOSE = 0.97  # of the best rate: the smallest batch that reaches it is taken


def batch_tokens(engine: Engine, records: int, workdir: Path, wanted: int = 0) -> int:
    """Returns the tokens of a batch on one device that suit it, the model and how many records.

    The first run with many records in a workdir compares some; later runs there read the choice,
    so that a resumed run computes in the same shapes. Several processes do not compare: they could
    choose differently.

    Args:
        engine: The model.
        records: How many are embedded.
        workdir: Holds what is known of the devices.
        wanted: The tokens that somebody asked for; 0: none. Fewer are returned where the device's
            memory did not hold as many before.
    """
    facts, name = read_facts(workdir), _name(engine)
    most = facts["fitting_tokens"].get(name, sys.maxsize)
    if not wanted and name not in facts["batch_tokens"]:
        few = records < WORTH_TUNING or not bucketed(engine.port) or this_process().count > 1
        if few or name in facts["fitting_tokens"]:
            return min(untuned_batch_tokens(engine, records), most)
        facts["batch_tokens"][name] = _fastest(engine, records)
        logging.info("%s: batches of %d tokens", name, facts["batch_tokens"][name])
        keep_facts(workdir, facts)
    return min(wanted or facts["batch_tokens"][name], most)


def smaller_batches(
    engine: Engine, tokens: int, error: DeviceMemoryError, workdir: Path | None = None
) -> int:
    """Returns half the tokens of a batch that did not fit the device, and remembers them.

    Args:
        engine: The model.
        tokens: The tokens of a batch on one device.
        error: What did not fit.
        workdir: Holds what is known of the devices; None: nothing is remembered.

    Raises:
        DeviceMemoryError: The batch was of a single record a device.
    """
    model = engine.port.entry.id
    if error.batch.size <= engine.shards:
        raise DeviceMemoryError(model, error.batch) from error
    facts = read_facts(workdir)
    facts["fitting_tokens"][_name(engine)] = tokens // 2
    keep_facts(workdir, facts)
    logging.warning("%s; from now on at most %d tokens a device", error, tokens // 2)
    return tokens // 2


def _name(engine: Engine) -> str:
    """What the facts of a device call a model: weights of a kind, precision and mesh count."""
    port = engine.port
    name = f"{port.entry.id} {port.weights_id.split(':')[0]} {port.dtype}"
    return name + (f" {'x'.join(map(str, port.mesh.shape.values()))}" if port.mesh else "")


def default_batch_tokens() -> int:
    """Returns the tokens of a batch that suit the default device."""
    return _BATCH_TOKENS.get(jax.default_backend(), _BATCH_TOKENS_ACCELERATOR)


def untuned_batch_tokens(engine: Engine, records: int) -> int:
    """Returns the device's default, or less.

    It is less where few records would leave much of it padding, and where the device's memory would
    not hold it beside the model, by what its results take before XLA fuses any.
    """
    default = _fitting(engine, default_batch_tokens())
    if not bucketed(engine.port):
        return default
    smallest, *larger = [tokens for tokens in _candidates() if tokens <= default] or [default]
    for tokens in reversed(larger):
        if typical_padding(engine.port, records, tokens, engine.shards) < _MOST_PADDING:
            return tokens
    return smallest


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


def _candidates() -> tuple[int, ...]:
    return _CANDIDATES.get(jax.default_backend(), _CANDIDATES_ACCELERATOR)


def _fastest(engine: Engine, records: int) -> int:
    """The smallest batch that embeds records of the benchmark's lengths at close to the best rate.

    The rate at the benchmark's commonest length, less what would be padding.
    """
    length = typical_length(engine.port)
    rates: dict[int, float] = {}
    for tokens in _candidates():
        size = batch_size(length, tokens, engine.shards)
        work = Work(Batch((0,), length, size), [np.zeros(length, np.int32)])
        try:
            _, inputs = engine.put(work)
            embed = engine.compiled(work.batch, inputs).call
            seconds = best_seconds(lambda: embed(engine.port.state, inputs))  # noqa: B023
        except (jax.errors.JaxRuntimeError, DeviceMemoryError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and not out_of_memory(error):
                raise
            break
        padding = typical_padding(engine.port, records, tokens, engine.shards)
        rates[tokens] = (1 - padding) * size * length / seconds
    engine.speed = Speed()  # what was compiled here is not part of embedding
    if not rates:
        return min(_candidates())  # and fewer, once the device's memory does not hold these
    best = max(rates.values())
    return min(tokens for tokens, rate in rates.items() if rate >= _CLOSE * best)


def typical_length(port: Port) -> int:
    """Returns the padded length in which most of the benchmark's tokens are computed."""
    typical = typical_lengths(port)
    if typical is None:
        return _TYPICAL_LENGTH
    ladder, records, _ = typical
    return int(ladder[np.argmax(ladder * records)])
