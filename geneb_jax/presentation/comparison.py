"""What differs between two runs: data, weights, config, versions, scores and ranks."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from geneb_jax.config import fields_of_scores
from geneb_jax.embedding.identity import weights_identity
from geneb_jax.files.json_files import canonical_json, read_object
from geneb_jax.scoring.cells import look_through
from geneb_jax.scoring.scores import (
    KEY_COLUMNS,
    METRIC_COLUMNS,
    PROTOCOL,
    macro_micro,
    protocol_rows,
    read_scores,
)

# In the order in which they are shown: causes before what they cause.
KINDS = ("data", "weights", "config", "versions", "scores", "ranks")
COLUMNS = ("kind", "model", "task", "regime", "what", "first", "second", "difference")
_DIGITS = 16  # of a digest, which people are to compare
_HEAD = [name for name in KEY_COLUMNS if name != "seed"]  # what a mean over seeds is of
_SIDES = ("first", "second")
# Weights that are drawn: their kind and seed, fields that were changed, files of a tokenizer.
_RANDOM = re.compile(
    r"(random:(?:tiny|full|checkpoint):\d+(?::\{.*\})?)(?::(sha256:.*|[0-9a-f]+))?"
)


class Difference(NamedTuple):
    """One thing in which two runs differ.

    Attributes:
        kind: One of `KINDS`.
        what: What it is of, such as a field of the config or a metric.
        first: Its value in the first run, as text or number; '': it has none.
        second: Its value in the second run.
        model, task, regime: What it belongs to; '': to all.
        difference: Second minus first, of numbers; None: they are none.
    """

    kind: str
    what: str
    first: Any
    second: Any
    model: str = ""
    task: str = ""
    regime: str = ""
    difference: float | None = None


class Side(NamedTuple):
    """One of the runs.

    Attributes:
        scores: Its scores table.
        record: The content of its run.json; nothing where there is none.
        weights: What tells the weights of each model from others, by model.
        records: Digest of the content of each task, by task.
    """

    scores: pd.DataFrame
    record: Mapping[str, Any]
    weights: Mapping[str, Mapping[str, Any]]
    records: Mapping[str, str]


def read_side(workdir: Path) -> Side:
    """Reads the workdir of a run.

    Raises:
        ValueError: scores.csv is missing or damaged, or run.json is damaged.
    """
    if not (workdir / "scores.csv").is_file():
        raise ValueError(f"{workdir}: no scores.csv; give workdirs of runs that computed scores")
    path = workdir / "run.json"
    record = read_object(path) if path.exists() else {}
    cells = [cell for cell in look_through(workdir / "cells", {}, {}) if cell.belongs]
    weights = {cell.model: weights_identity(cell.identity["model"]) for cell in cells}
    records = {cell.task: cell.identity["task"] for cell in cells}
    return Side(read_scores(workdir / "scores.csv"), record, weights, records)


def compare(first: Side, second: Side, tolerance: float = 0.0) -> list[Difference]:
    """Returns everything in which two runs differ, by kind, the largest differences first.

    Times, memory and devices' names are not compared, nor which models and tasks a run's config
    names: what only one run scored is among the differences of the scores.

    Args:
        first: A run.
        second: Another one.
        tolerance: The largest difference of a metric that counts as none.

    Returns:
        Nothing where the runs are equal.
    """
    return [
        *_data(first, second),
        *_weights(first, second),
        *_config(first.record, second.record),
        *_versions(first.record, second.record),
        *_scores(first.scores, second.scores, tolerance),
        *_ranks(first.scores, second.scores),
    ]


def as_table(differences: list[Difference]) -> pd.DataFrame:
    """Returns differences as a table with the columns `COLUMNS`, one row each.

    The column `difference` is float64, missing where there is none.
    """
    table = pd.DataFrame(differences, columns=list(Difference._fields))[list(COLUMNS)]
    return table.astype({"difference": float})


def _unequal(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields the names whose values differ, with both values as text; '' where one is missing."""
    for name in dict.fromkeys([*one, *other]):
        values = [_text(each[name]) if name in each else "" for each in (one, other)]
        if values[0] != values[1]:
            yield name, values[0], values[1]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _data(first: Side, second: Side) -> Iterator[Difference]:
    """Compares the records of the tasks that both runs have, and the benchmark's revision."""
    both = [first.record.get("benchmark", {}), second.record.get("benchmark", {})]
    if all(both):
        for name, one, other in _unequal(*both):
            yield Difference("data", f"benchmark.{name}", one, other)
    for task in [name for name in first.records if name in second.records]:
        one, other = (side.records[task][:_DIGITS] for side in (first, second))
        if one != other:
            yield Difference("data", "records", one, other, task=task)
    tasks = [side.record.get("tasks", {}) for side in (first, second)]
    for task in [name for name in tasks[0] if name in tasks[1]]:
        for split in ("train", "test"):
            one, other = (each[task][split]["sha256"][:_DIGITS] for each in tasks)
            if one != other:
                yield Difference("data", f"fingerprint of {split}", one, other, task=task)


