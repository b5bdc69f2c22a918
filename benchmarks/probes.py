"""Probe heads of a task, fitted jointly, beside scikit-learn: `python -m benchmarks.probes`.

Each row of the table is one problem of embeddings made to look real (anisotropic, unscaled,
classes that overlap), with five values of C, the full fit, and 10-shot and 1-shot fits of five
seeds. Peers, timed in the same run with scikit-learn at its defaults on all cores:

(a) the harness's loop: five identical full fits and ten few-shot fits for each C; the full fit
    is timed once and counted five times;
(b) scikit-learn used sensibly: one full fit and ten few-shot fits for each C.

Needs scikit-learn (`pip install '.[test]'`). A row is a problem of `n` rows, width `D` and `K`
classes, and a solver: seconds the `first` time, `warm`, and `few`, those of the few-shot fits in
`warm`; seconds of both peers, `a` and `b`, and how many times `warm` they are; `memory`, that of
the compiled full fit over the features'; and of the full fits by C iterations, the worst `excess`
of the objective over the lowest of all sides, and the MCC at C = 1, each with scikit-learn's
(`_sk`) beside it. Last stand the sums.

`--out FILE` keeps all that was measured of a problem, a line of JSON each; what stands there is not
measured again. `--figure FILE` draws how the time of the full fits grows with the rows, the width,
the classes and the number of heads, instead of the table.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from benchmarks.needs import begin, new_parser, packages, room_for
from benchmarks.rows import Row, Rows, keep, read_rows
from geneb_jax.devices.programs import make_room_for_programs
from probes import HeadScore, Probe, evaluate_task, few_shot_rows
from probes.logistic_compiled import program
from probes.padding import ladder
from probes.solvers import SOLVERS

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

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
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import matthews_corrcoef

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


def objective(head: "LogisticRegression", x: np.ndarray, y: np.ndarray, C: float) -> float:
    """Mean loss with penalty ||W||^2 / (2 C n) of a fitted head, in float64."""
    w, b = np.asarray(head.coef_, np.float64), np.asarray(head.intercept_, np.float64)
    z = x.astype(np.float64) @ w.T + b
    if len(w) == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    loss = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), y]
    return float(loss.mean() + np.sum(w * w) / (2 * C * len(y)))


class Measured:
    """What was measured, by its key; kept as lines of JSON where a file is named."""

    def __init__(self, out: Path | None) -> None:
        """Reads what the file has."""
        self.out = out
        self.rows = {tuple(row["key"]): row for row in read_rows(out)}

    def get(self, key: tuple[Any, ...], measure: Callable[[], Row]) -> Row:
        """Returns the row of a key, measured now where it is not there."""
        if key not in self.rows:
            make_room_for_programs()
            self.rows[key] = {"key": key, "device": jax.devices()[0].device_kind} | measure()
            keep(self.out, self.rows[key])
        return self.rows[key]


def measure_row(shape: tuple[int, int, int], solvers: Sequence[str]) -> dict[str, Any]:
    """Both sides on one problem."""
    problem = make_problem(*shape)
    row = {solver: ours(problem, solver) for solver in solvers}
    return row | {"scikit-learn": scikit_learn(problem)}


COLUMNS = {
    "n": "7", "D": "5", "K": "3", "solver": "17s", "first": "7.1f", "warm": "7.1f", "few": "6.1f",
    "a": "7.1f", "b": "7.1f", "a/warm": "6.1f", "b/warm": "6.1f", "memory": "6.2f",
    "iterations": "19", "iterations_sk": "19", "excess": "8.1e", "excess_sk": "8.1e", "MCC": "5.3f",
    "MCC_sk": "5.3f",
}  # fmt: skip


def print_table(
    problems: Sequence[tuple[int, int, int]], solvers: Sequence[str], measured: Measured
) -> None:
    """Measures what is missing, and prints the rows of each problem as it ends, and the sums."""
    print(f"seconds on {jax.devices()[0].device_kind}, five C, full and few-shot")
    table = Rows(COLUMNS)
    rows = []
    for shape in problems:
        found = measured.get((*shape, *solvers), lambda shape=shape: measure_row(shape, solvers))
        rows += [table.add(row) for row in rows_of(shape, solvers, found)]
    for solver in solvers:
        own = [row for row in rows if row["solver"] == solver]
        sums = {name: sum(row[name] for row in own) for name in ("first", "warm", "few", "a", "b")}
        table.add({"n": "sum", "solver": solver} | with_ratios(sums))


def rows_of(shape: tuple[int, int, int], solvers: Sequence[str], found: Row) -> list[Row]:
    """Returns the table's rows of one problem, a solver each, from what was measured of it."""
    theirs, one = found["scikit-learn"], STRENGTHS.index(1.0)
    best = np.min([found[side]["objectives"] for side in (*solvers, "scikit-learn")], axis=0)
    rows = []
    for solver in solvers:
        mine = found[solver]
        row = dict(zip("nDK", shape, strict=True)) | {"solver": solver, "memory": mine["memory"]}
        row |= {when: mine[f"full_{when}"] + mine[f"few_{when}"] for when in ("first", "warm")}
        row |= {"few": mine["few_warm"], "a": 5 * theirs["full"] + theirs["few"]}
        row |= {"b": theirs["full"] + theirs["few"]}
        for side, mark in ((mine, ""), (theirs, "_sk")):
            row[f"iterations{mark}"] = side["iterations"]
            row[f"excess{mark}"] = float(np.max(side["objectives"] / best) - 1)
            row[f"MCC{mark}"] = side["MCC"][one]
        rows.append(with_ratios(row))
    return rows


def with_ratios(row: Row) -> Row:
    """Returns a row with the peers' seconds over ours."""
    return row | {f"{peer}/warm": row[peer] / row["warm"] for peer in "ab"}


def draw_growth(path: Path, solvers: Sequence[str], measured: Measured) -> None:
    """Draws seconds of the full fits against each size of a problem, the others at their first."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    sides = ("scikit-learn", *solvers)
    table = Rows(dict.fromkeys(GROWTH, "8") | dict.fromkeys(sides, "12.2f"))
    figure, axes = plt.subplots(1, len(GROWTH), figsize=(10, 2.6), layout="constrained")
    for axis, (name, values) in zip(axes, GROWTH.items(), strict=True):
        times: dict[str, list[float]] = {side: [] for side in sides}
        for value in sorted(values):
            sizes = {other: own[0] for other, own in GROWTH.items()} | {name: value}
            key = ("growth", *sizes.values(), *solvers)
            row = measured.get(key, lambda sizes=sizes: measure_growth(sizes, solvers))
            table.add(sizes | {side: row[side] for side in sides})
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
    parser = new_parser(__doc__)
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--only", type=parse_shape, nargs="+", metavar="N,D,K", default=PROBLEMS)
    parser.add_argument("--figure", type=Path, metavar="FILE.png")
    options = begin(parser, lambda options: [*packages("sklearn"), *room_for(options.figure)])
    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)
    measured, solvers = Measured(options.out), options.solvers.split(",")
    if unknown := set(solvers) - SOLVERS.keys():
        parser.error(f"no solver {', '.join(sorted(unknown))}; valid: {', '.join(SOLVERS)}")
    if options.figure:
        draw_growth(options.figure, solvers, measured)
    else:
        print_table(options.only, solvers, measured)


if __name__ == "__main__":
    main()
