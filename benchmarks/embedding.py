"""How fast is the embedding engine, beside PyTorch and beside the device's matrix rate?

    python -m benchmarks.embedding
    python -m benchmarks.embedding --model METAGENE-1 --dtype bfloat16 --length 512

The table: the engine, PyTorch as GENEB's harness runs it (batches of 8 in input order; the
Nucleotide Transformers padded to 2,048 tokens) and PyTorch done well (sorted by length, batches
of 64 padded to their longest, inference mode, `scaled_dot_product_attention`), all in float32 on
all cores, from token ids to embeddings, warm. The models have their full-size shapes and the same
random weights on all sides; the records are random tokens in the length mix of the benchmark's
records. Each side is a process of its own, whose peak resident memory counts loading too.

`rate` and `tokens_s` are records and tokens a second, `ratio` says how many times as many records
the engine embeds a second; `waits` the share of time in which the device had nothing to do because
the host was not ready; `of_matmul` the FLOP/s of matrix products as a share of the rate of a large
square product; `difference` the largest difference of the embeddings from the engine's, relative to
their largest entry.

With `--model` the engine alone runs, with any model, and the row has its `TFLOP_s`, the tokens of
its batches and how many shapes they have. With `--families` the rows are those of
`benchmarks.long_families`.

Needs a clone and Linux, and PyTorch (`pip install '.[convert]'`) but for `--model`. `--out` holds
these rows.
"""

import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import long_families
from benchmarks.embedding_case import Case
from benchmarks.embedding_engine import draw_records, fixture, run, write_case
from benchmarks.needs import begin, fixtures, linux, new_parser, packages
from benchmarks.rows import Rows
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


COLUMNS = {
    "model": "10s", "side": "17s", "records": "7", "rate": "8.2f", "tokens_s": "9.0f",
    "padding": "7.1%", "ratio": "6.2f", "gib": "6.2f", "waits": "6.2%", "of_matmul": "9.0%",
    "difference": "10.1e",
}  # fmt: skip
COLUMNS_ALONE = {
    "model": "45s", "dtype": "8s", "records": "7", "rate": "8.2f", "tokens_s": "9.0f",
    "padding": "7.1%", "waits": "6.2%", "TFLOP_s": "7.3f", "of_matmul": "9.0%",
    "batch_tokens": "12", "shapes": "6",
}  # fmt: skip

# The module that measures each side, and its arguments; the engine stands first.
SIDES = {
    "engine": ("benchmarks.embedding_engine",),
    "PyTorch, harness": ("benchmarks.embedding_torch", "harness"),
    "PyTorch done well": ("benchmarks.embedding_torch", "well"),
}


def sides(case: Case) -> Iterator[dict[str, Any]]:
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
            yield {"side": side, "difference": float(change)} | with_rates(row)


def with_rates(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns a side's figures with its rates."""
    row = dict(figures)
    row["rate"], row["tokens_s"] = (row[name] / row["seconds"] for name in ("records", "tokens"))
    if "flop" in row:
        row["TFLOP_s"] = row["flop"] / row["seconds"] / 1e12
        row["of_matmul"] = row["TFLOP_s"] * 1e12 / row["matmul_rate"]
    return row


def compare(names: Sequence[str], rows: Rows) -> None:
    """Adds the rows of each case."""
    for name in names:
        rate = None
        for row in sides(CASES[name]):
            rate = rate or row["rate"]
            rows.add({"model": name, "ratio": rate / row["rate"]} | row)


def measure_alone(
    model_id: str, dtype: str, count: int, length: int | None, rows: Rows
) -> dict[str, Any]:
    """Adds the row of the engine alone, and returns it."""
    port = random_port(catalog.get(model_id), fixture(model_id), dtype=dtype)
    limit = port.preset.max_tokens
    figures, _ = run(port, draw_records(model_id, count, port.config.vocab_size, limit, length))
    constants = {"model": model_id, "dtype": dtype, "device": jax.devices()[0].device_kind}
    return rows.add(constants | with_rates(figures))


def main() -> None:
    """Measures what is asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES, metavar="NAME")
    parser.add_argument("--model", help="the engine alone, with this model")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--length", type=int, help="tokens of a record, instead of the mix")
    parser.add_argument("--records", type=int, default=2048)
    parser.add_argument(
        "--families", action="store_true", help="convolution and scan families beside PyTorch"
    )

    def needs(options: Namespace) -> Iterator[str]:
        yield from (*linux(), *fixtures())
        yield from () if options.model else packages("torch")

    options = begin(parser, needs)
    if options.families:
        long_families.compare(long_families.CASES, options.out)
    elif options.model:
        rows = Rows(COLUMNS_ALONE, options.out)
        measure_alone(options.model, options.dtype, options.records, options.length, rows)
    else:
        compare(options.only, Rows(COLUMNS, options.out))


if __name__ == "__main__":
    main()
