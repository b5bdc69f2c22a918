"""What do the ports promise, in numbers?

    python -m benchmarks.ports

For each ported model, on its conformance fixture: how much a record's corrected embedding
changes with batch and bucket (relative to its largest entry, float32), and the lowest cosine
between its bfloat16 and float32 embeddings. Then the compile time of NT-2.5B-MS's program at
three depths.

Needs a clone. `--out` holds the rows: `model`, `change` and `cosine`; `model`, `layers` and
`compile_seconds`, of batches of 8 x 128 tokens.
"""

import json
import time

import jax
import numpy as np

from benchmarks.embedding_engine import fixture, models_beyond
from benchmarks.needs import begin, fixtures, new_parser
from benchmarks.rows import Rows
from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import abstract_port, load_port
from model_ports.port import Port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize

DEEP = "nucleotide-transformer-2.5b-multi-species"
DEPTHS = (8, 16, 32)
SHAPE = (8, 128)


def embeddings(port: Port, encoded: list[np.ndarray], groups: list[list[int]], extra: int):
    """Embeds records in groups, each padded by `extra` tokens; float64 [N, D]."""
    embed = embedder(port)
    found = {}
    for rows in groups:
        longest = max(len(encoded[row]) for row in rows)
        inputs = collate(port, [encoded[row] for row in rows], padded_length(port, longest + extra))
        found |= dict(zip(rows, np.asarray(embed(port.state, inputs), np.float64), strict=True))
    return np.stack([found[row] for row in range(len(encoded))])


def measure(model_id: str) -> tuple[float, float]:
    """Largest relative change with batch and bucket, and lowest bfloat16 cosine."""
    folder = fixture(model_id)
    records = json.loads((folder / "cases.json").read_text())["sequences"]
    port = load_port(plan_checkpoint(catalog.get(model_id), folder))
    encoded = tokenize(port, records)
    alone = [[row] for row in range(len(encoded))]
    exact = port.preset.batching == "exact"
    together = alone if exact else [list(range(len(encoded)))]
    a = embeddings(port, encoded, alone, 0)
    b = embeddings(port, encoded, together, 0 if exact else 3)
    change = np.max(np.abs(a - b).max(1) / np.abs(a).max(1))
    c = embeddings(
        load_port(plan_checkpoint(catalog.get(model_id), folder), dtype="bfloat16"),
        encoded,
        together,
        0,
    )
    cosine = (a * c).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(c, axis=1)
    return float(change), float(cosine.min())


def compile_seconds(model_id: str, depth: int) -> float:
    """Time to compile the full-size forward at another depth, weights abstract."""
    port = abstract_port(
        catalog.get(model_id), fixture(model_id), fields={"num_hidden_layers": depth}
    )
    rows, length = SHAPE
    inputs = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in collate(port, [np.zeros(1, np.int32)] * rows, length).items()
    }
    lowered = embedder(port).lower(port.state, inputs)  # pyright: ignore (a jitted function)
    start = time.perf_counter()
    lowered.compile()
    return time.perf_counter() - start


def main() -> None:
    """Measures the models that are asked for, and compile times where none is named."""
    parser = new_parser(__doc__)
    ported = [entry.id for entry in catalog.entries().values() if entry.ported]
    known = [*ported, *models_beyond()]
    parser.add_argument(
        "--models", nargs="+", choices=known, metavar="ID", help="these alone, and nothing compiled"
    )
    options = begin(parser, lambda _: fixtures())
    rows = Rows({"model": "50s", "change": "8.1e", "cosine": "8.5f"}, options.out)
    for model_id in options.models or known:
        change, cosine = measure(model_id)
        rows.add({"model": model_id, "change": change, "cosine": cosine})
    if options.models:
        return
    rows = Rows({"model": "50s", "layers": "6", "compile_seconds": "6.2f"}, options.out)
    for depth in DEPTHS:
        seconds = compile_seconds(DEEP, depth)
        rows.add({"model": DEEP, "layers": depth, "compile_seconds": seconds})


if __name__ == "__main__":
    main()
