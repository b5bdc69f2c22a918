"""The `converged` solvers beside the optimum: `python -m benchmarks.probe_optimum`.

Problems that are hard in one way each, for every C of the paper's grid. The reference of
`converged` is scikit-learn's newton-cholesky in float64 (its lbfgs is not converged on such
problems, whatever its tolerance); where the Hessian is too large for that, its lbfgs at a
tolerance of 1e-10, and the lower of the two objectives counts. `converged-float32` is held
against `converged`: a head that is not close to it must not count as converged.

Needs scikit-learn (`pip install '.[test]'`), and a folder of tasks for the real ones. A row is a
problem of `n` rows, width `D` and `K` classes, and a solver: the worst of its five C in `excess` of
the objective, in `agreement` of the predictions and in `MCC_change`; the `iterations` by C, how
many heads `converged`, and whether all are `met`. `--out` holds these rows.
"""

import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.needs import begin, new_parser, packages, task_files
from benchmarks.probes import objective
from benchmarks.rows import Row, Rows
from geneb_jax.embedding.kmers import kmer_frequencies
from geneb_jax.tasks.reading import find_tasks, read_task
from probes import HeadScore, Probe, evaluate_task

COLUMNS = {
    "problem": "35s", "n": "6", "D": "5", "K": "3", "solver": "17s", "excess": "8.1e",
    "agreement": "8.2%", "MCC_change": "7.4f", "iterations": "19", "converged": "3", "met": "3s",
}  # fmt: skip
SOLVERS = ("converged", "converged-float32")
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
EXCESS = 1e-6  # of the objective over the reference, relative
AGREEMENT = 0.999  # of predictions on test rows
EXCESS_FLOAT32 = 1e-3
MCC_CHANGE_FLOAT32 = 0.005
_LARGEST_HESSIAN = 5000  # rows of it
_TEST_ROWS = 2000


class Problem(NamedTuple):
    """Rows of train and test."""

    x: np.ndarray  # float32 [N, D]
    y: np.ndarray  # [N]
    x_test: np.ndarray
    y_test: np.ndarray


class Outcome(NamedTuple):
    """One head beside its reference.

    Attributes:
        solver: A name of `probes.SOLVERS`.
        C: Inverse strength of the penalty.
        excess: Objective over the reference's, less 1.
        agreement: Share of test rows that are predicted alike.
        MCC_change: Absolute difference of their MCC.
        iterations: L-BFGS iterations.
        converged: What the head says of itself.
    """

    solver: str
    C: float
    excess: float
    agreement: float
    MCC_change: float
    iterations: int
    converged: bool

    @property
    def met(self) -> bool:
        """Whether the head is as close to the optimum as it has to be, or says it is not."""
        if self.solver == "converged":
            return self.excess <= EXCESS and self.agreement >= AGREEMENT
        close = self.excess <= EXCESS_FLOAT32 and self.MCC_change <= MCC_CHANGE_FLOAT32
        return close or not self.converged


def drawn(rows: int, width: int, classes: int, noise: float = 2.0, seed: int = 0) -> Problem:
    """Normal features, labels of a noisy linear model; each class has a row in train."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows + _TEST_ROWS, width))
    slopes = rng.normal(size=(width, classes)) / np.sqrt(width)
    y = np.argmax(x @ slopes + noise * rng.gumbel(size=(len(x), classes)) / 2, axis=1)
    y[:classes] = np.arange(classes)
    x = x.astype(np.float32)
    return Problem(x[:rows], y[:rows], x[rows:], y[rows:])


def altered(problem: Problem, change: Callable[[np.ndarray], np.ndarray]) -> Problem:
    """The problem with other features of the same rows."""
    x, x_test = (change(x).astype(np.float32) for x in (problem.x, problem.x_test))
    return problem._replace(x=x, x_test=x_test)


def scaled(x: np.ndarray) -> np.ndarray:
    """Columns whose scales span six orders of magnitude."""
    return x * np.logspace(-3, 3, x.shape[1])


def doubled(x: np.ndarray) -> np.ndarray:
    """Each column twice, apart by 1e-4 of its scale."""
    return np.concatenate([x, x + 1e-4 * np.random.default_rng(1).normal(size=x.shape)], axis=1)


def with_constant(x: np.ndarray) -> np.ndarray:
    """A column of one value, and an offset of all others."""
    return np.concatenate([x + 5, np.full((len(x), 1), 2.5)], axis=1)


def real(task_id: str, k: int) -> Callable[[Path], Problem]:
    """K-mer frequencies of a task's file."""

    def read(tasks_dir: Path) -> Problem:
        task = read_task(tasks_dir, find_tasks(tasks_dir)[task_id])
        x, x_test = (kmer_frequencies(rows.sequences, k) for rows in (task.train, task.test))
        return Problem(x, task.train.labels, x_test, task.test.labels)

    return read


