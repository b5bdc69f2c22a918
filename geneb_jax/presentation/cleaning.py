"""Clean scores as tables: what is left of a leaderboard without what train gives away."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from geneb_jax.audit.findings import TaskAudit
from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.published import paper_names
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
    jackknife_variance,
    record_interval,
    record_replicates,
    replicates_of_means,
    row_effects,
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


def _leaderboard(
    scores: pd.DataFrame,
    clean: pd.DataFrame,
    audits: Mapping[str, TaskAudit],
    predictions: Mapping[str, Path],
) -> pd.DataFrame:
    every = protocol_rows(scores)
    rows = protocol_rows(clean[(clean["note"] == "") & (clean["category"] != CUSTOM)])
    regimes = [name for name in GENEB.regimes if name in set(rows["regime"])]
    regimes += sorted(set(rows["regime"]) - set(regimes))
    categories = rows.drop_duplicates("task").set_index("task")["category"]
    tables = []
    for regime in regimes:
        of_regime = rows[rows["regime"] == regime]
        left = _means(of_regime)
        models, tasks = list(left.index), list(left.columns)
        if not tasks:
            continue
        whole = _means(every[every["regime"] == regime]).reindex(index=models, columns=tasks)
        names = categories[tasks].tolist()
        weights = weights_of(names).macro
        drawn = [
            _replicates(audits[task], models, regime, predictions, share)
            for task, share in zip(tasks, weights, strict=True)
        ]
        replicates, variances = (np.stack(each, axis=-1) for each in zip(*drawn, strict=True))
        of_macro = replicates_of_means(replicates, variances, weights)
        macro, macro_clean = (
            category_means(table.to_numpy(float), names).mean(-1) for table in (whole, left)
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


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns mean MCC over seeds, models x tasks that all of the models have."""
    table = rows.pivot_table(index="model", columns="task", values="MCC", sort=False)
    return table.dropna(axis=1)


def _replicates(
    task: TaskAudit,
    models: Sequence[str],
    regime: str,
    predictions: Mapping[str, Path],
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns replicates [B, M] and variances [M] of the clean MCC of models on a task.

    They are of means over seeds; `share` is the prior's.
    """
    kept = [read_predictions(predictions_path(predictions[model], task.task)) for model in models]
    found = [each for each in kept if each is not None]  # they were read before, for their scores
    heads = [each.predictions[_protocol_heads(each, regime)] for each in found]
    labels = found[0].labels
    rows, _ = clean_rows(task, labels)
    rng = np.random.default_rng([*task.task.encode()])  # the same whatever else is in the run
    true, predicted = labels[rows], np.concatenate(heads)[:, rows]
    (drawn,) = record_replicates(true, predicted, REPLICATES, rng, (share,))
    borders = np.cumsum([len(each) for each in heads])[:-1]
    of_models, effects = (
        np.stack([part.mean(1) for part in np.split(values, borders, axis=1)], axis=1)
        for values in (drawn, row_effects(true, predicted))
    )
    return of_models, jackknife_variance(effects)


def _protocol_heads(kept: Predictions, regime: str) -> np.ndarray:
    """Returns the numbers of the heads of the protocol; fits of all rows are one for all seeds."""
    follows = of_protocol(kept.heads) & (kept.heads["regime"] == regime)
    return np.flatnonzero(follows)[: 1 if regime == _FULL else None]
