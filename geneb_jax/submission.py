"""GENEB's submission format: one JSON file a model."""

from pathlib import Path
from typing import Any

import pandas as pd

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.models import ModelSpec
from geneb_jax.scores import protocol_rows, sanitise, task_means, write_json

_METRICS = {"MCC": "MCC", "Acc": "accuracy", "F1": "macro_F1"}


def submission(model: ModelSpec, scores: pd.DataFrame) -> dict[str, Any] | None:
    """Builds a submission from the rows that follow GENEB's protocol.

    Args:
        model: The model.
        scores: The run's scores table.

    Returns:
        The submission, means over the five seeds rounded to 4 decimals; None where no row follows
        the protocol (logistic regression, solver geneb, C = 1, all seeds of the benchmark).
    """
    rows = protocol_rows(scores[(scores["model"] == model.name) & (scores["category"] != CUSTOM)])
    rows = rows[rows["regime"].isin(GENEB.regimes) & rows["seed"].isin(GENEB.seeds)]
    seeds = rows.groupby(["regime", "task"])["seed"].transform("nunique")
    rows = rows[seeds == len(GENEB.seeds)]
    if rows.empty:
        return None
    results: dict[str, dict[str, dict[str, float]]] = {}
    for row in task_means(rows).to_dict("records"):
        cell = {name: round(row[column], 4) for name, column in _METRICS.items()}
        results.setdefault(row["regime"], {})[row["task"]] = cell
    return {
        "schema_version": GENEB.schema_version,
        "model_id": model.name,
        "harness_version": GENEB.harness_version,
        "meta": _meta(model),
        "results": results,
    }


def write_submission(model: ModelSpec, scores: pd.DataFrame, workdir: Path) -> Path | None:
    """Writes `submissions/<model>.json`; returns its path, or None where there is none to write."""
    content = submission(model, scores)
    if content is None:
        return None
    path = workdir / "submissions" / f"{sanitise(model.name)}.json"
    write_json(path, content)
    return path


def _meta(model: ModelSpec) -> dict[str, Any]:
    entry = model.entry
    meta = {
        "display": model.name,
        "params": 0,
        "url": "",
        "zero_shot": True,  # frozen embeddings: no task of the benchmark was trained on
        "training_data": "none",
        "provenance": "self-reported",
        "submitted_by": "",
    }
    if entry and model.kind == "checkpoint":
        meta |= {
            "display": entry.paper_name,
            "params": entry.params,
            "url": entry.source["url"] or "",
            "training_data": entry.labels["pretraining"],
        }
    return meta
