"""The scores table: one row a model, task, regime, probe, strength and seed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.files.atomic import write_whole
from model_ports.catalog import dtype_of, entries

# What tells the heads of a model on a task apart.
HEAD_COLUMNS = (
    "regime",
    "probe",
    "solver",
    "standardised",
    "class_weight",
    "selection",
    "C",
    "seed",
)
KEY_COLUMNS = ("model", "preset", "dtype", "tap", "pooling", "task", "category", *HEAD_COLUMNS)
METRIC_COLUMNS = ("MCC", "accuracy", "macro_F1", "balanced_accuracy", "AUROC", "AUPRC")
_UNIQUE = [column for column in KEY_COLUMNS if column != "category"]
_TEXT_COLUMNS = [c for c in KEY_COLUMNS if c not in ("standardised", "C", "seed")]
_PARSERS = {  # of the other columns; those not named here hold floats
    "standardised": "True".__eq__,
    "converged": "True".__eq__,
    "seed": int,
    "iterations": int,
}
_FINAL = "-1"  # the hidden state that GENEB pools, in the column tap

# A head that follows GENEB's protocol: what a submission and the main table report.
PROTOCOL = {
    "probe": "logistic",
    "solver": "geneb",
    "standardised": False,
    "class_weight": "none",
    "selection": "none",
    "C": 1.0,
}


def read_scores(path: Path) -> pd.DataFrame:
    """Reads a scores table; floats come back exactly."""
    scores = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in scores:
        if column not in _TEXT_COLUMNS:
            scores[column] = scores[column].replace("", "nan")
            scores[column] = scores[column].map(_PARSERS.get(str(column), float))
    return scores


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Writes a scores table, numbers in the shortest form that reads back exactly."""
    write_whole(path, scores.to_csv(index=False, lineterminator="\n").encode())


def merge(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Returns both tables' rows; a row of `new` replaces the old one with its key."""
    both = pd.concat([old, new], ignore_index=True)
    return both.drop_duplicates(_UNIQUE, keep="last", ignore_index=True)


def arrange(scores: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Sorts rows by model, task in the benchmark's order, and the rest of the key.

    Args:
        scores: Rows with unique keys.
        models: Models that come first, in this order; others follow by name.
    """
    tasks = [task.id for task in GENEB.tasks]

    def position(order: Sequence[str], name: str) -> tuple[int, str]:
        return (order.index(name) if name in order else len(order), name)

    ranks: dict[str, Callable[[str], tuple[float, str]]] = {
        "model": lambda name: position(models, name),
        "task": lambda name: position(tasks, name),
        "regime": lambda name: position(GENEB.regimes, name),
        "tap": tap_position,
    }

    def rank(column: pd.Series) -> pd.Series:
        by = ranks.get(str(column.name))
        return column.map({name: by(name) for name in column.unique()}) if by else column

    return scores.sort_values(_UNIQUE, key=rank, kind="stable", ignore_index=True)


def tap_position(tap: str) -> tuple[float, str]:
    """Orders hidden states as they are computed, the final one last."""
    return (float("inf") if tap in ("none", _FINAL) else int(tap), tap)


def computed_as(scores: pd.DataFrame, preset: str, dtype: str) -> pd.DataFrame:
    """Returns the rows of models under a preset and dtype, and of baselines, which have none.

    Args:
        scores: The scores table.
        preset: Preset name.
        dtype: A name of `DTYPES`.
    """
    wanted = scores["model"].map({name: dtype_of(name, dtype) for name in scores["model"].unique()})
    own = (scores["preset"] == preset) & (scores["dtype"] == wanted)
    return scores[own | (scores["preset"] == "none")]


def preset_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of what each model's preset pools, and of baselines, which have none."""
    keep = scores["tap"].isin(["none", _FINAL])
    for (model, preset), group in scores.groupby(["model", "preset"]):
        entry = entries().get(str(model).partition(":")[0])
        if entry and preset in entry.presets:
            keep[group.index] &= group["pooling"] == entry.preset(cast(Any, preset)).pooling
    return scores[keep]


def protocol_rows(
    scores: pd.DataFrame, *, every_representation: bool = False, **otherwise: Any
) -> pd.DataFrame:
    """Returns the rows of heads that follow GENEB's protocol.

    Args:
        scores: The scores table.
        every_representation: Other hidden states and poolings than the preset's too.
        otherwise: Columns in which the heads differ from the protocol, with the value they have
            there; None: any.
    """
    scores = scores if every_representation else preset_rows(scores)
    keep = pd.Series(True, index=scores.index)
    for column, value in (PROTOCOL | otherwise).items():
        if value is not None:
            keep &= scores[column] == value
    return scores[keep]


def task_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: one row per model, regime, task."""
    keys = ["model", "regime", "category", "task"]
    groups = scores.groupby(keys, sort=False)
    # Column by column: pandas sums several at once in an order that depends on their layout in
    # memory, and the same scores would give other last digits once they were read from a file.
    means = {metric: groups[metric].mean() for metric in METRIC_COLUMNS}
    return pd.DataFrame(means).reset_index()


def category_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean MCC per model and regime (rows) and category (columns, the benchmark's order)."""
    means = task_means(scores)
    table = means.pivot_table(
        index=["model", "regime"], columns="category", values="MCC", sort=False
    )
    order = [category for category in (*GENEB.categories, CUSTOM) if category in table]
    return table[order]


def macro_micro(scores: pd.DataFrame) -> pd.DataFrame:
    """Macro and micro MCC per model and regime.

    Macro is the mean of the category means, micro the mean over tasks; custom tasks are in
    neither.

    Returns:
        Columns model, regime, macro, micro, tasks.
    """
    means = task_means(scores)
    means = means[means["category"] != CUSTOM]
    rows = []
    for (model, regime), group in means.groupby(["model", "regime"], sort=False):
        macro = group.groupby("category")["MCC"].mean().mean()
        rows.append((model, regime, macro, group["MCC"].mean(), len(group)))
    return pd.DataFrame(rows, columns=["model", "regime", "macro", "micro", "tasks"])
