"""What does the window around a record save in Enformer, SPACE, Borzoi and Flashzoi?

    python -m benchmarks.padding_window

One record of 300 bases through the full-size model with random weights: the whole input, padded
to 131,072, 196,608 or 524,288 bases, beside the window that gives the same embedding. Prints the
floating-point operations that XLA counts (a loop's body once, so that the transformer, which
both run in full, counts as one layer; `tower` leaves it out), the time of a call, and the
embeddings' largest difference relative to their largest entry.
"""

import argparse
import time
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from model_ports import catalog
from model_ports.loading.ports import random_port
from model_ports.port import Port
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, padded_length, tokenize

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
    """Prints one line a model and length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--bases", type=int, default=300, help="length of the record")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), options.bases))
    for model_id in options.models:
        port = random_port(catalog.get(model_id))
        full = port.preset.max_tokens
        assert full is not None
        lengths = {"whole": full, "window": padded_length(port, options.bases)}
        rows = {}
        for name, length in lengths.items():
            rows[name] = measure(port, sequence, length, options.repeats)
            tower, seconds, _ = rows[name]
            print(
                f"{model_id:24s} {name:6s} {length:7,d} bases  tower {tower / 1e9:9,.1f} GFLOP"
                f"  {seconds:8.2f} s",
                flush=True,
            )
        whole, window = rows["whole"], rows["window"]
        change = np.abs(whole[2] - window[2]).max() / np.abs(whole[2]).max()
        print(
            f"{model_id:24s} saved: tower {whole[0] / window[0]:,.0f} times fewer operations, "
            f"{whole[1] / window[1]:.1f} times faster; difference {change:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
