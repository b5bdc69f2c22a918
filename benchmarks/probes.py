"""Probe heads of a task, fitted jointly, beside scikit-learn: `python -m benchmarks.probes`.

Each row of the table is one problem of embeddings made to look real (anisotropic, unscaled,
classes that overlap), with five values of C, the full fit, and 10-shot and 1-shot fits of five
seeds. Peers, timed in the same run with scikit-learn at its defaults on all cores:

(a) the harness's loop: five identical full fits and ten few-shot fits for each C; the full fit
    is timed once and counted five times;
(b) scikit-learn used sensibly: one full fit and ten few-shot fits for each C.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

from probes import HeadScore, Probe, evaluate_task, few_shot_rows

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
SEEDS = (42, 43, 44, 45, 46)
SHOTS = (None, 10, 1)
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


@dataclass(frozen=True)
class Problem:
    """Train and test rows of one made-up task."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def make_problem(rows: int, width: int, classes: int, seed: int = 0) -> Problem:
    """Embeddings with a decaying spectrum and a common offset; labels drawn from a noisy model."""
    rng = np.random.default_rng(seed)
    spectrum = 3.0 * np.arange(1, width + 1) ** -0.7
    latent = rng.standard_normal((rows + TEST_ROWS, width)).astype(np.float32)
    logits = latent[:, : width // 4] @ rng.standard_normal((width // 4, classes))
    logits *= 3.0 / logits.std()
    y = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
    mixing = np.linalg.qr(rng.standard_normal((width, width)))[0]
    x = (latent * spectrum) @ mixing + rng.standard_normal(width)
    x = x.astype(np.float32)
    return Problem(x[:rows], y[:rows], x[rows:], y[rows:])


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what a function returns and its wall time in seconds."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def ours(problem: Problem, solver: str) -> list[HeadScore]:
    """Fits and scores every head of the problem jointly."""
    return evaluate_task(
        problem.x_train,
        problem.y_train,
        problem.x_test,
        problem.y_test,
        probes=[Probe(solver=solver, strengths=STRENGTHS)],
        shots=SHOTS,
        seeds=SEEDS,
    )


def scikit_learn(problem: Problem) -> tuple[float, float, dict[float, float], dict[float, float]]:
    """Returns seconds of the full and of the few-shot fits, and by C objective and MCC (full)."""
    full = few = 0.0
    objectives, scores = {}, {}
    for C in STRENGTHS:
        for shots in SHOTS:
            for seed in SEEDS if shots else SEEDS[:1]:
                start = time.perf_counter()
                rows = few_shot_rows(problem.y_train, shots, seed) if shots else slice(None)
                x, y = problem.x_train[rows], problem.y_train[rows]
                head = LogisticRegression(C=C, max_iter=1000).fit(x, y)
                predicted = head.predict(problem.x_test)
                score = float(matthews_corrcoef(problem.y_test, predicted))
                seconds = time.perf_counter() - start
                if shots:
                    few += seconds
                else:
                    full += seconds
                    objectives[C], scores[C] = objective(head, x, y, C), score
    return full, few, objectives, scores


def objective(head: LogisticRegression, x: np.ndarray, y: np.ndarray, C: float) -> float:
    """Mean loss with penalty ||W||^2 / (2 C n) of a fitted head, in float64."""
    w, b = np.asarray(head.coef_, np.float64), np.asarray(head.intercept_, np.float64)
    z = x.astype(np.float64) @ w.T + b
    if len(w) == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    loss = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    return float(loss.mean() + np.sum(w * w) / (2 * C * len(y)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solvers", default="converged,geneb")
    parser.add_argument("--rows", type=int, default=0, help="only problems up to this many rows")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    solvers = arguments.solvers.split(",")
    problems = [p for p in PROBLEMS if not arguments.rows or p[0] <= arguments.rows]
    table = Table(title=f"Seconds on {jax.devices()[0].device_kind}, five C, full + few-shot")
    for name in ("n", "D", "K", "solver", "first", "warm", "(a)", "(b)", "(a)/warm", "(b)/warm"):
        table.add_column(name, justify="right")
    table.add_column("largest excess objective\nover the better of the two", justify="right")
    table.add_column("MCC at C=1\nours, (b)", justify="right")
    totals = {solver: np.zeros(3) for solver in solvers}
    for shape in problems:
        problem = make_problem(*shape)
        full, few, theirs, scores = scikit_learn(problem)
        for solver in solvers:
            _, first = timed(lambda problem=problem, solver=solver: ours(problem, solver))
            heads, warm = timed(lambda problem=problem, solver=solver: ours(problem, solver))
            fits = {h.C: h for h in heads if h.shots is None}
            excess = max(fits[C].objective / min(theirs[C], fits[C].objective) for C in STRENGTHS)
            a, b = 5 * full + few, full + few
            totals[solver] += (warm, a, b)
            table.add_row(
                *map(str, shape),
                solver,
                *(f"{seconds:.1f}" for seconds in (first, warm, a, b)),
                f"{a / warm:.1f}",
                f"{b / warm:.1f}",
                f"{excess - 1:.1e}",
                f"{fits[1.0].MCC:.3f}, {scores[1.0]:.3f}",
            )
    for solver, (warm, a, b) in totals.items():
        row = [f"{seconds:.1f}" for seconds in (warm, a, b)]
        table.add_row("sum", "", "", solver, "", *row, f"{a / warm:.1f}", f"{b / warm:.1f}")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
