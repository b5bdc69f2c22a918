"""Probe heads on frozen embeddings: few-shot sampling, joint fits, metrics. Pure JAX, no files.

The shapes of the package are written with the same letters everywhere:

    N   rows of a fit or of the arrays at hand, padding included
    M   rows that heads are applied to, padding included
    D   width of the features; D1 = D + 1
    B   directions of a basis of the features, min(N, D)
    K   classes of a task
    K1  columns of targets and of decision values: 1 for two classes, else K
    S   strengths C of a grid
    R   draws of train rows that are fitted together
    H   heads that are fitted together, H = S R: head s R + r has strength s and draw r
    P   parameters of a head, as one vector

A linear head is a matrix [D + 1, K1] whose last row has the intercepts. The axes "*draws" of
features and targets are none where all draws share them and differ in the rows' weights alone,
else R. The axes "*heads" are any leading axes, such as S and R.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.evaluate import compile_task, evaluate_task, host_memory
    from probes.joint import JointLogistic, NotFittedError
    from probes.kind import engine_of, solver_name
    from probes.probe import CLASS_WEIGHTS, KINDS, METRICS, SELECTIONS, HeadScore, Probe
    from probes.sampling import few_shot_rows
    from probes.solvers import SOLVERS

__all__ = [
    "CLASS_WEIGHTS",
    "KINDS",
    "METRICS",
    "SELECTIONS",
    "SOLVERS",
    "HeadScore",
    "JointLogistic",
    "NotFittedError",
    "Probe",
    "compile_task",
    "engine_of",
    "evaluate_task",
    "few_shot_rows",
    "host_memory",
    "solver_name",
]

_MODULES = {
    "CLASS_WEIGHTS": "probes.probe",
    "KINDS": "probes.probe",
    "METRICS": "probes.probe",
    "SELECTIONS": "probes.probe",
    "SOLVERS": "probes.solvers",
    "HeadScore": "probes.probe",
    "JointLogistic": "probes.joint",
    "NotFittedError": "probes.joint",
    "Probe": "probes.probe",
    "compile_task": "probes.evaluate",
    "engine_of": "probes.kind",
    "evaluate_task": "probes.evaluate",
    "few_shot_rows": "probes.sampling",
    "host_memory": "probes.evaluate",
    "solver_name": "probes.kind",
}


def __getattr__(name: str) -> Any:
    # On first use: checking a config needs the names of kinds and solvers, not JAX.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'probes' has no attribute '{name}'")
