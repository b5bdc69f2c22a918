"""Probe heads of a task, fitted jointly, beside scikit-learn: `python -m benchmarks.probes`.

Each row of the table is one problem of embeddings made to look real (anisotropic, unscaled,
classes that overlap), with five values of C, the full fit, and 10-shot and 1-shot fits of five
seeds. Peers, timed in the same run with scikit-learn at its defaults on all cores:

(a) the harness's loop: five identical full fits and ten few-shot fits for each C; the full fit
    is timed once and counted five times;
(b) scikit-learn used sensibly: one full fit and ten few-shot fits for each C.

`--out FILE` keeps what was measured as lines of JSON, one a row of the table; what stands there
is not measured again. `--figure FILE` draws how the time of the full fits grows with the rows,
the width, the classes and the number of heads, instead of the table.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

from geneb_jax.devices.programs import make_room_for_programs
from probes import HeadScore, Probe, evaluate_task, few_shot_rows
from probes.logistic_compiled import program
from probes.padding import ladder
from probes.solvers import SOLVERS

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
SEEDS = (42, 43, 44, 45, 46)
FULL = (None,)
FEW = (10, 1)
TEST_ROWS = 2000
# (rows of train, width, classes)
PROBLEMS = (
    (1_700, 1_536, 20),
    (5_000, 2_560, 2),
    (20_000, 512, 2),
    (20_000, 512, 4),
    (30_000, 1_024, 3),
    (100_000, 768, 2),
)
# Of the figure: one of these grows, the others stay at their first value.
GROWTH = {
    "rows": (4_000, 1_000, 2_000, 8_000, 16_000, 32_000),
    "width": (256, 64, 128, 512, 1_024),
    "classes": (3, 2, 6, 12, 24),
    "heads": (5, 1, 2, 10, 20),
}


@dataclass(frozen=True)
class Problem:
    """Train and test rows of one made-up task."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def draw_embeddings(
    rng: np.random.Generator, rows: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings with a decaying spectrum and a common offset, and what they are a mixture of.

    Returns:
        float32 [rows, width] both; the second has independent columns.
    """
    spectrum = 3.0 * np.arange(1, width + 1, dtype=np.float32) ** -0.7
    latent = rng.standard_normal((rows, width), np.float32)
    mixing = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    x = (latent * spectrum) @ mixing + rng.standard_normal(width, np.float32)
    return x, latent


def draw_labels(rng: np.random.Generator, latent: np.ndarray, classes: int) -> np.ndarray:
    """Labels [rows] drawn from a noisy model of a quarter of what embeddings are made of."""
    known = latent[:, : latent.shape[1] // 4]
    logits = known @ rng.standard_normal((known.shape[1], classes), np.float32)
    logits *= 3.0 / logits.std()
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)


def make_problem(rows: int, width: int, classes: int, seed: int = 0) -> Problem:
    """Embeddings and labels of a task that looks real."""
    rng = np.random.default_rng(seed)
    x, latent = draw_embeddings(rng, rows + TEST_ROWS, width)
    y = draw_labels(rng, latent, classes)
    return Problem(x[:rows], y[:rows], x[rows:], y[rows:])


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what a function returns and its wall time in seconds."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def fit_and_score(
    problem: Problem, solver: str, shots: Sequence[int | None], strengths: Sequence[float]
) -> list[HeadScore]:
    """Fits and scores every head of some regimes of the problem jointly."""
    return evaluate_task(
        problem.x_train,
        problem.y_train,
        problem.x_test,
        problem.y_test,
        probes=[Probe(solver=solver, strengths=tuple(strengths))],
        shots=shots,
        seeds=SEEDS,
    )


def ours(problem: Problem, solver: str) -> dict[str, Any]:
    """Measures both regimes, each once to compile and once warm; heads of the full fit by C."""
    times: dict[str, Any] = {}
    heads: list[HeadScore] = []
    for regime, shots in (("few", FEW), ("full", FULL)):
        for when in ("first", "warm"):
            heads, times[f"{regime}_{when}"] = timed(
                lambda shots=shots: fit_and_score(problem, solver, shots, STRENGTHS)
            )
    full = heads[:: len(SEEDS)]
    return times | {
        "iterations": [head.iterations for head in full],
        "objectives": [head.objective for head in full],
        "converged": [head.converged for head in full],
        "MCC": [head.MCC for head in full],
        "memory": peak_memory(problem, solver) / problem.x_train.nbytes,
    }


def peak_memory(problem: Problem, solver: str) -> int:
    """Bytes of the compiled full fit: arguments, results and temporary arrays."""
    rows, classes = ladder(len(problem.x_train)), len(np.unique(problem.y_train))
    outputs = 1 if classes == 2 else classes
    with jax.enable_x64(True):
        arrays = (
            jax.ShapeDtypeStruct((rows, problem.x_train.shape[1]), np.float32),
            jax.ShapeDtypeStruct((rows, outputs), np.float64),
            jax.ShapeDtypeStruct((1, rows), np.float64),
            jax.ShapeDtypeStruct((len(STRENGTHS),), np.float64),
        )
        memory = program().lower(*arrays, solver=solver).compile().memory_analysis()
    sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return sum(getattr(memory, size) for size in sizes)


def scikit_learn(
    problem: Problem,
    regimes: Sequence[int | None] = (*FULL, *FEW),
    strengths: Sequence[float] = STRENGTHS,
) -> dict[str, Any]:
    """Measures one fit for each C and regime, one for each seed in few-shot; full fits by C."""
    seconds = {"full": 0.0, "few": 0.0}
    full: dict[str, list[Any]] = {"iterations": [], "objectives": [], "MCC": []}
    for C in strengths:
        for shots in regimes:
            for seed in SEEDS if shots else SEEDS[:1]:
                start = time.perf_counter()
                rows = few_shot_rows(problem.y_train, shots, seed) if shots else slice(None)
                x, y = problem.x_train[rows], problem.y_train[rows]
                head = LogisticRegression(C=C, max_iter=1000).fit(x, y)
                predicted = head.predict(problem.x_test)
                score = float(matthews_corrcoef(problem.y_test, predicted))
                seconds["few" if shots else "full"] += time.perf_counter() - start
                if shots is None:
                    full["iterations"].append(int(head.n_iter_[0]))
                    full["objectives"].append(objective(head, x, y, C))
                    full["MCC"].append(score)
    return seconds | full


def objective(head: LogisticRegression, x: np.ndarray, y: np.ndarray, C: float) -> float:
    """Mean loss with penalty ||W||^2 / (2 C n) of a fitted head, in float64."""
    w, b = np.asarray(head.coef_, np.float64), np.asarray(head.intercept_, np.float64)
    z = x.astype(np.float64) @ w.T + b
    if len(w) == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    loss = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    return float(loss.mean() + np.sum(w * w) / (2 * C * len(y)))


class Measured:
    """What was measured, by its key; kept as lines of JSON where a file is named."""

    def __init__(self, path: Path | None) -> None:
        """Reads what the file has."""
        self.path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.rows = {tuple(row["key"]): row for row in map(json.loads, lines)}

    def get(self, key: tuple[Any, ...], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the row of a key, measured now where it is not there."""
        if key not in self.rows:
            make_room_for_programs()
            self.rows[key] = {"key": key, "device": jax.devices()[0].device_kind} | measure()
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps(self.rows[key]) + "\n")
        return self.rows[key]


