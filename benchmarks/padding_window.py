"""What does the window around a record save in Enformer, SPACE, Borzoi and Flashzoi?

    python -m benchmarks.padding_window

One record of 300 bases through the full-size model with random weights: the whole input, padded
to 131,072, 196,608 or 524,288 bases, beside the window that gives the same embedding. A row has
the `bases`, the `GFLOP` of the convolution tower that XLA counts, without the transformer, which
both run in full, and the `seconds` of a call; that of the window also how many times fewer
operations and how many times faster it is, and the embeddings' largest `difference`, relative to
their largest entry.

Needs nothing but the package, and room for the models. `--out` holds these rows.
"""

import time
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from benchmarks.needs import begin, new_parser
from benchmarks.rows import Rows
from model_ports import catalog
from model_ports.loading.ports import random_port
from model_ports.port import Port
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, padded_length, tokenize

COLUMNS = {
    "model": "24s", "input": "6s", "bases": "7,d", "GFLOP": "9,.1f", "seconds": "8.2f",
    "fewer": "5.0f", "faster": "6.1f", "difference": "10.1e",
}  # fmt: skip
MODELS = ("enformer-official-rough", "space", "borzoi-replicate-0", "flashzoi-replicate-0")


def flops(call: Callable[[nnx.State, dict], object], port: Port, inputs: dict) -> float:
    """Operations of the compiled call, as XLA counts them."""
    cost = jax.jit(call).lower(port.state, inputs).compile().cost_analysis()
    assert cost is not None
    return float(cost["flops"])


def measure(
    port: Port, sequence: str, length: int, repeats: int
) -> tuple[float, float, np.ndarray]:
    """Operations of the tower, seconds of a call, and the embedding."""
    inputs = collate(port, tokenize(port, [sequence]), length)
    # A tap at 0 alone lets the compiler leave the transformer out.
    tower = flops(lambda state, x: forward(port, state, x, (0,)).states[0], port, inputs)
    embed = embedder(port)
    found, times = np.asarray(embed(port.state, inputs)), []
    for _ in range(repeats):
        start = time.perf_counter()
        np.asarray(embed(port.state, inputs))
        times.append(time.perf_counter() - start)
    return tower, float(np.median(times)), found


def main() -> None:
    """Adds a row a model and input."""
    parser = new_parser(__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--bases", type=int, default=300, help="length of the record")
    parser.add_argument("--repeats", type=int, default=1)
    options = begin(parser)
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), options.bases))
    rows = Rows(COLUMNS, options.out)
    for model_id in options.models:
        port = random_port(catalog.get(model_id))
        full = port.preset.max_tokens
        assert full is not None
        tower, seconds, whole = measure(port, sequence, full, options.repeats)
        row = {"model": model_id, "input": "whole", "bases": full, "GFLOP": tower / 1e9}
        before = rows.add(row | {"seconds": seconds})
        length = padded_length(port, options.bases)
        tower, seconds, found = measure(port, sequence, length, options.repeats)
        row = {"model": model_id, "input": "window", "bases": length, "GFLOP": tower / 1e9}
        row |= {"seconds": seconds, "fewer": before["GFLOP"] / row["GFLOP"]}
        row |= {"faster": before["seconds"] / seconds}
        rows.add(row | {"difference": float(np.abs(whole - found).max() / np.abs(whole).max())})


if __name__ == "__main__":
    main()
