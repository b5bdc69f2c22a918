"""Probe heads on frozen embeddings: few-shot sampling, joint fits, metrics. Pure JAX, no files."""

from probes.evaluate import (
    CLASS_WEIGHTS,
    KINDS,
    SELECTIONS,
    HeadScore,
    Probe,
    evaluate_task,
    solver_name,
)
from probes.logistic import SOLVERS
from probes.sampling import few_shot_rows

__all__ = [
    "CLASS_WEIGHTS",
    "KINDS",
    "SELECTIONS",
    "SOLVERS",
    "HeadScore",
    "Probe",
    "evaluate_task",
    "few_shot_rows",
    "solver_name",
]
