"""Scores of the `geneb` solvers beside scikit-learn's: `python -m benchmarks.probe_parity`.

A cell is solver, features, task, regime and C; its MCC is the mean over the benchmark's seeds (the
full fit is the same for all). Each cell has three: ours; scikit-learn on the float32 features cast
to float64, which is what the harness's scikit-learn 1.5 does with them and so the reference; and
scikit-learn on float32, which later versions compute in float32. The difference of the last two
is scikit-learn's own spread. `--out` holds the cells, a row each: a killed run goes on where it
was, and other solvers, tasks, features or C are added to it. The summary is of all cells there.

Needs scikit-learn (`pip install '.[test]'`) and a folder of tasks.
"""

import functools
import itertools
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.needs import begin, folder, new_parser, packages, task_files
from benchmarks.rows import Row, Rows, read_rows
from geneb_jax import embed
from geneb_jax.benchmark import GENEB
from geneb_jax.devices.programs import make_room_for_programs
from geneb_jax.scoring.heads import regime_name
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.task import Task
from probes import HeadScore, Probe, evaluate_task, few_shot_rows

SHOTS = (None, 10, 1)
SOLVERS = ("geneb", "geneb-float32")
KEY = ["solver", "features", "task", "regime", "C"]
COLUMNS = {
    "solver": "13s", "features": "8s", "task": "72s", "regime": "6s", "C": "6g", "MCC": "8.5f",
    "MCC_float64": "8.5f", "MCC_float32": "8.5f", "iterations": "7.1f",
    "iterations_float64": "7.1f",
}  # fmt: skip
LARGEST_MEAN = 0.002  # of |MCC difference| over all cells
_LISTED = 25
_ROUNDING = 1e-9  # of the largest decision value: a smaller margin has no meaning in float64


