"""The scores table: one row a model, task, regime, probe, strength and seed."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import pandas as pd

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.files.atomic import write_whole
from geneb_jax.tasks.tabular import TableError, first_problems, read_table, shown
from model_ports.catalog import stated_preset
from probes import METRICS

_KINDS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "truth": {"True": True, "False": False}.__getitem__,
    "integer": int,
    "number": lambda text: float(text or "nan"),
}
_KIND_NAMES = {"truth": "True or False", "integer": "an integer", "number": "a number"}
# The types of a column's values by kind; a missing number is a NaN.
TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "truth": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_MOST_PROBLEMS = 8  # of a table that are named
_NAMED = "[a-z]+[1-9][0-9]{0,8}"  # a hidden state with a name, such as mlp29
_TAP = re.compile(f"none|-1|[0-9]{{1,9}}|{_NAMED}")


class Column(NamedTuple):
    """A column of scores.csv.

    Attributes:
        kind: What its cells hold: 'text', 'truth' (True or False), 'integer' or 'number'.
        meaning: What it says of a row.
    """

    kind: str
    meaning: str


# What scores.csv holds, in the order of its columns.
COLUMNS: Mapping[str, Column] = {
    "model": Column("text", "The model as the config names it."),
    "preset": Column("text", "Preset of the embedding; none for a baseline."),
    "dtype": Column("text", "Precision of the embedding: float32 or bfloat16."),
    "tap": Column("text", "Hidden state: -1 final, 0 embedding, i after block i; a name; none."),
    "pooling": Column("text", "Pooling of the hidden state; none for a baseline."),
    "task": Column("text", "Id of the task."),
    "category": Column("text", "Its category: one of the benchmark's 13, or custom."),
    "regime": Column("text", "full, or how many train rows a class, such as 10shot."),
    "probe": Column("text", "Kind of probe."),
    "solver": Column("text", "How it was fitted."),
    "standardised": Column("truth", "Whether the fit was on standardised features."),
    "class_weight": Column("text", "none, or balanced."),
    "selection": Column("text", "How C and class weight were chosen on train; none: not at all."),
    "C": Column("number", "Inverse strength of the penalty."),
    "seed": Column("integer", "Seed of the few-shot rows and of what else the fit draws."),
    **{name: Column("number", meaning) for name, meaning in METRICS.items()},
    "iterations": Column("integer", "Iterations of the fit, epochs of an MLP; 0 for ridge."),
    "objective": Column("number", "Mean loss with penalty at the end of the fit."),
    "gradient_norm": Column("number", "Largest entry of its gradient; empty for an MLP."),
    "converged": Column("truth", "Whether a tolerance was met, not the limit of iterations."),
    "train_MCC": Column("number", "With cross_validate: mean MCC on five folds of its train rows."),
}
OPTIONAL = ("train_MCC",)  # columns of tables where it was asked for
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
METRIC_COLUMNS = tuple(METRICS)
REQUIRED = (*KEY_COLUMNS, METRIC_COLUMNS[0])  # what any version of scores.csv has
# The smallest value of metrics that may be below 0; the largest of all is 1.
_LOWEST = {"MCC": -1.0}
_ROUNDING = 1e-9
_UNIQUE = [column for column in KEY_COLUMNS if column != "category"]
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


class ScoresError(ValueError):
    """A file is no scores table; the message has a line for each problem."""


def read_scores(path: Path) -> pd.DataFrame:
    """Reads a scores table; floats come back exactly.

    Raises:
        ScoresError: The file cannot be read, lacks a column, or has a cell of another kind, a
            metric that is out of its range, or a row twice; names the first such rows.
    """
    try:
        table = read_table(path, str(path))
    except TableError as error:
        raise ScoresError(str(error)) from error
    repeated = [name for name, count in Counter(table.header).items() if count > 1]
    if repeated:
        raise ScoresError(f"{path}: column '{shown(repeated[0])}' is there twice")
    columns = dict(zip(table.header, zip(*table.rows, strict=True), strict=True))
    problems = [
        f"{path}: no column '{name}'; a scores.csv of a run has {', '.join(map(str, REQUIRED))}"
        for name in REQUIRED
        if name not in columns
    ]
    if problems:
        raise ScoresError(problems[0])
    values = {}
    for name, texts in columns.items():
        values[name], wrong = _values(name, texts)
        problems += first_problems(
            [f"{name} {shown(texts[i])!r} in {table.where(i)} {why}" for i, why in wrong], str(path)
        )
        if len(problems) > _MOST_PROBLEMS:
            break
    if problems:
        raise ScoresError("\n".join(problems[:_MOST_PROBLEMS]))
    scores = pd.DataFrame(values)
    again = scores.duplicated(_UNIQUE).to_numpy().nonzero()[0]
    if len(again):
        where = table.where(int(again[0]))
        raise ScoresError(f"{where} repeats the head of another row; remove one of them")
    return complete(scores)


def _values(name: str, texts: Sequence[str]) -> tuple[list[Any], list[tuple[int, str]]]:
    """Returns a column's values, and the index of each that is wrong, with the reason."""
    kind = COLUMNS[name].kind if name in COLUMNS else "number"
    read = {text: _value(name, kind, text) for text in set(texts)}
    wrong = [(i, read[text][1]) for i, text in enumerate(texts) if read[text][1]]
    return [read[text][0] for text in texts], wrong


