"""Do the long-input ports run on very long records, and do time and memory grow linearly?

    python -m benchmarks.long_inputs

HyenaDNA-Large-1M and NTv3 8M on up to a million tokens and Caduceus-PS on up to 131,072, at their
full size, and two blocks of Evo 2 1B at its full width, those with its medium and its long filters,
on up to 100,000; random weights, float32, one record a run. Each run is a process of its own, whose
peak resident memory `gib` is printed beside the seconds to `compile` and of the call, and the
exponents of growth of time and memory from the length before: 1 is linear.

Needs Linux. `--out` holds these rows.
"""

import argparse
import json
import math
import subprocess
import sys
import time

import jax
import numpy as np

from benchmarks.needs import begin, linux, new_parser
from benchmarks.processes import peak_bytes
from benchmarks.rows import Row, Rows
from model_ports import catalog
from model_ports.loading.ports import random_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate

COLUMNS = {
    "model": "48s", "tokens": "9,d", "compile": "7.1f", "seconds": "8.1f", "gib": "6.2f",
    "time_growth": "5.2f", "memory_growth": "5.2f",
}  # fmt: skip
LENGTHS = {
    "hyenadna-large-1m-seqlen-hf": (125_000, 250_000, 500_000, 1_000_000),
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": (16_384, 32_768, 65_536, 131_072),
    "NTv3_8M_pre": (131_072, 262_144, 524_288, 1_048_576),
    "evo2_1b_base": (25_000, 50_000, 100_000),
}
# Fields of config.json that make a model of fewer blocks.
FEWER_BLOCKS = {
    "evo2_1b_base": {
        "num_layers": 2,
        "hcs_layer_idxs": [],
        "hcm_layer_idxs": [0],
        "hcl_layer_idxs": [1],
        "attn_layer_idxs": [],
    }
}


def measure(model_id: str, length: int) -> dict[str, float]:
    """Seconds to compile and to run, and this process's peak memory in GiB."""
    port = random_port(catalog.get(model_id), fields=FEWER_BLOCKS.get(model_id))
    ids = np.random.default_rng(0).integers(0, port.config.vocab_size, length, np.int32)
    inputs = jax.device_put(collate(port, [ids], length))
    start = time.perf_counter()
    embed = embedder(port).lower(port.state, inputs).compile()  # pyright: ignore (jitted)
    compiled = time.perf_counter()
    vector = np.asarray(embed(port.state, inputs))
    seconds = time.perf_counter() - compiled
    if not np.isfinite(vector).all():
        raise FloatingPointError(f"{model_id}: not finite at {length} tokens")
    return {"compile": compiled - start, "seconds": seconds, "gib": peak_bytes() / 2**30}


def growth(row: Row, before: Row) -> Row:
    """Returns the exponents of growth of time and memory between two lengths of a model."""
    longer = math.log(row["tokens"] / before["tokens"])
    return {
        name: math.log(row[of] / before[of]) / longer
        for name, of in (("time_growth", "seconds"), ("memory_growth", "gib"))
    }


def main() -> None:
    """Measures each model and length in a process of its own."""
    parser = new_parser(__doc__)
    parser.add_argument("--models", nargs="+", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--lengths", nargs="+", type=int, help="tokens, instead of each model's")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = begin(parser, lambda _: linux())
    if options.one:
        print(json.dumps(measure(options.models[0], options.lengths[0])))
        return
    rows = Rows(COLUMNS, options.out)
    for model_id in options.models:
        before = None
        for length in options.lengths or LENGTHS[model_id]:
            command = [sys.executable, "-m", "benchmarks.long_inputs", "--one"]
            command += ["--models", model_id, "--lengths", str(length)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            row = {"model": model_id, "tokens": length} | json.loads(done.stdout)
            before = rows.add(row | (growth(row, before) if before else {}))


if __name__ == "__main__":
    main()
