"""Rows of scores.csv for tests."""

import pandas as pd

from geneb_jax.benchmark import GENEB
from probes import METRICS


def row(**fields):
    return {
        "model": "kmer-4", "preset": "none", "dtype": "float32", "tap": "none",
        "pooling": "none", "task": GENEB.tasks[0].id, "category": GENEB.tasks[0].category,
        "regime": "full", "probe": "logistic", "solver": "geneb", "standardised": False,
        "class_weight": "none", "selection": "none", "C": 1.0, "seed": 13,
        **dict.fromkeys(METRICS, 0.5), "accuracy": 0.75, "macro_F1": 0.7, "balanced_accuracy": 0.7,
        "AUROC": 0.8, "AUPRC": 0.8, "iterations": 5, "objective": 0.6, "gradient_norm": 1e-5,
        "converged": True,
    } | fields  # fmt: skip


def table(*rows):
    return pd.DataFrame([row(**fields) for fields in rows])