def measure(
    task: Task, x: np.ndarray, x_test: np.ndarray, shots: int | None, C: float
) -> dict[str, Any]:
    """Fits scikit-learn's heads of a cell, in float64 and in float32.

    Args:
        task: The task.
        x: Features of its train rows, float32 [N, D].
        x_test: Likewise, of its test rows.
        shots: Rows of each class, or None for all.
        C: Inverse strength of the penalty.

    Returns:
        By dtype: MCC and iterations of each seed, and the predictions [seeds, M]; of float64 also
        whether a row's decision is `clear` [seeds, M].
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import matthews_corrcoef

    y = task.train.labels
    seeds = GENEB.seeds if shots else GENEB.seeds[:1]
    found: dict[str, Any] = {}
    for dtype in ("float64", "float32"):
        fits = []
        for seed in seeds:
            rows = few_shot_rows(y, shots, seed) if shots else slice(None)
            head = LogisticRegression(C=C, max_iter=1000).fit(x[rows].astype(dtype), y[rows])
            predicted = head.predict(x_test)
            fits.append((matthews_corrcoef(task.test.labels, predicted), head.n_iter_[0]))
            found.setdefault(f"predictions_{dtype}", []).append(predicted)
            if dtype == "float64":
                found.setdefault("clear", []).append(clear(head.decision_function(x_test)))
        found[f"MCC_{dtype}"], found[f"iterations_{dtype}"] = map(list, zip(*fits, strict=True))
    return found


def clear(values: np.ndarray) -> np.ndarray:
    """Whether the decision on a row is more than rounding, bool [M].

    Args:
        values: Decision values, [M] or [M, K].
    """
    if values.ndim == 1:
        margin = np.abs(values)
    else:
        second, first = np.sort(values, axis=1)[:, -2:].T
        margin = first - second
    return margin > _ROUNDING * np.abs(values).max()


def compare(heads: Sequence[HeadScore], theirs: dict) -> dict[str, Any]:
    """Returns a cell's columns: our heads, one a seed, beside scikit-learn's."""
    own = heads[: len(theirs["MCC_float64"])]  # of a full fit one stands for all
    iterations = [head.iterations for head in own]
    predictions = np.stack([head.predictions for head in own])
    other = predictions != np.stack(theirs["predictions_float64"])
    return {
        "MCC": np.mean([head.MCC for head in own]),
        "MCC_float64": np.mean(theirs["MCC_float64"]),
        "MCC_float32": np.mean(theirs["MCC_float32"]),
        "iterations": np.mean(iterations),
        "iterations_float64": np.mean(theirs["iterations_float64"]),
        "iterations_float32": np.mean(theirs["iterations_float32"]),
        "other_iterations": np.mean(np.not_equal(iterations, theirs["iterations_float64"])),
        "other_predictions": np.mean(other),
        "other_clear_predictions": np.mean(other & np.stack(theirs["clear"])),
    }


def measure_cells(
    task: Task,
    solver: str,
    features: str,
    vectors: tuple[np.ndarray, np.ndarray],
    grid: Sequence[tuple[int | None, float]],
) -> Iterator[Row]:
    """Measures cells of one task, and yields the row of each."""
    import sklearn

    x, x_test = vectors
    y = task.train.labels
    for shots, cells in itertools.groupby(grid, key=lambda cell: cell[0]):
        strengths = tuple(C for _, C in cells)
        heads = evaluate_task(
            x, y, x_test, task.test.labels,
            probes=[Probe(solver=solver, strengths=strengths)], shots=[shots], seeds=GENEB.seeds,
        )  # fmt: skip
        for C in strengths:
            own = [head for head in heads if head.C == C]
            yield {
                "solver": solver,
                "features": features,
                "task": task.info.id,
                "regime": regime_name(shots),
                "C": C,
                "n": len(x),
                "D": x.shape[1],
                "K": len(np.unique(y)),
                **compare(own, measure(task, x, x_test, shots, C)),
                "scikit_learn": sklearn.__version__,
            }


def summarise(cells: pd.DataFrame, console: Console) -> None:
    """Prints differences and iterations by solver, features and regime, and what stands out."""
    cells = cells.assign(
        difference=(cells["MCC"] - cells["MCC_float64"]).abs(),
        spread=(cells["MCC_float32"] - cells["MCC_float64"]).abs(),
    )
    cells["beyond"] = cells["difference"] > cells["spread"] + _ROUNDING
    beyond = cells[cells["beyond"]].sort_values("difference")[::-1]
    table = Table(title="MCC of the geneb solvers beside scikit-learn's (float64 of the features)")
    columns = (
        "solver", "features", "regime", "cells", "mean |difference|", "largest",
        "mean spread\nfloat32", "largest\nspread", "cells beyond\ntheir spread", "iterations\nours",
        "float64", "float32", "fits that stop\nelsewhere",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right")
    groups = [
        *cells.groupby(["solver", "features", "regime"], sort=False),
        (("all", "", ""), cells),
    ]
    for names, own in groups:
        table.add_row(
            *names,
            str(len(own)),
            f"{own['difference'].mean():.5f}",
            f"{own['difference'].max():.4f}",
            f"{own['spread'].mean():.5f}",
            f"{own['spread'].max():.4f}",
            str(int(own["beyond"].sum())),
            *(f"{own[f'iterations{dtype}'].mean():.1f}" for dtype in ("", "_float64", "_float32")),
            f"{own['other_iterations'].mean():.1%}",
        )
    console.print(table)
    listed = Table(title=f"The {min(_LISTED, len(beyond))} largest of {len(beyond)} beyond")
    shown = [*KEY, "MCC", "MCC_float64", "MCC_float32", "iterations", "iterations_float64",
             "iterations_float32", "other_predictions", "other_clear_predictions"]  # fmt: skip
    for column in shown:
        listed.add_column(column, justify="left" if column in KEY else "right")
    for _, cell in beyond.head(_LISTED).iterrows():
        listed.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in cell[shown]))
    console.print(listed)
    mean = cells["difference"].mean()
    verdict = "met" if mean <= LARGEST_MEAN else "MISSED"
    tasks = cells["task"].nunique()
    console.print(
        f"{len(cells)} cells of {tasks} tasks: mean |MCC difference| {mean:.5f} "
        f"(at most {LARGEST_MEAN}: {verdict}), {len(beyond)} cells beyond their own spread, of "
        f"those {int((beyond['difference'] > cells['spread'].max()).sum())} beyond the largest "
        f"spread of any cell, and {int((beyond['other_clear_predictions'] == 0).sum())} differ "
        f"only in rows whose decision value is rounding (below {_ROUNDING} of the largest)"
    )


def main() -> None:
    """Adds the cells that are missing, smallest tasks first, and prints the summary."""
    parser = new_parser(__doc__)
    parser.set_defaults(out=Path("probe_parity.jsonl"))
    parser.add_argument("--tasks_dir", type=Path, required=True)
    parser.add_argument("--solver", default="geneb", choices=SOLVERS)
    parser.add_argument("--features", default="kmer-2,kmer-4,kmer-6", help="as config.models")
    parser.add_argument("--checkpoints_dir", type=Path, help="tokenizers of ID:random models")
    parser.add_argument("--tasks", default="", help="only these, of the folder")
    parser.add_argument("--rows", type=int, default=10**9, help="only tasks of at most this many")
    parser.add_argument("--C", default="0.01,0.1,1,10,100")
    parser.add_argument("--regimes", default="full,10shot,1shot")

    def needs(options: Namespace) -> Iterator[str]:
        yield from (*packages("sklearn"), *task_files(options.tasks_dir))
        given = options.checkpoints_dir
        yield from folder(given, "name a folder of tokenizers") if given else ()

    options = begin(parser, needs)
    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)
    wanted = find_tasks(options.tasks_dir)
    if options.tasks:
        names = options.tasks.split(",")
        if unknown := set(names) - wanted.keys():
            parser.error(f"{options.tasks_dir} holds no task {', '.join(sorted(unknown))}")
        wanted = {name: wanted[name] for name in names}
    tasks = [read_task(options.tasks_dir, info) for info in wanted.values()]
    tasks = [task for task in tasks if len(task.train.labels) <= options.rows]
    regimes = options.regimes.split(",")
    grid = [
        (shots, C)
        for shots in SHOTS
        if regime_name(shots) in regimes
        for C in map(float, options.C.split(","))
    ]
    known = read_rows(options.out)
    done = {tuple(row[name] for name in KEY) for row in known}
    rows = Rows(COLUMNS, options.out)
    get = functools.partial(embed, checkpoints_dir=options.checkpoints_dir)
    for task in sorted(tasks, key=lambda task: len(task.train.labels)):
        make_room_for_programs()
        for features in options.features.split(","):
            pending = [
                (shots, C)
                for shots, C in grid
                if (options.solver, features, task.info.id, regime_name(shots), C) not in done
            ]
            if not pending:
                continue
            both = get(features, [*task.train.sequences, *task.test.sequences])
            count = len(task.train.labels)
            vectors = both[:count], both[count:]
            for row in measure_cells(task, options.solver, features, vectors, pending):
                known.append(rows.add(row))
    summarise(pd.DataFrame(known), Console(width=200))


if __name__ == "__main__":
    main()
