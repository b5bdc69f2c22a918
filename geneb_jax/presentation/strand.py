"""How often predictions change where a test record is read on its other strand."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.analysis import of_benchmark
from geneb_jax.presentation.published import paper_names
from geneb_jax.scoring.predictions import (
    of_protocol,
    predictions_path,
    read_predictions,
    read_turned,
)
from geneb_jax.scoring.scores import protocol_rows


def strand_tables(scores: pd.DataFrame, predictions: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Makes the tables of changed predictions; none where the other strand was not asked for.

    Args:
        scores: A run's scores table.
        predictions: Folder of the kept predictions of each model, by its name in `scores`.

    Returns:
        `strand_tasks`: the share of test records whose prediction changes under reverse
        complement, by model, regime and task, the mean over seeds of the protocol's heads; and
        `strand`: its mean by category, and `macro`, the mean of these, without custom tasks.
    """
    rows = protocol_rows(scores)
    rows = rows[["model", "category", "task"]].drop_duplicates()
    found = [
        {"regime": regime, **row, "changed": share}
        for row in rows.to_dict("records")
        if row["model"] in predictions
        for regime, share in _changed(predictions_path(predictions[row["model"]], row["task"]))
    ]
    if not found:
        return {}
    by_task = pd.DataFrame(found)
    by_task["model"] = by_task["model"].replace(paper_names())
    averaged = of_benchmark(by_task)
    if averaged.empty:
        return {"strand_tasks": by_task}
    wide = averaged.pivot_table(
        index=["regime", "model"], columns="category", values="changed", sort=False
    )
    wide = wide[[name for name in GENEB.categories if name in wide]]
    wide.insert(0, "macro", wide.mean(axis=1))
    return {"strand": wide.rename_axis(columns=None).reset_index(), "strand_tasks": by_task}


def _changed(path: Path) -> list[tuple[str, float]]:
    """Returns the share of changed predictions of each regime; none where they are not kept."""
    kept, turned = read_predictions(path), read_turned(path)
    if kept is None or turned is None or turned.shape != kept.predictions.shape:
        return []
    follows = of_protocol(kept.heads)
    share, regimes = (turned != kept.predictions).mean(axis=1), kept.heads["regime"]
    names = dict.fromkeys(regimes[follows].tolist())
    return [(name, float(share[follows & (regimes == name)].mean())) for name in names]
