"""How long does one device take to embed all of GENEB, with all 40 models?

    python -m benchmarks.projection
    python -m benchmarks.projection --dtype bfloat16 --models evo-1-131k-base METAGENE-1 ...

First the engine is measured, warm, with some models (of each family the smallest one, or those
named) at full size, with random weights, on records of the benchmark's token lengths. Then all 40
are projected, and apart from them the models beyond the paper's that have a fixture: the operations
of their matrix products and convolutions on every record of the 100 tasks
(`geneb_jax.tasks.sizes`, train and test; none is counted as embedded for another task), over the
operations a second that the model reached, or the measured model of its family that is nearest in
size. Padding, some per cent of a full run, is not in it. Models of families that were not measured,
or do not fit into memory, have no hours.

Needs a clone. `--out` holds the rows. Measured: records and tokens a second, the share of
`padding`, `waits` (the time in which the device waited for the host), `TFLOP_s`, its share
`of_matmul` of the rate of a large square product, `peak_gib` (CPUs do not say) and all `seconds`.
Projected: `GFLOP` a record, `projected_s` records a second, `hours`, and the measured model `like`
it; last their sum.
"""

import time
from collections.abc import Mapping, Sequence
from math import log

import jax
import numpy as np

from benchmarks.embedding import with_rates
from benchmarks.embedding_engine import draw_records, fixture, length_mix, models_beyond, run
from benchmarks.needs import begin, fixtures, new_parser
from benchmarks.rows import Row, Rows
from geneb_jax.devices.capacity import out_of_memory, peak_bytes
from geneb_jax.devices.flop import matrix_flop
from geneb_jax.tasks.sizes import published_sizes
from model_ports import catalog
from model_ports.loading.ports import abstract_port, random_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length

MEASURED = {
    "model": "50s", "dtype": "8s", "rate": "9.2f", "tokens_s": "9.0f", "padding": "7.1%",
    "waits": "6.1%", "TFLOP_s": "8.3f", "of_matmul": "9.0%", "peak_gib": "8.1f", "seconds": "7.0f",
    "failed": "s",
}  # fmt: skip
PROJECTED = {
    "model": "50s", "GFLOP": "10.2f", "projected_s": "10.2f", "hours": "9.2f", "like": "s",
}  # fmt: skip
_POINTS = 6  # lengths at which a model's operations are counted; between them they are linear


def flop_per_record(model_id: str) -> float:
    """Operations of a model's matrix products and convolutions on a record, without padding."""
    port = abstract_port(catalog.get(model_id), fixture(model_id))
    lengths, share = length_mix(model_id)
    lengths = np.minimum(lengths, port.preset.max_tokens or lengths)
    points = np.unique(np.quantile(lengths, np.linspace(0, 1, _POINTS)).astype(int))
    call = embedder(port)
    counts = []
    for length in points.tolist():
        inputs = collate(port, [np.zeros(1, np.int32)], padded_length(port, length))
        counts.append(matrix_flop(call.trace(port.state, inputs).jaxpr.jaxpr))  # pyright: ignore
    return float(share @ np.interp(lengths, points, counts))


def measure(model_id: str, dtype: str, count: int) -> Row:
    """Embeds records with a random model; returns its row, without rates where it does not fit."""
    dtype = catalog.get(model_id).dtype if dtype == "auto" else dtype
    row: Row = {"model": model_id, "dtype": dtype, "device": jax.devices()[0].device_kind}
    start = time.perf_counter()
    try:
        port = random_port(catalog.get(model_id), fixture(model_id), dtype=dtype)
        records = draw_records(model_id, count, port.config.vocab_size, port.preset.max_tokens)
        figures, _ = run(port, records)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return row | {"failed": "does not fit into memory"}
    peak = peak_bytes()
    row |= with_rates(figures) | {"seconds": time.perf_counter() - start}
    return row | {"peak_gib": peak / 2**30 if peak else None}


def nearest(entry: catalog.Entry, rates: Mapping[str, float]) -> str | None:
    """The measured model of a model's family that is nearest to it in size; None: there is none."""
    own = [name for name in rates if catalog.get(name).family == entry.family]
    return min(
        own, key=lambda name: abs(log(catalog.get(name).params / entry.params)), default=None
    )


def smallest_models() -> list[str]:
    """The smallest model of each family."""
    models = map(catalog.get, [*catalog.entries(), *models_beyond()])
    largest_first = sorted(models, key=lambda entry: -entry.params)
    return list({entry.family: entry.id for entry in largest_first}.values())


def project(rates: Mapping[str, float], model_ids: Sequence[str], rows: Rows) -> None:
    """Adds what all records take with each of some models, and the sum.

    Args:
        rates: Operations a second of the measured models.
        model_ids: What to project.
        rows: Takes the rows.
    """
    records = sum(size.train + size.test for size in published_sizes())
    hours = []
    for entry in map(catalog.get, model_ids):
        row: Row = {"model": entry.id, "like": nearest(entry, rates)}
        if row["like"] is not None:
            flop, rate = flop_per_record(entry.id), rates[row["like"]]
            hours.append(records * flop / rate / 3600)
            row |= {"GFLOP": flop / 1e9, "projected_s": rate / flop, "hours": hours[-1]}
        rows.add(row)
    rows.add({"model": f"{records} records, {len(hours)} models", "hours": sum(hours)})


def main() -> None:
    """Measures and projects."""
    parser = new_parser(__doc__)
    choices = [*catalog.entries(), *models_beyond()]
    parser.add_argument(
        "--models", nargs="+", default=smallest_models(), choices=choices, metavar="ID"
    )
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--records", type=int, default=256)
    options = begin(parser, lambda _: fixtures())
    rows = Rows(MEASURED, options.out)
    found = [rows.add(measure(name, options.dtype, options.records)) for name in options.models]
    rates = {row["model"]: row["TFLOP_s"] * 1e12 for row in found if "failed" not in row}
    rows = Rows(PROJECTED, options.out)
    project(rates, list(catalog.entries()), rows)
    project(rates, models_beyond(), rows)


if __name__ == "__main__":
    main()
