"""What a reader sees of the audit of tasks: a line a task, and the reasons of each verdict."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from geneb_jax.presentation.published import published_results


def published_medians() -> dict[str, float]:
    """Returns the median full-shot MCC of the paper's 40 models, by task."""
    results = published_results()
    full = results[results["regime"] == "full"]
    return {str(task): float(mcc) for task, mcc in full.groupby("task")["MCC"].median().items()}


def audit_summary(row: Mapping[str, Any]) -> dict[str, str]:
    """Returns a row of audit.csv in few columns, as texts."""
    return {
        "task": row["task"],
        "train": f"{row['n_train']}",
        "test": f"{row['n_test']}",
        "copies": f"{row['copies']}",
        "near\ncopies": f"{row['near']}",
        "twins": f"{row['twins']}",
        "clean": f"{row['clean']}",
        "best rule": row["best_rule"],
        "its\nMCC": f"{row['best_rule_MCC']:.3f}",
        "published\nmedian": _shown(row["published_median"]),
        "verdict": row["verdict"],
    }


def audit_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the reasons of each verdict that is not clean, a line each, the leaky first."""
    order = ("leaky", "caution")
    found = sorted((r for r in rows if r["reasons"]), key=lambda row: order.index(row["verdict"]))
    return [f"{row['verdict']}: {row['task']}: {row['reasons']}" for row in found]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