def _weights(first: Side, second: Side) -> Iterator[Difference]:
    for model in [name for name in first.weights if name in second.weights]:
        both = (_parted(side.weights[model]) for side in (first, second))
        for name, one, other in _unequal(*both):
            yield Difference("weights", name, one, other, model=model)


def _parted(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an identity in which random weights stand apart from the files of their tokenizer.

    These are part of `weights`, as other files may be other tokens; the weights are the same.
    """
    drawn = _RANDOM.fullmatch(str(identity.get("weights", "")))
    if drawn is None:
        return dict(identity)
    return {**identity, "weights": drawn[1], "tokenizer files": drawn[2] or "none"}


def _config(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    configs = [record.get("config", {}) for record in (first, second)]
    if all(configs):
        names = [field.name for field in fields_of_scores()]
        given = [{n: config[n] for n in names if n in config} for config in configs]
        for name, one, other in _unequal(*given):
            yield Difference("config", name, one, other)


def _versions(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    if first and second:
        packages = [
            {"geneb_jax": r.get("geneb_jax", ""), **r.get("packages", {})} for r in (first, second)
        ]
        for name, one, other in _unequal(*packages):
            yield Difference("versions", name, one, other)


def _scores(first: pd.DataFrame, second: pd.DataFrame, tolerance: float) -> Iterator[Difference]:
    both = first.merge(second, how="outer", on=list(KEY_COLUMNS), indicator=True, suffixes=_NAMES)
    for side, name in (("left_only", "first"), ("right_only", "second")):
        yield from _only(both[both["_merge"] == side], name, {"first": second, "second": first})
    shared = both[both["_merge"] == "both"]
    differs = pd.DataFrame(
        {metric: _differs(shared, metric, tolerance) for metric in METRIC_COLUMNS}
    )
    heads = shared.groupby(_HEAD, sort=False).ngroup()
    # Means are over all seeds that both have, also over those whose scores are equal.
    columns = [name + end for name in METRIC_COLUMNS for end in _NAMES]
    means = shared[columns].groupby(heads).mean().to_dict("index")
    named = shared[_HEAD].groupby(heads).first().to_dict("index")
    found = []
    for number, changed in differs.groupby(heads).any().to_dict("index").items():
        metric = next((name for name in METRIC_COLUMNS if changed[name]), None)
        if metric is None:
            continue
        head = named[number]
        one, other = (float(means[number][metric + end]) for end in _NAMES)
        what = f"{metric}{_of_head(head)}"
        keys = {name: str(head[name]) for name in ("model", "task", "regime")}
        found.append(Difference("scores", what, one, other, **keys, difference=other - one))
    yield from sorted(found, key=lambda each: -abs(each.difference or 0.0))


_NAMES = (" in first", " in second")  # endings of the columns of a metric


def _differs(rows: pd.DataFrame, metric: str, tolerance: float) -> pd.Series:
    """Says of each row whether a metric differs; one that is missing in both does not."""
    one, other = (rows[metric + end] for end in _NAMES)
    return ((one - other).abs() > tolerance) | (one.isna() != other.isna())


def _of_head(head: Mapping[Any, Any]) -> str:
    """Returns what tells a head from those of GENEB's protocol, as in ' (C=10.0)'."""
    others = [f"{name}={head[name]}" for name in PROTOCOL if head[name] != PROTOCOL[name]]
    return f" ({', '.join(others)})" if others else ""


def _only(
    rows: pd.DataFrame, side: str, others: Mapping[str, pd.DataFrame]
) -> Iterator[Difference]:
    """Yields what one run alone scored: whole models, and tasks of others."""
    known = set(others[side]["model"])
    for model, group in rows.groupby("model", sort=False):
        tasks = [""] if model not in known else list(group["task"].unique())
        for task in tasks:
            count = len(group) if not task else int((group["task"] == task).sum())
            values = [str(count) if name == side else "" for name in _SIDES]
            yield Difference("scores", "rows of one alone", *values, model=str(model), task=task)


def _ranks(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[Difference]:
    """Compares the models' ranks by macro MCC, on what both runs have scored (1 is the best)."""
    rows = [protocol_rows(scores) for scores in (first, second)]
    keys = ["model", "regime", "task"]
    common = rows[0][keys].drop_duplicates().merge(rows[1][keys].drop_duplicates())
    if common.empty:
        return
    one, other = (
        macro_micro(each.merge(common)).set_index(["regime", "model"])["macro"].rename(side)
        for each, side in zip(rows, _SIDES, strict=True)
    )
    ranks = [each.groupby("regime").rank(ascending=False, method="min") for each in (one, other)]
    for regime, model in ranks[0].index:
        before, after = (int(rank[regime, model]) for rank in ranks)
        if before != after:
            yield Difference(
                "ranks", "rank by macro MCC", before, after, model=str(model),
                regime=str(regime), difference=after - before,
            )  # fmt: skip
