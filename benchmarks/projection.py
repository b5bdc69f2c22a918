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
or do not fit into memory, are left out, and said to be.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from math import log

import jax
import numpy as np

from benchmarks.embedding_engine import draw_records, fixture, length_mix, models_beyond, run
from geneb_jax.devices.capacity import out_of_memory, peak_bytes
from geneb_jax.devices.flop import matrix_flop
from geneb_jax.tasks.sizes import published_sizes
from model_ports import catalog
from model_ports.loading.ports import abstract_port, random_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length

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


def measure(model_id: str, dtype: str, count: int) -> float | None:
    """Embeds records with a random model and prints its figures.

    Returns:
        Operations a second; None: the model does not fit into memory.
    """
    dtype = catalog.get(model_id).dtype if dtype == "auto" else dtype
    start = time.perf_counter()
    try:
        port = random_port(catalog.get(model_id), fixture(model_id), dtype=dtype)
        records = draw_records(model_id, count, port.config.vocab_size, port.preset.max_tokens)
        row, _ = run(port, records)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        print(f"{model_id:50s} {dtype:8s} does not fit", flush=True)
        return None
    rate, peak = row["flop"] / row["seconds"], peak_bytes()
    figures = (
        f"{count / row['seconds']:9.2f}",
        f"{row['tokens'] / row['seconds']:9.0f}",
        f"{row['padding']:8.1%}",
        f"{row['waits']:6.1%}",
        f"{rate / 1e12:8.3f}",
        f"{rate / row['matmul_rate']:9.0%}",
        f"{peak / 2**30:8.1f}" if peak else f"{'-':>8s}",  # CPUs do not say
        f"{time.perf_counter() - start:6.0f}",
    )
    print(f"{model_id:50s} {dtype:8s}", *figures, flush=True)
    return rate


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


def project(rates: Mapping[str, float], model_ids: Sequence[str]) -> None:
    """Prints what all records take with each of some models, and the sum."""
    records = sum(size.train + size.test for size in published_sizes())
    print(f"\n{'':50s} GFLOP/record  records/s     hours  at the rate of")
    total, left_out = 0.0, []
    for entry in map(catalog.get, model_ids):
        like = nearest(entry, rates)
        if like is None:
            left_out.append(entry.id)
            continue
        flop = flop_per_record(entry.id)
        hours = records * flop / rates[like] / 3600
        total += hours
        print(
            f"{entry.id:50s} {flop / 1e9:12.2f} {rates[like] / flop:10.2f} {hours:9.2f}  {like}",
            flush=True,
        )
    print(f"{records} records on one {jax.devices()[0].device_kind}: {total:.1f} hours")
    if left_out:
        print(f"without {', '.join(left_out)}")


def main() -> None:
    """Measures and projects."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = [*catalog.entries(), *models_beyond()]
    parser.add_argument(
        "--models", nargs="+", default=smallest_models(), choices=choices, metavar="ID"
    )
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--records", type=int, default=256)
    options = parser.parse_args()
    print(
        f"{'':50s} {'':8s} records/s  tokens/s  padding  waits  TFLOP/s of matmul peak GiB seconds"
    )
    rates = {name: measure(name, options.dtype, options.records) for name in options.models}
    found = {name: rate for name, rate in rates.items() if rate is not None}
    project(found, list(catalog.entries()))
    project(found, models_beyond())


if __name__ == "__main__":
    main()
