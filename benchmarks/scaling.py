"""How does the engine's throughput go with the number of devices and with the sequence length?

    python -m benchmarks.scaling --figure scaling.png

Measures tokens/s on devices along `data` and along `model` (the ones of the machine, or eight
virtual ones of its CPU), and with records of several `length`s, in tokens, on one device; draws
them where `--figure` is given. Virtual devices share the cores that one device has to itself: what
they lose against it is the overhead of the mesh, and no speed-up is to be seen there.

Needs a clone. `--out` holds the rows: `model`, how many devices on `data` and on `tensor` (the
mesh's axis `model`), `length` and `tokens_s`.
"""

import math
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.embedding_engine import TokenIds, draw_records
from benchmarks.needs import FIXTURES, begin, fixtures, new_parser, room_for
from benchmarks.rows import Rows
from geneb_jax.embedding.batches import batch_size
from geneb_jax.embedding.engine import Speed, embed_array, open_engine
from geneb_jax.embedding.tuning import default_batch_tokens
from model_ports import catalog
from model_ports.contract.family import DATA, MODEL
from model_ports.loading.ports import random_port
from model_ports.port import Port

COLUMNS = {"model": "45s", "data": "4", "tensor": "6", "length": "6", "tokens_s": "10,.0f"}
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


def on_devices(model_id: str, tokens: int, rows: Rows) -> dict[str, list[tuple[int, float]]]:
    """Devices and tokens/s along each axis."""
    devices = np.array(jax.devices())

    def measure(shape: tuple[int, int]) -> tuple[int, float]:
        mesh = Mesh(devices[: math.prod(shape)].reshape(shape), (DATA, MODEL))
        port = random_port(catalog.get(model_id), FIXTURES / model_id, mesh=mesh)
        rate = tokens_per_second(port, TYPICAL_LENGTH, tokens)
        row = dict(zip(("data", "tensor"), shape, strict=True)) | {"length": TYPICAL_LENGTH}
        rows.add({"model": model_id} | row | {"tokens_s": rate})
        return math.prod(shape), rate

    counts = [2**i for i in range(1, len(devices).bit_length())]
    alone = measure((1, 1))
    return {
        DATA: [alone, *(measure((count, 1)) for count in counts)],
        MODEL: [alone, *(measure((1, count)) for count in counts)],
    }


def by_length(model_id: str, tokens: int, rows: Rows) -> list[tuple[int, float]]:
    """Lengths and tokens/s on one device."""
    port, points = random_port(catalog.get(model_id), FIXTURES / model_id), []
    for length in LENGTHS:
        points.append((length, tokens_per_second(port, length, tokens)))
        row = {"model": model_id, "data": 1, "tensor": 1, "length": length}
        rows.add(row | {"tokens_s": points[-1][1]})
    return points


def draw(
    model_id: str,
    devices: dict[str, list[tuple[int, float]]],
    lengths: Sequence[tuple[int, float]],
    out: Path,
) -> None:
    """Writes both curves."""
    import matplotlib.pyplot as plt

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
    """Measures, and draws where a figure is named."""
    parser = new_parser(__doc__)
    parser.add_argument("--figure", type=Path, metavar="FILE.png")
    parser.add_argument("--model", default=MODEL_ID)
    parser.add_argument("--tokens", type=int, default=16384, help="of each point, at least")

    def needs(options: Namespace) -> Iterator[str]:
        yield from (*fixtures(), *room_for(options.figure))

    options = begin(parser, needs)
    # Read when JAX is first asked for devices.
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    rows = Rows(COLUMNS, options.out)
    devices = on_devices(options.model, options.tokens, rows)
    lengths = by_length(options.model, options.tokens, rows)
    if options.figure:
        draw(options.model, devices, lengths, options.figure)


if __name__ == "__main__":
    main()
