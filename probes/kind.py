"""What a kind of probe offers.

A new kind is one module that ends in `KIND = Kind(...)`, and its row in `probe.KINDS`.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float32, Int, PyTree

from probes.draws import Draw
from probes.probe import KINDS, Probe
from probes.rows import TaskRows


class FittedHeads(NamedTuple):
    """Heads of S strengths on R draws of rows.

    Attributes:
        head: Parameters, arrays with the leading axes [S, R]: [S, R, D + 1, K1] for linear heads.
        iterations: How many iterations or epochs each fit took; 0 for a closed form.
        objective: Mean loss with penalty, at the end of the fit.
        gradient_norm: Largest absolute entry of its gradient; NaN where a kind does not have it.
        converged: Whether a tolerance was met, not a limit or a failed line search; of a
            `whitened` and `rounded` solver, whether the objective is known to be within 0.1 % of
            the optimum.
    """

    head: PyTree[Float[Array | np.ndarray, "S R ..."]]
    iterations: Int[Array | np.ndarray, "S R"]
    objective: Float[Array | np.ndarray, "S R"]
    gradient_norm: Float[Array | np.ndarray, "S R"]
    converged: Bool[Array | np.ndarray, "S R"]


def _nothing_to_compile(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> None:
    """Stands for `compile` of a kind whose fits run no program."""
    del train, draws, strengths, probe


def _compiled(rows: int, width: int, class_count: int, probe: Probe) -> None:
    """Stands for `host_memory` of a kind whose fits are programs."""
    del rows, width, class_count, probe


@dataclass(frozen=True)
class Kind:
    """Offers what `evaluate_task` needs of a kind of probe.

    Attributes:
        fit: Fits heads of strengths C, float64 [S], on R draws of train rows, as a probe asks.
            All of the draws are whole, or none is.
        decision_values: Applies heads `FittedHeads.head` to features [M, D]; returns decision
            values [S, R, M, K1].
        compile: Compiles the programs that `fit` runs on the same arguments, or reads them from the
            compilation cache; values of features do not count. It may be called in any thread.
        host_memory: Returns the bytes that fits of so many rows, features and classes take on the
            host, in one thread; None: they are programs, which take all processors by themselves.
        solver: Name of its one way to fit; None: the probe names it.
        seeded: Whether a fit of the same rows depends on the seed.
        engine: What does the arithmetic, as people read it: a function of backend, sizes and
            solver alone, so that a head's last digits depend on nothing else.
    """

    fit: Callable[[TaskRows, Sequence[Draw], np.ndarray, Probe], FittedHeads]
    decision_values: Callable[[Float32[np.ndarray, "M D"], PyTree], np.ndarray]
    compile: Callable[[TaskRows, Sequence[Draw], np.ndarray, Probe], None] = _nothing_to_compile
    host_memory: Callable[[int, int, int, Probe], int | None] = _compiled
    solver: str | None = None
    seeded: bool = False
    engine: str = "compiled for the device"


def find_kind(name: str) -> Kind:
    """Returns what the kind of probe of a name in `KINDS` offers; imports its module."""
    return importlib.import_module(KINDS[name]).KIND


def engine_of(probe: Probe) -> str:
    """Returns what does the arithmetic of a probe's fits; see `Kind.engine`."""
    return find_kind(probe.kind).engine


def solver_name(probe: Probe) -> str:
    """Returns the solver as scores name it: the kind's one, or the one that the probe names."""
    return find_kind(probe.kind).solver or probe.solver