def measure_row(shape: tuple[int, int, int], solvers: Sequence[str]) -> dict[str, Any]:
    """Both sides on one problem."""
    problem = make_problem(*shape)
    row = {solver: ours(problem, solver) for solver in solvers}
    return row | {"scikit-learn": scikit_learn(problem)}


def print_table(
    problems: Sequence[tuple[int, int, int]], solvers: Sequence[str], measured: Measured
) -> None:
    """Measures what is missing and prints the table with its sums."""
    table = Table(title=f"Seconds on {jax.devices()[0].device_kind}, five C, full + few-shot")
    columns = ("n", "D", "K", "solver", "first", "warm", "of it\nfew-shot", "(a)", "(b)")
    for name in (*columns, "(a)/warm", "(b)/warm", "memory\n/ X"):
        table.add_column(name, justify="right")
    table.add_column("iterations by C\nours; scikit-learn's", justify="right")
    table.add_column("worst excess\nof the objective\nours; theirs", justify="right")
    table.add_column("MCC at C=1\nours; theirs", justify="right")
    totals = {solver: np.zeros(3) for solver in solvers}
    for shape in problems:
        row = measured.get((*shape, *solvers), lambda shape=shape: measure_row(shape, solvers))
        theirs = row["scikit-learn"]
        sides = [row[solver]["objectives"] for solver in solvers] + [theirs["objectives"]]
        best = np.min(sides, axis=0)
        for solver in solvers:
            mine = row[solver]
            first, warm = (mine[f"full_{when}"] + mine[f"few_{when}"] for when in ("first", "warm"))
            a, b = 5 * theirs["full"] + theirs["few"], theirs["full"] + theirs["few"]
            totals[solver] += (warm, a, b)
            excess = [np.max(side["objectives"] / best) - 1 for side in (mine, theirs)]
            one = STRENGTHS.index(1.0)
            table.add_row(
                *map(str, shape),
                solver,
                *(f"{seconds:.1f}" for seconds in (first, warm, mine["few_warm"], a, b)),
                f"{a / warm:.1f}",
                f"{b / warm:.1f}",
                f"{mine['memory']:.2f}",
                "\n".join(" ".join(map(str, side["iterations"])) for side in (mine, theirs)),
                "\n".join(f"{value:.1e}" for value in excess),
                "\n".join(f"{side['MCC'][one]:.3f}" for side in (mine, theirs)),
            )
    for solver, (warm, a, b) in totals.items():
        sums = (f"{warm:.1f}", "", f"{a:.1f}", f"{b:.1f}", f"{a / warm:.1f}", f"{b / warm:.1f}")
        table.add_row("sum", "", "", solver, "", *sums)
    Console(width=170).print(table)


