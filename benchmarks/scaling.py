"""How does the engine's throughput go with the number of devices and with the sequence length?

    python -m benchmarks.scaling --out scaling.png

Draws tokens/s against devices on `data` and on `model` (the ones of the machine, or eight virtual
ones of its CPU), and against tokens of a record on one device; prints the same numbers. Virtual
devices share the cores that one device has to itself: what they lose against it is the overhead
of the mesh, and no speed-up is to be seen there.
"""

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model_ports import catalog

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import matplotlib.pyplot as plt
import numpy as np
from jax.sharding import Mesh

from benchmarks.embedding_engine import FIXTURES, TokenIds, draw_records
from geneb_jax.embedding.batches import batch_size
from geneb_jax.embedding.engine import Speed, embed_array, open_engine
from geneb_jax.embedding.tuning import default_batch_tokens
from model_ports.contract.family import DATA, MODEL
from model_ports.loading.ports import random_port
from model_ports.port import Port

MODEL_ID = "nucleotide-transformer-v2-50m-multi-species"
LENGTHS = (32, 64, 128, 256, 512, 1024)
TYPICAL_LENGTH = 64


def tokens_per_second(port: Port, length: int, tokens: int) -> float:
    """Throughput on records of one length, full batches, compiled before."""
    shards = port.mesh.shape[DATA] if port.mesh else 1
    rows = batch_size(length, default_batch_tokens(), shards)
    count = -(-tokens // (length * rows)) * rows
    ids = draw_records(port.entry.id, count, port.config.vocab_size, None, length)
    tokenizer = TokenIds(ids, port.tokenizer.pad_id, port.config.vocab_size)
    engine = open_engine(replace(port, tokenizer=tokenizer))
    records = list(map(str, range(count)))
    embed_array(engine, records[:1], [default_batch_tokens()])
    engine.speed = Speed()
    embed_array(engine, records, [default_batch_tokens()])
    return engine.speed.tokens / engine.speed.seconds


def on_devices(model_id: str, tokens: int) -> dict[str, list[tuple[int, float]]]:
    """Devices and tokens/s along each axis."""
    devices = np.array(jax.devices())

    def measure(shape: tuple[int, int]) -> tuple[int, float]:
        mesh = Mesh(devices[: math.prod(shape)].reshape(shape), (DATA, MODEL))
        port = random_port(catalog.get(model_id), FIXTURES / model_id, mesh=mesh)
        rate = tokens_per_second(port, TYPICAL_LENGTH, tokens)
        print(f"{shape[0]} devices on data, {shape[1]} on model: {rate:,.0f} tokens/s", flush=True)
        return math.prod(shape), rate

    counts = [2**i for i in range(1, len(devices).bit_length())]
    alone = measure((1, 1))
    return {
        DATA: [alone, *(measure((count, 1)) for count in counts)],
        MODEL: [alone, *(measure((1, count)) for count in counts)],
    }


def by_length(model_id: str, tokens: int) -> list[tuple[int, float]]:
    """Lengths and tokens/s on one device."""
    port, points = random_port(catalog.get(model_id), FIXTURES / model_id), []
    for length in LENGTHS:
        points.append((length, tokens_per_second(port, length, tokens)))
        print(f"records of {length} tokens: {points[-1][1]:,.0f} tokens/s", flush=True)
    return points


def draw(
    model_id: str,
    devices: dict[str, list[tuple[int, float]]],
    lengths: Sequence[tuple[int, float]],
    out: Path,
) -> None:
    """Writes both curves."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    figure.suptitle(model_id)
    for axis, points in devices.items():
        left.plot(*zip(*points, strict=True), marker="o", label=f"all on {axis}")
    left.set_xlabel(f"devices ({jax.devices()[0].device_kind}), {TYPICAL_LENGTH} tokens a record")
    left.legend()
    right.plot(*zip(*lengths, strict=True), marker="o")
    right.set_xlabel("tokens of a record, one device")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        axes.set_ylabel("tokens/s")
    figure.savefig(out, dpi=150)


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help=".png")
    parser.add_argument("--model", default=MODEL_ID)
    parser.add_argument("--tokens", type=int, default=16384, help="of each point, at least")
    options = parser.parse_args()
    devices = on_devices(options.model, options.tokens)
    draw(options.model, devices, by_length(options.model, options.tokens), options.out)


if __name__ == "__main__":
    main()
