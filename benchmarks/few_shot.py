"""Which engine should fit few-shot heads: SciPy on the host, or one program a number of classes?

    python -m benchmarks.few_shot --width 256 --out few_shot.jsonl

The 10-shot and 1-shot heads of the 100 tasks, five seeds, five values of C, solver `geneb`: what a
run with five C fits of one model. The tasks have the rows of train and the classes that their
sources state, and embeddings made as in `benchmarks.probes`. Fits alone are timed, from the rows on
the host to the heads on the host. `SciPy` fits one task after the other, as runs do on every
backend; `compiled` fits the draws of all tasks of one number of classes in one batch on JAX's
default device, a program a number of classes.

Needs nothing but the package. A row is an engine and a number of `classes`, or `all` for the sums:

- `tasks`, `fits`: how many there are;
- `first_cpu`, `first_wall`, `warm_cpu`, `warm_wall`: seconds the first time in the process, with
  compilation, and again;
- `equal_iterations`: of `compiled`, how many fits take as many iterations as SciPy's;
- `head_change`: the largest difference of a head from SciPy's, relative to its largest entry.

`--out` holds these rows, and `device`.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from benchmarks.all_tasks import problems
from benchmarks.needs import begin, new_parser
from benchmarks.probes import FEW, SEEDS, STRENGTHS
from benchmarks.processes import timed_here
from benchmarks.rows import Row, Rows
from geneb_jax.tasks.sizes import TaskSize, published_sizes
from probes import Probe, few_shot_rows, logistic_compiled, logistic_scipy
from probes.draws import Draw, padded_rows, stacked
from probes.kind import FittedHeads
from probes.rows import TaskRows

PROBE = Probe(strengths=STRENGTHS)
COLUMNS = {
    "classes": "3", "engine": "8s", "tasks": "5", "fits": "6", "first_cpu": "9.2f",
    "first_wall": "9.2f", "warm_cpu": "9.2f", "warm_wall": "9.2f", "equal_iterations": "6",
    "head_change": "8.1e",
}  # fmt: skip


class FewShot(NamedTuple):
    """A task's train rows, and the few-shot draws of them that heads are fitted on."""

    train: TaskRows
    draws: Sequence[Draw]


def tasks_by_classes(sizes: Sequence[TaskSize], width: int) -> dict[int, list[FewShot]]:
    """Returns made tasks of some sizes by their number of classes, that of most tasks first."""
    found: dict[int, list[FewShot]] = {}
    for _, problem in problems(sizes, width):
        labels, classes = np.unique(problem.y_train, return_inverse=True)
        draws = [
            Draw(few_shot_rows(classes, shots, seed), seed, whole=False, class_weight="none")
            for shots, seed in itertools.product(FEW, SEEDS)
        ]
        train = TaskRows(problem.x_train, classes, len(labels))
        found.setdefault(len(labels), []).append(FewShot(train, draws))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def fit_by_scipy(tasks: Sequence[FewShot]) -> FittedHeads:
    """Fits the heads of tasks of one number of classes on the host, one task after the other."""
    strengths = np.array(PROBE.strengths)
    fitted = [logistic_scipy.fit_logistic(*task, strengths, PROBE) for task in tasks]
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *fitted)


def fit_compiled(tasks: Sequence[FewShot]) -> FittedHeads:
    """Fits the same heads in one batch on the default device, and returns them on the host."""
    with jax.enable_x64(True):
        fitted = logistic_compiled.fit_in_parts(
            stacked([padded_rows(*task) for task in tasks]),
            np.array(PROBE.strengths),
            solver=PROBE.solver,
            standardised=PROBE.standardised,
        )
    return jax.device_get(fitted)


ENGINES: dict[str, Callable[[Sequence[FewShot]], FittedHeads]] = {
    "SciPy": fit_by_scipy,
    "compiled": fit_compiled,
}


def differences(fitted: FittedHeads, scipy: FittedHeads) -> Row:
    """Compares the compiled engine's heads with SciPy's: iterations, and the heads' entries."""
    axes = (-2, -1)
    change = np.abs(fitted.head - scipy.head).max(axes) / np.abs(scipy.head).max(axes)
    return {
        "equal_iterations": int(np.sum(fitted.iterations == scipy.iterations)),
        "head_change": float(change.max()),
    }


def measure(classes: int, tasks: Sequence[FewShot]) -> Iterator[Row]:
    """Fits the heads of tasks of one number of classes, and yields the row of each engine."""
    heads: dict[str, FittedHeads] = {}
    for engine, fit in ENGINES.items():
        row: Row = {"classes": classes, "engine": engine, "tasks": len(tasks)}
        for when in ("first", "warm"):
            heads[engine], taken = timed_here(lambda fit=fit: fit(tasks))
            row |= {f"{when}_{name}": seconds for name, seconds in taken.items()}
        row["fits"] = heads[engine].iterations.size
        if engine != "SciPy":
            row |= differences(heads[engine], heads["SciPy"])
        yield row | {"device": jax.devices()[0].device_kind}


def total(found: Sequence[Row], engine: str) -> Row:
    """Returns the sums of an engine's rows, and the largest difference of a head."""
    own = [row for row in found if row["engine"] == engine]
    kept: Row = {"classes": "all", "engine": engine, "device": own[0]["device"]}
    for name in own[0].keys() - kept.keys():
        values = [row[name] for row in own]
        kept[name] = max(values) if name == "head_change" else sum(values)
    return kept


def main() -> None:
    """Measures both engines on the tasks of each number of classes, and prints the sums."""
    parser = new_parser(__doc__)
    parser.add_argument("--width", type=int, default=256, help="D of the embeddings")
    parser.add_argument("--tasks", type=int, default=100, help="the first so many only")
    options = begin(parser)
    sizes, rows = published_sizes()[: options.tasks], Rows(COLUMNS, options.out)
    found = [
        rows.add(row)
        for classes, tasks in tasks_by_classes(sizes, options.width).items()
        for row in measure(classes, tasks)
    ]
    for engine in ENGINES:
        rows.add(total(found, engine))


if __name__ == "__main__":
    main()
