"""How fast is the embedding engine, beside PyTorch and beside the device's matrix rate?

    python -m benchmarks.embedding
    python -m benchmarks.embedding --model METAGENE-1 --dtype bfloat16 --length 512

The table: the engine, PyTorch as GENEB's harness runs it (batches of 8 in input order; the
Nucleotide Transformers padded to 2,048 tokens) and PyTorch done well (sorted by length, batches
of 64 padded to their longest, inference mode, `scaled_dot_product_attention`), all in float32 on
all cores, from token ids to embeddings, warm. The models have their full-size shapes and the same
random weights on all sides; the records are random tokens in the length mix of the benchmark's
records. Each side is a process of its own, whose peak resident memory counts loading too.

`ratio` says how many times as many sequences the engine embeds a second; `waits` the share of
time in which the device had nothing to do because the host was not ready; `of matmul` the FLOP/s
of matrix products as a share of the rate of a large square product; `difference` the largest
difference of the embeddings from the engine's, relative to their largest entry.

With `--model` the engine alone runs, with any model.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import long_families
from benchmarks.embedding_case import Case
from benchmarks.embedding_engine import draw_records, fixture, run, write_case
from model_ports import catalog
from model_ports.loading.ports import random_port

CASES = {
    "NT-v2-50M": Case("nucleotide-transformer-v2-50m-multi-species", "esm", 6144, 16, 2048),
    "DNABERT-2": Case("dnabert2-no-flashattention", "mosaic_bert", 3072, 256),
    # GENERator's kind of Llama at 103M parameters in its blocks.
    "Llama-100M": Case(
        "GENERator-eukaryote-1.2b-base",
        "llama",
        3072,
        256,
        changes={
            "hidden_size": 768,
            "intermediate_size": 2112,
            "num_hidden_layers": 16,
            "num_attention_heads": 12,
            "num_key_value_heads": 4,
        },
    ),
}


# The module that measures each side, and its arguments; the engine stands first.
SIDES = {
    "engine": ("benchmarks.embedding_engine",),
    "PyTorch, harness": ("benchmarks.embedding_torch", "harness"),
    "PyTorch done well": ("benchmarks.embedding_torch", "well"),
}


def rows(case: Case) -> Iterator[dict[str, Any]]:
    """Yields the figures of each side of a case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_case(case, folder)
        ours = np.zeros(0)
        for side, (module, *arguments) in SIDES.items():
            command = [sys.executable, "-m", module, name, *arguments]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            row = json.loads(done.stdout.splitlines()[-1])
            found = np.load(folder / "embeddings.npy")
            ours = ours if ours.size else found
            change = np.abs(found - ours[: len(found)]).max() / np.abs(ours).max()
            rate = row["records"] / row["seconds"]
            yield {"side": side, "rate": rate, "difference": float(change)} | row


def print_table(names: Sequence[str]) -> None:
    """Prints the table row by row."""
    print(
        f"{'model':10s}  {'side':17s} records  seq/s  tokens/s  padding  ratio  peak GiB  "
        "waits  of matmul  difference"
    )
    for name in names:
        rate = 0.0
        for row in rows(CASES[name]):
            rate = rate or row["rate"]
            print(
                f"{name:10s}  {row['side']:17s} {row['records']:7d} {row['rate']:6.2f} "
                f"{row['tokens'] / row['seconds']:9.0f} {row['padding']:8.1%} "
                f"{rate / row['rate']:6.2f} {row['gib']:9.2f}  ",
                end="",
            )
            if row["side"] == "engine":
                share = row["flop"] / row["seconds"] / row["matmul_rate"]
                print(f"{row['waits']:5.2%} {share:10.0%}", flush=True)
            else:
                print(f"{row['difference']:28.1e}", flush=True)


def print_model(model_id: str, dtype: str, count: int, length: int | None) -> None:
    """Prints the figures of the engine alone."""
    port = random_port(catalog.get(model_id), fixture(model_id), dtype=dtype)
    limit = port.preset.max_tokens
    row, _ = run(port, draw_records(model_id, count, port.config.vocab_size, limit, length))
    rate, seconds = row["flop"] / row["seconds"], row["seconds"]
    print(f"{model_id}, {dtype}, {count} records on {jax.devices()[0].device_kind}")
    print(f"batches of {row['batch_tokens']} tokens in {row['shapes']} shapes")
    print(
        f"{count / seconds:,.1f} records/s  {row['tokens'] / seconds:,.0f} tokens/s  "
        f"{row['padding']:.1%} padding  device waits {row['waits']:.2%} of the time"
    )
    print(
        f"{rate / 1e12:.3f} TFLOP/s, {rate / row['matmul_rate']:.0%} of the measured "
        f"{row['matmul_rate'] / 1e12:.3f}"
    )


def main() -> None:
    """Prints the table, or what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES, metavar="NAME")
    parser.add_argument("--model", help="the engine alone, with this model")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--length", type=int, help="tokens of a record, instead of the mix")
    parser.add_argument("--records", type=int, default=2048)
    parser.add_argument(
        "--families", action="store_true", help="convolution and scan families beside PyTorch"
    )
    options = parser.parse_args()
    if options.families:
        long_families.print_table()
    elif options.model:
        print_model(options.model, options.dtype, options.records, options.length)
    else:
        print_table(options.only)


if __name__ == "__main__":
    main()
