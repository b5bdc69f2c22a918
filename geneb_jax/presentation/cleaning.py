"""Clean scores as tables: what is left of a leaderboard without what train gives away."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.audit.findings import TaskAudit
from geneb_jax.presentation.analysis import of_benchmark, regimes_of
from geneb_jax.presentation.published import paper_names
from geneb_jax.presentation.results import of_comparable_models
from geneb_jax.scoring.clean import clean_rows, clean_scores
from geneb_jax.scoring.predictions import (
    Predictions,
    of_protocol,
    predictions_path,
    read_predictions,
)
from geneb_jax.scoring.scores import protocol_rows
from geneb_jax.uncertainty.comparing import category_means, rank_interval, ranks
from geneb_jax.uncertainty.other_records import (
    REPLICATES,
    record_interval,
    replicates_of_means,
    score_replicates,
    weights_of,
)

_FULL = "full"


def clean_tables(
    scores: pd.DataFrame, audits: Sequence[TaskAudit], predictions: Mapping[str, Path]
) -> dict[str, pd.DataFrame]:
    """Makes the tables of clean scores; none where no predictions are kept.

    Args:
        scores: A run's scores table.
        audits: Audits of its tasks.
        predictions: Folder of the kept predictions of each model, by its name in `scores`.

    Returns:
        `clean_scores` (see `scoring.clean.clean_scores`), `clean_tasks` (how many test records are
        left of each task, and why it is not scored) and `clean_leaderboard`: macro MCC over all
        and over clean test records of the same tasks, those on which every model has a clean
        score, with both ranks and 95 % intervals over other clean records.
    """
    of_task = {audit.task: audit for audit in audits}
    clean = clean_scores(scores, of_task, predictions)
    if clean.empty:
        return {}
    tasks = clean.drop_duplicates("task")[["task", "category", "clean", "note"]]
    tasks.insert(2, "test", [of_task[task].counts["n_test"] for task in tasks["task"]])
    found = {"clean_scores": clean, "clean_tasks": tasks.reset_index(drop=True)}
    board = _leaderboard(scores, clean, of_task, predictions)
    if not board.empty:
        found["clean_leaderboard"] = board
    return {
        name: table.assign(model=table["model"].replace(paper_names()))
        if "model" in table
        else table
        for name, table in found.items()
    }


class _Field(NamedTuple):
    """Whom the leaderboard of a regime compares, and on what.

    Attributes:
        clean: Mean clean MCC over seeds, models x tasks.
        categories: Category of each task.
        weights: What each task counts in the macro score, float64 [tasks].
    """

    clean: pd.DataFrame
    categories: Sequence[str]
    weights: np.ndarray


def _leaderboard(
    scores: pd.DataFrame,
    clean: pd.DataFrame,
    audits: Mapping[str, TaskAudit],
    predictions: Mapping[str, Path],
) -> pd.DataFrame:
    every, averaged = protocol_rows(scores), of_benchmark(clean)
    fields = _fields(protocol_rows(averaged[averaged["note"] == ""]))
    drawn = {
        task: _drawn(audits[task], fields, predictions)
        for task in dict.fromkeys(str(task) for field in fields.values() for task in field.clean)
    }
    tables = []
    compared = {model for field in fields.values() for model in field.clean.index}
    if lacking := sorted(set(averaged["model"]) - compared):
        logging.info(
            "not compared over clean records, as their clean scores are of too few tasks: %s",
            ", ".join(f"'{model}'" for model in lacking),
        )
    for regime, (left, categories, weights) in fields.items():
        models, tasks = list(left.index), list(left.columns)
        whole = _means(every[every["regime"] == regime]).reindex(index=models, columns=tasks)
        facts = zip(*(drawn[task][regime] for task in tasks), strict=True)
        replicates, variances = (np.stack(each, axis=-1) for each in facts)
        of_macro = replicates_of_means(replicates, variances, weights)
        macro, macro_clean = (
            category_means(table.to_numpy(float), categories).mean(-1) for table in (whole, left)
        )
        low, high = record_interval(of_macro, macro_clean)
        best, worst = rank_interval(of_macro)
        table = pd.DataFrame(
            {
                "regime": regime,
                "model": models,
                "macro": macro,
                "rank": ranks(macro),
                "macro_clean": macro_clean,
                "low": low,
                "high": high,
                "clean rank": ranks(macro_clean),
                "clean rank low": best,
                "clean rank high": worst,
                "tasks": len(tasks),
                "left out": len(set(every["task"]) - set(tasks)),
            }
        )
        tables.append(table.sort_values("macro_clean", ascending=False, kind="stable"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _fields(rows: pd.DataFrame) -> dict[str, _Field]:
    """Returns whom and what each regime compares, the benchmark's regimes first."""
    categories = rows.drop_duplicates("task").set_index("task")["category"]
    fields = {}
    for regime in regimes_of(rows):
        left = _means(rows[rows["regime"] == regime])
        if len(left.columns):
            names = categories[list(left.columns)].tolist()
            fields[regime] = _Field(left, names, weights_of(names).macro)
    return fields


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns mean MCC over seeds, models x tasks that all comparable models have."""
    whole = of_comparable_models(rows)
    table = whole.pivot_table(index="model", columns="task", values="MCC", sort=False)
    return table.dropna(axis=1)


def _drawn(
    audit: TaskAudit, fields: Mapping[str, _Field], predictions: Mapping[str, Path]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns of each regime with a task replicates [B, M] and variances [M] of the clean MCC.

    They are of means over seeds. Test rows have the same weights in all regimes, drawn once; the
    prior's share is the task's weight in the regime's macro score.
    """
    task = audit.task
    shares = {
        regime: float(field.weights[field.clean.columns.get_loc(task)])
        for regime, field in fields.items()
        if task in field.clean
    }
    of_heads = [(regime, model) for regime in shares for model in fields[regime].clean.index]
    kept: dict[str, Predictions] = {}
    for model in dict.fromkeys(model for _, model in of_heads):
        found = read_predictions(predictions_path(predictions[model], task))
        if found is not None:  # they were read before, for their scores
            kept[model] = found
    heads = [kept[model].predictions[_protocol_heads(kept[model], of)] for of, model in of_heads]
    labels = next(iter(kept.values())).labels
    rows, _ = clean_rows(audit, labels)
    rng = np.random.default_rng([*task.encode()])  # the same whatever else is in the run
    true, predicted = labels[rows], np.concatenate(heads)[:, rows]
    different = list(dict.fromkeys(shares.values()))
    numbers = np.split(np.arange(len(predicted)), np.cumsum([len(each) for each in heads])[:-1])
    replicates, variances = score_replicates(
        true, predicted, [each.tolist() for each in numbers], REPLICATES, rng, different
    )
    of_regimes = {}
    for regime, share in shares.items():
        mine = [number for number, (of, _) in enumerate(of_heads) if of == regime]
        of_regimes[regime] = replicates[different.index(share)][:, mine], variances[mine]
    return of_regimes


def _protocol_heads(kept: Predictions, regime: str) -> np.ndarray:
    """Returns the numbers of the heads of the protocol; fits of all rows are one for all seeds."""
    follows = of_protocol(kept.heads) & (kept.heads["regime"] == regime)
    return np.flatnonzero(follows)[: 1 if regime == _FULL else None]
