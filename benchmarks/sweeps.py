"""What sweeps over layers, grids and MLPs take: `python -m benchmarks.sweeps`.

Made tasks as in `benchmarks.probes`, three regimes of five seeds, the first time in the process and
again. Each row is printed as it is measured, in CPU and wall seconds:

- `layers`: `geneb` heads on the features of some hidden states, together as a run fits them, and
  one hidden state after the other;
- `tuned`: the grid of configs/tuned.py, chosen on five folds of train in full and few-shot, beside
  scikit-learn's `GridSearchCV` over a pipeline with the same grid and folds in one thread (all rows
  alone, one seed measured and counted five times);
- `mlp`: the MLPs of configs/sweep.py on four tasks of 20,000 rows, once.

`ratio` is the CPU time of a row over that of the row it stands below. Needs scikit-learn for
`tuned` (`pip install '.[test]'`). `--out` holds these rows.
"""

import importlib
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.needs import begin, new_parser, packages
from benchmarks.probes import FEW, FULL, Problem, make_problem, parse_shape
from benchmarks.processes import timed_here
from benchmarks.rows import Row, Rows
from geneb_jax.benchmark import GENEB
from geneb_jax.config import parse_config
from geneb_jax.scoring.heads import probes_of
from probes import HeadScore, Probe, evaluate_task, host_memory
from probes.host import in_threads, single_threaded_blas

COLUMNS = {"name": "64s", "cpu": "9.2f", "wall": "9.2f", "ratio": "6.2f"}
STATES = 6  # hidden states of `layers`
LAYERS = ((2_000, 512, 2), (2_000, 512, 4), (8_000, 512, 2))
TUNED = ((2_000, 512, 2),)
MLP = ((20_000, 512, 2), (20_000, 512, 3), (20_000, 512, 4), (20_000, 512, 8))


def measure(
    rows: Rows, name: str, work: Callable[[], Any], times: int = 1, beside: float | None = None
) -> float:
    """Does some work and adds its row; returns its CPU seconds.

    Args:
        rows: Takes the row.
        name: What it is.
        work: The work.
        times: What its seconds count, where it stands for several of its kind.
        beside: CPU seconds of what it is compared with; the ratio is its own over these.
    """
    _, taken = timed_here(work)
    row: Row = {"name": name} | {which: times * seconds for which, seconds in taken.items()}
    rows.add(row | ({} if beside is None else {"ratio": row["cpu"] / beside}))
    return row["cpu"]


def evaluated(problem: Problem, x_train: np.ndarray, probes: Sequence[Probe]) -> list[HeadScore]:
    """Fits and scores the probes of a task in three regimes of five seeds."""
    return evaluate_task(
        x_train,
        problem.y_train,
        problem.x_test,
        problem.y_test,
        probes=probes,
        shots=(*FULL, *FEW),
        seeds=GENEB.seeds,
    )


def measure_layers(rows: Rows, shape: tuple[int, int, int]) -> None:
    """Measures heads on several hidden states, together and one after the other."""
    problem, probes = make_problem(*shape), [Probe()]
    states = [(1 + state / STATES) * problem.x_train for state in range(STATES)]
    memory = host_memory(problem.y_train, shape[1], probes)
    if memory is None:
        raise ValueError(
            f"{_sizes(shape)}: its fits are programs, which run alone; take fewer rows"
        )

    def of_state(x: np.ndarray) -> list[HeadScore]:
        return evaluated(problem, x, probes)

    for when in ("first", "again"):
        name = f"layers, {STATES} x {_sizes(shape)}, {when}"
        together = measure(rows, name, lambda: list(in_threads(of_state, states, memory)))
        measure(rows, "  one after the other", lambda: [*map(of_state, states)], 1, together)


def measure_tuned(rows: Rows, shape: tuple[int, int, int]) -> None:
    """Measures a grid that is chosen on folds, beside scikit-learn."""
    problem, probes = make_problem(*shape), probes_of(parse_config(_config("tuned")).probes)
    first, _ = (
        measure(
            rows,
            f"tuned, {_sizes(shape)}, {when}",
            lambda: evaluated(problem, problem.x_train, probes),
        )
        for when in ("first", "again")
    )
    measure(rows, "  scikit-learn, all rows", lambda: searched(problem, probes[0]), 5, first)


def searched(problem: Problem, probe: Probe) -> float:
    """Returns the test MCC that scikit-learn's search finds over a probe's grid, by one seed."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import make_scorer, matthews_corrcoef
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore", ConvergenceWarning)
    weights = [None if name == "none" else name for name in probe.class_weights]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {
            "logisticregression__C": probe.strengths,
            "logisticregression__class_weight": weights,
        },
        scoring=make_scorer(matthews_corrcoef),
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    with single_threaded_blas():  # faster on rows so few
        search.fit(problem.x_train, problem.y_train)
    return matthews_corrcoef(problem.y_test, search.predict(problem.x_test))


def measure_mlp(rows: Rows, shape: tuple[int, int, int]) -> None:
    """Measures MLPs."""
    problem = make_problem(*shape)
    probes = probes_of(parse_config(_config("sweep")).probes)
    mlps = [probe for probe in probes if probe.kind == "mlp"]
    measure(rows, f"mlp, {_sizes(shape)}", lambda: evaluated(problem, problem.x_train, mlps))


def _config(name: str) -> Any:
    return importlib.import_module(f"configs.{name}").get_config()


def _sizes(shape: tuple[int, int, int]) -> str:
    return " x ".join(f"{size:,}" for size in shape)


PARTS = {
    "layers": (measure_layers, LAYERS, ()),
    "tuned": (measure_tuned, TUNED, ("sklearn",)),
    "mlp": (measure_mlp, MLP, ()),
}


def main() -> None:
    """Measures the parts that are asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--shapes", type=parse_shape, nargs="+", metavar="N,D,K")

    def needs(options: Namespace) -> Iterator[str]:
        yield from packages(*sorted({name for part in options.only for name in PARTS[part][2]}))

    options = begin(parser, needs)
    rows = Rows(COLUMNS, options.out)
    for part in options.only:
        measure_part, shapes, _ = PARTS[part]
        for shape in options.shapes or shapes:
            measure_part(rows, shape)


if __name__ == "__main__":
    main()
