"""What does this accelerator do? Everything of interest in one command of at most 8 minutes.

    python -m benchmarks.accelerator --out accelerator.jsonl
    python -m benchmarks.accelerator --only models projection --budget 300
    python -m benchmarks.accelerator --only projection --out accelerator.jsonl    # on any machine
    python -m benchmarks.accelerator --scale toy                                  # on a CPU

The parts run in the order of `PARTS`, each for the seconds that stand there: whether any are left
is looked at before each case, and a case under way that takes 20 s longer is stopped. They run in
another process, so that what hangs or crashes ends one case alone. A case that fails, or does not
fit into memory, is said in one line. Each row is written as it ends, as a line of JSON at the
end of `--out`; the rows that stand there already belong to the table and to the projection. Needs
a clone and, but for `--scale toy`, an accelerator; a part that lacks something is left out.

Weights are random and made on the device. Programs are compiled anew: nothing is read from the
compilation cache. Every row has

- `part`, `case`: what was measured;
- `seconds`: wall time of the case, everything included;
- `compile_s`, `programs`: of it, compiling by XLA (its kernels' tuning included, tracing not), and
  how many programs; the last table has the sums of each part;
- `failed`: why there are no figures; these rows stand below the tables.

What a part has as columns beside these:

`device` names the accelerator, the versions and the host's cores.

`rates`: `TFLOP_s` of square products, one a call as models' shares refer to it, and many in one
program (`chain`), by dtype and precision (`highest` computes float32 as float32, `default` may
take TF32); `GB_s` read and written by `x + 1`, and copied from and to the host.

`attention`: one layer of a model in bfloat16, a third of each record padding. Milliseconds of
`engine` (as models call it), `blocks` (without a kernel) and `whole` (the scores of all pairs;
empty: does not fit); `cudnn`, whether the engine took cuDNN's kernel; `gain`, the faster of the
other two over the engine; `engine_error`, `blocks_error`, the largest difference from NumPy in
float64 over some queries and heads of the first record, relative to its largest entry.

`models`: the embedding engine, warm, on full batches of one `length`: that in which most of the
benchmark's tokens are computed, where none is named. `records_s`, `tokens_s`, `TFLOP_s` of
products and convolutions, `share` of the product rate of that dtype, `waits`, the share of time
in which the device waited for the host, `GiB` of arguments, results and temporary arrays of the
program, `random_s` to make the weights. Evo-1 has 8 of its 32 layers, one of them attention.

`probes` (needs scikit-learn, `pip install '.[test]'`): heads of one made task for five values of C,
full or few-shot, with scores on 2,000 test rows: `first_s` with compilation, `warm_s` without,
`iterations` and `MCC` of the full fits by C; scikit-learn's `peer_s`, at its defaults on the host,
by C and in all. `fits` counts the 10-shot and 1-shot fits of tasks of the benchmark's sizes (at
most 20,000 rows of train): of all 100 tasks, and of every tenth beside scikit-learn, whose `peer_s`
for the same ones is `ratio` times `warm_s`. These are SciPy's on the host, with every backend.
`few-shot fits` are the same of all tasks of one number of classes, without scores, by the compiled
engine in one batch on the device: `first_s` with compilation of its one program, `warm_s` without,
and `scipy_s` by SciPy, which is `ratio` times `warm_s`: above 1 the compiled engine is the faster.
`equal_iterations` counts the fits of as many iterations, and `head_change` is the largest
difference of a head, relative to its largest entry.

`float64`: compiled full fits of five C on the device. `float64-cpu`: the same on the host, with
`device_s`, the device's `warm_s`, `ratio` of the two, `equal_iterations`, how many of the counts
are the device's, and `objective_change`, the largest relative difference.

`projection`: `GFLOP` a record of the benchmark takes with each of the 40 models, and the hours
that all records of the 100 tasks take in `float32_h` and `bfloat16_h`, at the `TFLOP_s` of the
measured model `like` it: the nearest in size of its family, or of a family of like arithmetic.
Padding and tokenizing are not in it. The last row is the sum.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from tabulate import tabulate

from benchmarks import accelerator_parts as measured
from benchmarks.isolation import Part, measure_parts
from benchmarks.needs import begin, fixtures, new_parser
from benchmarks.rows import Row, keep, read_rows

_COSTS = ("seconds", "compile_s", "programs")  # of each case
_NOT_SHOWN = ("part", "model", "dtype")  # in a table: the part and the case say it
_SKLEARN = {"sklearn": "pip install scikit-learn"}
PARTS = {
    "device": Part(measured.device, 45),
    "rates": Part(measured.rates, 25),
    "attention": Part(measured.attentions, 50),
    "models": Part(measured.models, 150),
    "probes": Part(measured.probes, 100, needs=_SKLEARN),
    "float64": Part(measured.float64_fits, 40),
    "float64-cpu": Part(measured.float64_on_cpu, 35, "cpu"),
    "projection": Part(measured.projected, 30, "cpu"),
}
BUDGET = 475.0  # seconds, the sum of the parts'; starting processes is in it


def missing(parts: Mapping[str, Part]) -> dict[str, str]:
    """Names the parts that cannot run here, and says what they need."""
    return {
        name: f"needs {package}: {how}"
        for name, part in parts.items()
        for package, how in part.needs.items()
        if importlib.util.find_spec(package) is None
    }


def tables(rows: Sequence[Row]) -> str:
    """The last row of each case in a table a part, what each part cost, and what failed."""
    last = {(row["part"], row["case"]): row for row in rows}
    done = [row for row in last.values() if "failed" not in row]
    text, costs = [], []
    for name in PARTS:
        own = [row for row in done if row["part"] == name]
        cells = [
            {column: _short(value) for column, value in row.items() if column not in _NOT_SHOWN}
            for row in own
        ]
        if own:
            text.append(f"{name}\n{tabulate(cells, headers='keys', floatfmt='.4g')}")
            costs.append({"part": name} | {cost: sum(row[cost] for row in own) for cost in _COSTS})
    costs.append({"part": "all"} | {cost: sum(row[cost] for row in costs) for cost in _COSTS})
    text.append(tabulate(costs, headers="keys", floatfmt=".1f"))
    failed = [row for row in last.values() if "failed" in row]
    text += ["\n".join(f"{row['part']}, {row['case']}: {row['failed']}" for row in failed)]
    return "\n\n".join(filter(None, text))


def _short(value: Any) -> Any:
    """Joins the numbers of a list, as its cell."""
    return " ".join(f"{number:.4g}" for number in value) if isinstance(value, list) else value


def main() -> None:
    """Measures what is asked for, and prints each row as it ends and the tables."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds in all")
    parser.add_argument("--scale", choices=measured.SCALES, default="full")
    options = begin(parser, lambda _: fixtures())
    parts = {
        name: replace(part, seconds=part.seconds * options.budget / BUDGET)
        for name, part in PARTS.items()
        if name in options.only
    }
    lacking = missing(parts)
    for name, need in lacking.items():
        print(f"{name} is left out: it {need}")
    parts = {name: part for name, part in parts.items() if name not in lacking}
    if any(part.platform is None for part in parts.values()):
        parts = {"device": PARTS["device"]} | parts
    rows = read_rows(options.out)
    found = measure_parts(parts, measured.SCALES[options.scale], rows, options.budget)
    with closing(found):
        for row in found:
            rows.append(row)
            print(json.dumps(row))
            if row.get("backend") == "cpu" and options.scale == "full":
                parser.error(
                    "no accelerator: JAX found the CPU alone; install jax[cuda13] or jax[tpu], "
                    "or give --scale toy"
                )
            keep(options.out, row)
    print(f"\n{tables(rows)}")


if __name__ == "__main__":
    main()
