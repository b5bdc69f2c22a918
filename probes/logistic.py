"""Logistic-regression heads: scikit-learn's objective, fitted where it is fastest.

    0.5 ||W||^2 + C sum_i weight_i loss(x_i W + b, y_i),   b free

One weight vector for two classes (binomial loss), K for three and more (multinomial loss).
Divided by C n, n = sum_i weight_i, it is the mean loss with penalty ||W||^2 / (2 C n), which is
what scikit-learn's `LogisticRegression(solver='lbfgs')` minimises and what its tolerances refer
to.

Two engines take the same path of iterates. `logistic_scipy` fits one head after the other on the
host and compiles nothing; `logistic_compiled` fits all heads of a batch in one program that takes
seconds to compile. Which one fits a head depends on the sizes of its rows, so that its last
digits depend on nothing else in the run. The solver `optax` is always
compiled; `logistic_optax` takes its steps.
"""

from collections.abc import Sequence

import jax
import numpy as np

from probes import logistic_compiled, logistic_scipy
from probes.draws import Draw, padded_rows
from probes.kind import FittedHeads, Kind
from probes.linear import decision_values
from probes.probe import Probe
from probes.rows import TaskRows
from probes.solvers import SOLVERS

# Numbers in the features of a fit, times its columns of decision values, from which it is
# compiled. On CPUs the program of one strength takes 3 to 9 s to compile; below this size SciPy
# takes about as long for five.
_COMPILED_FROM = 2**23


def fit_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> FittedHeads:
    """Fits heads of strengths C [S] on R draws of rows; see `kind.Kind`."""
    if not (SOLVERS[probe.solver].optax or is_compiled(train, draws)):
        return logistic_scipy.fit_logistic(train, draws, strengths, probe)
    with jax.enable_x64(True):
        fitted = logistic_compiled.fit_in_parts(
            padded_rows(train, draws),
            strengths,
            solver=probe.solver,
            standardised=probe.standardised,
        )
    return jax.device_get(fitted)


def compile_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> None:
    """Compiles what `fit_heads` runs, which is nothing where SciPy fits; see `kind.Kind`."""
    if SOLVERS[probe.solver].optax or is_compiled(train, draws):
        with jax.enable_x64(True):
            logistic_compiled.compile_parts(
                padded_rows(train, draws),
                strengths,
                solver=probe.solver,
                standardised=probe.standardised,
            )


def is_compiled(train: TaskRows, draws: Sequence[Draw]) -> bool:
    """Says whether draws are fitted by the compiled engine, where SciPy could fit them as well.

    Args:
        train: Train rows; where they are given a mesh, whole draws are spread over it.
        draws: All of them are whole, or none is; the sizes of train count for whole ones.
    """
    if draws[0].whole and train.mesh is not None:
        return True
    rows = len(train.x) if draws[0].whole else max(len(draw.rows) for draw in draws)
    return is_large(rows, train.x.shape[1], train.class_count)


def is_large(rows: int, width: int, class_count: int) -> bool:
    """Says whether a fit of so many rows, features and classes is compiled by its size."""
    columns = 1 if class_count == 2 else class_count
    return rows * width * columns >= _COMPILED_FROM


def host_memory(rows: int, width: int, class_count: int, probe: Probe) -> int | None:
    """Returns the bytes that SciPy's fits take; None where they are compiled; see `kind.Kind`."""
    if SOLVERS[probe.solver].optax or is_large(rows, width, class_count):
        return None
    return logistic_scipy.memory(rows, width)


KIND = Kind(
    fit_heads,
    decision_values,
    compile_heads,
    host_memory,
    engine=(
        f"SciPy on the host below {_COMPILED_FROM:,} numbers (rows x features x columns of "
        "decision values), compiled for the device from there on and for the solver optax"
    ),
)
