"""Clean scores: every metric over the test records that nothing of train gives away.

These are the records that are neither a copy nor a near copy of a train record, nor a shuffle twin
of one (see `audit`). They come from kept predictions, so that no head is fitted again.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.audit.findings import CLEAN, TaskAudit, label_digest
from geneb_jax.scoring.predictions import (
    SAME_MCC,
    Predictions,
    predictions_path,
    read_decision_values,
    read_predictions,
)
from geneb_jax.scoring.scores import HEAD_COLUMNS, KEY_COLUMNS, preset_rows
from geneb_jax.uncertainty.other_records import mcc_of
from probes import METRICS
from probes.metrics import area_metrics, confusion_matrix, count_metrics

FEWEST = 50  # clean records of a task that is scored


class CleanTask(NamedTuple):
    """The clean test records of a task.

    Attributes:
        rows: Which test records are clean, bool [M].
        why_not: Why they are not scored; empty: they are.
    """

    rows: np.ndarray
    why_not: str


def clean_rows(audit: TaskAudit, labels: np.ndarray) -> CleanTask:
    """Returns the clean test records of a task, and whether they are scored.

    Args:
        audit: The task's audit.
        labels: Labels of its M test records.
    """
    rows = audit.marks == CLEAN
    count, missing = int(rows.sum()), np.setdiff1d(labels, labels[rows])
    if count < FEWEST:
        return CleanTask(rows, f"{count} clean test records; {FEWEST} are needed")
    if len(missing):
        return CleanTask(rows, f"no clean test record has the label {missing[0]}")
    return CleanTask(rows, "")


def clean_scores(
    scores: pd.DataFrame, audits: Mapping[str, TaskAudit], predictions: Mapping[str, Path]
) -> pd.DataFrame:
    """Scores heads on clean test records.

    Args:
        scores: A run's scores table; rows of what each model's preset pools count.
        audits: Audits by task.
        predictions: Folder of the kept predictions of each model, by its name in `scores`.

    Returns:
        The columns that name a head, `clean` (how many test records are), the metrics, and `note`:
        why these are missing. AUROC and AUPRC need kept decision values (`save_predictions`).
        Heads without kept predictions are left out, and a model on a task where its predictions
        are of other records or do not give its scores; the log names the first.
    """
    rows: list[dict[str, Any]] = []
    without: list[str] = []
    for (model, task), group in preset_rows(scores).groupby(["model", "task"], sort=False):
        if task not in audits or model not in predictions:
            continue
        path, audit = predictions_path(predictions[str(model)], str(task)), audits[str(task)]
        kept = read_predictions(path)
        if kept is None or label_digest(kept.labels) != audit.labels or not _are_of(group, kept):
            without.append(f"'{model}' on '{task}'")
        else:
            rows += _of_task(group, audit, kept, read_decision_values(path))
    if without:
        logging.info(
            "no clean scores of %s%s: the predictions are not kept, or do not give the scores "
            "(config.save_predictions=True has them computed again)",
            without[0],
            f" and {len(without) - 1} more" if without[1:] else "",
        )
    return pd.DataFrame(rows, columns=[*KEY_COLUMNS, "clean", *METRICS, "note"])


def _are_of(group: pd.DataFrame, kept: Predictions) -> bool:
    """Says whether predictions give the MCC of the heads that they are of."""
    given = mcc_of(kept.labels, kept.predictions)
    found = dict(zip(_heads(kept.heads), given.tolist(), strict=True))
    names = [*HEAD_COLUMNS, "MCC"]
    return all(
        abs(found.get(tuple(head), mcc) - mcc) < SAME_MCC
        for *head, mcc in group[names].itertuples(index=False)
    )


def _of_task(
    group: pd.DataFrame, audit: TaskAudit, kept: Predictions, values: np.ndarray | None
) -> Iterator[dict[str, Any]]:
    """Yields the rows of the heads of one model on one task."""
    rows, why_not = clean_rows(audit, kept.labels)
    labels = np.unique(np.concatenate([kept.labels, kept.predictions.ravel()]))
    true = np.searchsorted(labels, kept.labels[rows])
    numbers = {head: i for i, head in enumerate(_heads(kept.heads))}
    facts: dict[str, np.ndarray | np.float64] = {}
    if not why_not:
        predicted = np.searchsorted(labels, kept.predictions[:, rows])
        classes = int(max(true.max(), predicted.max())) + 1
        facts |= count_metrics(confusion_matrix(true, predicted, classes))
    if not why_not and values is not None and values.ndim == 2:
        facts |= area_metrics(true, values[:, rows])
    for row in group[list(KEY_COLUMNS)].to_dict("records"):
        number = numbers.get(tuple(row[name] for name in HEAD_COLUMNS))
        if number is not None:
            own = {name: np.asarray(metric)[number].item() for name, metric in facts.items()}
            named = {name: row[name] for name in KEY_COLUMNS}
            yield {**named, "clean": int(rows.sum()), **own, "note": why_not}


def _heads(columns: Mapping[str, np.ndarray]) -> Iterator[tuple[Any, ...]]:
    yield from zip(*(columns[name].tolist() for name in HEAD_COLUMNS), strict=True)