def _value(name: str, kind: str, text: str) -> tuple[Any, str]:
    """Returns the value of a cell, and what is wrong with it; '': nothing."""
    try:
        value = _KINDS[kind](text)
    except (ValueError, KeyError):
        return None, f"is not {_KIND_NAMES[kind]}"
    return value, cell_problem(name, value)


def cell_problem(name: str, value: Any) -> str:
    """Says what is wrong with a value of a column, as in 'is not in -1 .. 1'; '': nothing."""
    if name == REQUIRED[-1] and math.isnan(value):
        return "is missing; remove the row, or have it computed again"
    if name in METRIC_COLUMNS:
        low = _LOWEST.get(name, 0.0)
        inside = math.isnan(value) or low - _ROUNDING <= value <= 1 + _ROUNDING
        return "" if inside else f"is not in {low:g} .. 1"
    if name == "category":
        return "" if value in (*GENEB.categories, CUSTOM) else "is no category of the benchmark"
    if name == "tap":
        return "" if _TAP.fullmatch(value) else "is no hidden state"
    if name == "C":
        return "" if 0 < value < float("inf") else "is not a positive number"
    return "" if name not in KEY_COLUMNS or value != "" else "is empty"


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns scores with every column in its order; metrics of newer code are missing values."""
    missing = {name: float("nan") for name in METRIC_COLUMNS if name not in scores}
    scores = scores.assign(**missing)
    known = [name for name in COLUMNS if name in scores]
    return scores[[*known, *(str(name) for name in scores if name not in COLUMNS)]]


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
    """Orders hidden states by their blocks, the final one last."""
    return (float("inf") if tap in ("none", _FINAL) else int(tap.lstrip(ascii_lowercase)), tap)


def represented(
    scores: pd.DataFrame, columns: Mapping[str, Sequence[Mapping[str, str]]]
) -> pd.DataFrame:
    """Returns the rows of some representations of some models.

    Args:
        scores: The scores table.
        columns: By model the columns preset, dtype, tap and pooling of each representation.
    """
    if not columns:
        return scores[:0]
    wanted = {(model, *each.values()) for model, many in columns.items() for each in many}
    names = ["model", *next(iter(columns.values()))[0]]
    rows = scores[names].itertuples(index=False, name=None)
    keep = [row in wanted for row in rows]
    return scores.loc[pd.Series(keep, index=scores.index, dtype=bool)]  # of no rows, all columns


def preset_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of what each model's preset pools, and of baselines, which have none."""
    keep = scores["tap"].isin(["none", _FINAL])
    for (model, preset), group in scores.groupby(["model", "preset"]):
        stated = stated_preset(str(model).partition(":")[0], str(preset))
        if "tap" in stated:
            keep[group.index] = group["tap"] == str(stated["tap"])
        elif not keep[group.index].any():  # a hidden state that a file of one's own states
            keep[group.index] = group["tap"].str.fullmatch(_NAMED)
        if "pooling" in stated:
            keep[group.index] &= group["pooling"] == stated["pooling"]
        elif (group["pooling"] == "mean").any():  # what `describe` pools of a model of one's own
            keep[group.index] &= group["pooling"] == "mean"
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
    """Averages every metric over seeds: one row a model, regime and task."""
    keys = ["model", "regime", "category", "task"]
    groups = scores.groupby(keys, sort=False)
    # Column by column: pandas sums several at once in an order that depends on their layout in
    # memory, and the same scores would give other last digits once they were read from a file.
    means = {metric: groups[metric].mean() for metric in METRIC_COLUMNS}
    return pd.DataFrame(means).reset_index()


def category_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Averages MCC by model and regime (rows) and category (columns, in the benchmark's order).

    Custom tasks are in no column.
    """
    means = task_means(scores)
    table = means.pivot_table(
        index=["model", "regime"], columns="category", values="MCC", sort=False
    )
    return table[[category for category in GENEB.categories if category in table]]


def macro_micro(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns macro and micro MCC by model and regime.

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