def draw_growth(path: Path, solvers: Sequence[str], measured: Measured) -> None:
    """Draws seconds of the full fits against each size of a problem, the others at their first."""
    figure, axes = plt.subplots(1, len(GROWTH), figsize=(10, 2.6), layout="constrained")
    for axis, (name, values) in zip(axes, GROWTH.items(), strict=True):
        times: dict[str, list[float]] = {"scikit-learn": [], **{solver: [] for solver in solvers}}
        for value in sorted(values):
            sizes = {other: own[0] for other, own in GROWTH.items()} | {name: value}
            key = ("growth", *sizes.values(), *solvers)
            row = measured.get(key, lambda sizes=sizes: measure_growth(sizes, solvers))
            for side, seconds in times.items():
                seconds.append(row[side])
        for side, seconds in times.items():
            axis.plot(sorted(values), seconds, marker="o", markersize=3, label=side)
        axis.set(xscale="log", yscale="log", xlabel=name)
        axis.set_xticks(sorted(values), minor=False)
        axis.minorticks_off()
        axis.xaxis.set_major_formatter(EngFormatter(places=0, sep=""))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds, full fits, warm")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=150)


def measure_growth(sizes: dict[str, int], solvers: Sequence[str]) -> dict[str, Any]:
    """Seconds of the full fits of each side at some sizes; strengths spread over the grid's."""
    problem = make_problem(sizes["rows"], sizes["width"], sizes["classes"])
    strengths = np.geomspace(STRENGTHS[0], STRENGTHS[-1], sizes["heads"]).tolist()
    seconds = {"scikit-learn": scikit_learn(problem, FULL, strengths)["full"]}
    for solver in solvers:
        for _ in range(2):  # the second is warm
            _, seconds[solver] = timed(
                lambda solver=solver: fit_and_score(problem, solver, FULL, strengths)
            )
    return seconds


def parse_shape(text: str) -> tuple[int, int, int]:
    """'n,D,K' as numbers."""
    rows, width, classes = map(int, text.split(","))
    return rows, width, classes


def main() -> None:
    """Prints the table, or draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--only", type=parse_shape, nargs="+", metavar="N,D,K", default=PROBLEMS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    measured = Measured(arguments.out)
    solvers = arguments.solvers.split(",")
    if arguments.figure:
        draw_growth(arguments.figure, solvers, measured)
    else:
        print_table(arguments.only, solvers, measured)


if __name__ == "__main__":
    main()
