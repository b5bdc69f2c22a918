"""How fast does a port embed, and what share of the device's matrix rate is that?

    python -m benchmarks.embedding --model METAGENE-1 --dtype bfloat16 --length 512 --batch 64

The model has its full-size shape and random weights. The floating-point operations are counted
as 2 x (parameters outside the embedding tables) x tokens, attention left out; the device's rate
is that of a large square product in the same dtype, measured in the same run.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from benchmarks import long_families
from geneb_jax.device import matmul_rate
from model_ports import catalog
from model_ports.port import collate, embedder, random_port

FIXTURES = Path(__file__).parents[1] / "tests" / "golden"
_TABLES = ("embedding",)


def median_seconds(work: Callable[[], jax.Array], repeats: int) -> float:
    """Median wall time of a call, after one that compiles."""
    work().block_until_ready()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work().block_until_ready()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    """Prints one model's figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nucleotide-transformer-v2-50m-multi-species")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--length", type=int, default=64, help="tokens of a record")
    parser.add_argument("--batch", type=int, default=32, help="records of a batch")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument(
        "--families", action="store_true", help="convolution and scan families beside PyTorch"
    )
    options = parser.parse_args()
    if options.families:
        long_families.print_table()
        return
    entry = catalog.get(options.model)
    port = random_port(entry.id, FIXTURES / entry.id, dtype=options.dtype)
    rng = np.random.default_rng(0)
    encoded = [
        rng.integers(0, port.config.vocab_size, options.length, np.int32)
        for _ in range(options.batch)
    ]
    inputs = jax.device_put(collate(port, encoded, options.length))
    embed = embedder(port)
    taken = median_seconds(lambda: embed(port.state, inputs), options.repeats)
    counted = sum(
        leaf.size for path, leaf in nnx.to_flat_state(port.state) if path[-1] not in _TABLES
    )
    tokens = options.batch * options.length
    rate, peak = 2 * counted * tokens / taken, matmul_rate(options.dtype)
    device = jax.devices()[0].device_kind
    print(f"{entry.id}, {counted / 1e6:,.0f}M parameters in products, {options.dtype}")
    print(f"{options.batch} x {options.length} tokens on {device}")
    print(f"{options.batch / taken:,.1f} records/s  {tokens / taken:,.0f} tokens/s")
    print(f"{rate / 1e12:.3f} TFLOP/s, {rate / peak:.0%} of the measured {peak / 1e12:.3f}")


if __name__ == "__main__":
    main()