MADE: Mapping[str, Callable[[], Problem]] = {
    "two rows": lambda: drawn(2, 4, 2),
    "more features than rows": lambda: drawn(60, 200, 2),
    "separable, 3 classes": lambda: drawn(300, 10, 3, noise=0.0),
    "scales over 6 orders": lambda: altered(drawn(400, 24, 2), scaled),
    "scales, 3 classes": lambda: altered(drawn(600, 24, 3), scaled),
    "near-duplicate columns": lambda: altered(drawn(500, 15, 2), doubled),
    "constant column, offset": lambda: altered(drawn(500, 15, 3), with_constant),
    "20 classes": lambda: drawn(1000, 16, 20),
    "40 classes": lambda: drawn(2000, 20, 40),
}
LARGE: Mapping[str, Callable[[], Problem]] = {
    "50,000 rows": lambda: drawn(50_000, 64, 2),
    "20,000 rows, 4 classes": lambda: drawn(20_000, 256, 4),
    "2,560 features": lambda: altered(drawn(5_000, 2_560, 2), scaled),
}
REAL: Mapping[str, Callable[[Path], Problem]] = {
    "DNase I, 4-mers": real("iDHS-EL_DNase_I", 4),
    "H4, 6-mers": real("leannmlindsey_GUE_emp_H4", 6),
    "enhancers types, 5-mers, 3 classes": real(
        "InstaDeepAI_nucleotide_transformer_downstream_tasks_enhancers_types", 5
    ),
}


def solve(problem: Problem) -> list[Outcome]:
    """Fits every C at once with both solvers and compares each head with its reference."""
    from sklearn.linear_model import LogisticRegression

    x = problem.x.astype(np.float64)
    classes, y = np.unique(problem.y, return_inverse=True)
    kept = np.isin(problem.y_test, classes)
    x_test, y_test = problem.x_test[kept], problem.y_test[kept]
    heads = evaluate_task(
        problem.x, problem.y, x_test, y_test,
        probes=[Probe(solver=solver, strengths=STRENGTHS) for solver in SOLVERS],
        shots=[None], seeds=[0],
    )  # fmt: skip
    exact, rounded = heads[: len(STRENGTHS)], heads[len(STRENGTHS) :]
    large = (x.shape[1] + 1) * (1 if len(classes) == 2 else len(classes)) > _LARGEST_HESSIAN
    solver = "lbfgs" if large else "newton-cholesky"
    outcomes = []
    for head in exact:
        model = LogisticRegression(C=head.C, solver=solver, tol=1e-10, max_iter=20_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        theirs = objective(model, x, y, head.C)
        predicted = classes[model.predict(x_test.astype(np.float64))]
        outcomes.append(compare(head, theirs, predicted, y_test))
    for head, other in zip(rounded, exact, strict=True):
        outcomes.append(compare(head, other.objective, other.predictions, y_test))
    return outcomes


def compare(head: HeadScore, optimum: float, predicted: np.ndarray, y_test: np.ndarray) -> Outcome:
    """A head beside the reference's objective and predictions on the test rows."""
    from sklearn.metrics import matthews_corrcoef

    return Outcome(
        solver=head.solver,
        C=head.C,
        excess=head.objective / optimum - 1,
        agreement=float(np.mean(predicted == head.predictions)),
        MCC_change=abs(head.MCC - float(matthews_corrcoef(y_test, predicted))),
        iterations=head.iterations,
        converged=head.converged,
    )


def worst(outcomes: Sequence[Outcome]) -> Row:
    """Returns the figures of a solver's heads on one problem, the worst of them."""
    return {
        "solver": outcomes[0].solver,
        "excess": max(outcome.excess for outcome in outcomes),
        "agreement": min(outcome.agreement for outcome in outcomes),
        "MCC_change": max(outcome.MCC_change for outcome in outcomes),
        "iterations": [outcome.iterations for outcome in outcomes],
        "converged": sum(outcome.converged for outcome in outcomes),
        "met": "yes" if all(outcome.met for outcome in outcomes) else "NO",
    }


def main() -> None:
    """Adds a row a problem and solver."""
    parser = new_parser(__doc__)
    parser.add_argument("--tasks_dir", type=Path, help="of the real tasks; without it, made ones")
    parser.add_argument("--problems", default="", help="parts of names, by semicolon; empty: all")

    def needs(options: Namespace) -> Iterator[str]:
        yield from packages("sklearn")
        yield from task_files(options.tasks_dir) if options.tasks_dir else ()

    options = begin(parser, needs)
    problems = {**MADE, **LARGE}
    if options.tasks_dir:
        problems |= {name: lambda read=read: read(options.tasks_dir) for name, read in REAL.items()}
    wanted = options.problems.split(";")
    rows = Rows(COLUMNS, options.out)
    for name, make in problems.items():
        if not any(part in name for part in wanted):
            continue
        problem = make()
        outcomes = solve(problem)
        sizes = dict(zip("nD", problem.x.shape, strict=True)) | {"K": len(np.unique(problem.y))}
        for solver in SOLVERS:
            own = [outcome for outcome in outcomes if outcome.solver == solver]
            rows.add({"problem": name} | sizes | worst(own))


if __name__ == "__main__":
    main()
