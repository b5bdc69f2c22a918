"""How sure scores and ranks are, as tables: intervals, pairs and groups under each question.

See `questions` for what is asked of which scores.
"""

import functools
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geneb_jax.benchmark import CUSTOM
from geneb_jax.presentation.analysis import leaderboard, regimes_of
from geneb_jax.presentation.published import paper_names
from geneb_jax.presentation.questions import Asked, ask
from geneb_jax.presentation.results import own_name
from geneb_jax.scoring.scores import protocol_rows
from geneb_jax.uncertainty.comparing import (
    better_and_worse,
    category_means,
    groups,
    in_order,
    rank_interval,
    ranks,
)

_Rows = Callable[[Asked], list[dict[str, Any]]]
_ONE_CLASS = (
    "a score of exactly 0 is that of heads that predict one class alone: their interval lies "
    "around 0, as nothing says whether their first other prediction would be right "
    "(docs/protocol.md, One class alone)"
)


def one_class_words(intervals: pd.DataFrame) -> str:
    """Says why the interval of a score of exactly 0 over other records lies around it.

    Args:
        intervals: Table `intervals_macro` or `intervals_custom`, or rows of it.

    Returns:
        A clause; '': there is no such row.
    """
    score = "MCC" if "MCC" in intervals else "macro"
    alone = intervals[(intervals["question"] == "records") & (intervals[score] == 0)]
    return _ONE_CLASS if ((alone["low"] < 0) & (alone["high"] > 0)).any() else ""


def interval_tables(
    results: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    predictions: Mapping[str, Path] | None = None,
    leaky: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Makes the tables of intervals and comparisons.

    Of a pair A is, whatever is asked, the model that stands first in `analysis.leaderboard` of all
    results; where a task is asked of alone, the one with the higher score in its first regime.

    Args:
        results: Results table.
        scores: The run's scores table; None: only other tasks are asked of.
        predictions: Folder of the kept predictions of each model of `scores`, by its name there.
        leaky: Ids of tasks that an audit found leaky: averages are compared again without them.
            Others than those of the scores do not count.

    Returns:
        `intervals_macro` (macro score and rank with intervals, how many models are told to be
        better and worse, the groups that cannot be told apart, as letters), `intervals_categories`,
        `intervals_scores` and `pairs`. Of each task of the benchmark that two to ten models have
        `intervals_tasks`, which has the columns of `intervals_macro`, and `pairs_tasks`, corrected
        among the pairs of the task; of custom tasks `intervals_custom` and `pairs_custom`.
        `intervals_macro_without_leaky` and `pairs_without_leaky` are the tables of the tasks that
        are not leaky, with the rank, or whether the pair is told apart, on all tasks, and how many
        are left out; they have the questions and regimes of which a task is left out and the
        others suffice. Tables without a row are left out.
    """
    rows, names = _of_run(scores, results)
    asked = ask(results, rows, names, predictions or {}, leaky)
    order = {model: i for i, model in enumerate(leaderboard(results).index)}
    places = _places(rows, names)

    def task_pairs(each: Asked) -> list[dict[str, Any]]:
        (task,) = each.tasks
        return _of_one_task(each, _pair_rows(each, places[task]))

    def task_rows(each: Asked) -> list[dict[str, Any]]:
        return _of_one_task(each, _macro_rows(each))

    pair_rows = functools.partial(_pair_rows, place=order)
    custom, benchmark = (
        [one for of_task in asked.alone.values() for one in of_task if one.categories == [CUSTOM]],
        [one for of_task in asked.alone.values() for one in of_task if one.categories != [CUSTOM]],
    )
    builds: dict[str, tuple[Sequence[Asked], _Rows]] = {
        "intervals_macro": (asked.averages, _macro_rows),
        "intervals_categories": (asked.averages, _category_rows),
        "intervals_scores": (asked.averages, _score_rows),
        "pairs": (asked.averages, pair_rows),
        "intervals_tasks": (benchmark, task_rows),
        "pairs_tasks": (benchmark, task_pairs),
        "intervals_custom": (custom, task_rows),
        "pairs_custom": (custom, task_pairs),
    }
    tables = _built(builds)
    again = {"intervals_macro": _macro_rows, "pairs": pair_rows}
    without = _built({name: (asked.without_leaky, build) for name, build in again.items()})
    return tables | _without_leaky(tables, without)


def _of_run(
    scores: pd.DataFrame | None, results: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns the rows of the protocol, and what `results` calls each of their models."""
    if scores is None:
        return pd.DataFrame(columns=["model", "task", "category", "regime", "seed", "MCC"]), {}
    rows, paper = protocol_rows(scores), paper_names()
    return rows, {name: own_name(paper.get(name) or name, results) for name in set(rows["model"])}


def _built(builds: Mapping[str, tuple[Sequence[Asked], _Rows]]) -> dict[str, pd.DataFrame]:
    """Returns the tables of the rows that are built of some questions, without empty ones."""
    tables = {
        name: pd.DataFrame([row for each in some for row in build(each)])
        for name, (some, build) in builds.items()
    }
    return {name: table for name, table in tables.items() if not table.empty}


def _without_leaky(
    tables: Mapping[str, pd.DataFrame], again: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Returns `intervals_macro_without_leaky` and `pairs_without_leaky` (see `interval_tables`).

    Args:
        tables: Of all tasks.
        again: The same tables of those that are not leaky.
    """
    found = {}
    for name, keys, column in (
        ("intervals_macro", ["question", "regime", "model"], "rank"),
        ("pairs", ["question", "regime", "A", "B"], "told apart"),
    ):
        if name in again and name in tables:
            renamed = {column: f"{column}, all tasks", "tasks": "left out"}
            before = tables[name].rename(columns=renamed)[[*keys, *renamed.values()]]
            both = again[name].merge(before, on=keys)
            both["left out"] -= both["tasks"]
            # Without a model that has leaky tasks alone the others may have more tasks in common.
            both = both[both["left out"] > 0].reset_index(drop=True)
            found[f"{name}_without_leaky"] = both
    return {name: table for name, table in found.items() if not table.empty}


def _places(rows: pd.DataFrame, names: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Returns the place of each model on each task: by MCC in its first regime, the best first.

    Models without scores there come last, and equal ones are in the order of their names.
    """
    places = {}
    for task, of_task in rows.groupby("task"):
        first = of_task[of_task["regime"] == regimes_of(of_task)[0]]
        scores = first.groupby("model")["MCC"].mean().rename(names)
        best = scores.sort_index().sort_values(ascending=False, kind="stable").index
        others = sorted({names[model] for model in of_task["model"]}.difference(best))
        places[str(task)] = {model: place for place, model in enumerate([*best, *others])}
    return places


def _macro_rows(asked: Asked) -> list[dict[str, Any]]:
    macro = category_means(asked.scores, asked.categories).mean(-1)
    low, high = asked.answer.macro
    best, worst = rank_interval(asked.answer.replicates)
    better, worse = better_and_worse(macro, asked.answer.pairs)
    letters = [""] * len(macro)
    for number, group in enumerate(groups(macro, asked.answer.pairs)):
        for model in group:
            letters[model] += _letter(number)
    rank = ranks(macro)
    return [
        {
            "question": asked.question,
            "regime": asked.regime,
            "model": asked.models[i],
            "macro": macro[i],
            "low": low[i],
            "high": high[i],
            "rank": rank[i],
            "rank low": best[i],
            "rank high": worst[i],
            "better": better[i],
            "worse": worse[i],
            "group": letters[i],
            "tasks": len(asked.tasks),
        }
        for i in np.argsort(-macro, kind="stable")
    ]


def _of_one_task(asked: Asked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names the one task of some rows of averages, whose score is MCC itself."""
    (task,) = asked.tasks
    named = {"macro": "MCC"}
    return [
        {"task": task, **{named.get(k, k): value for k, value in row.items() if k != "tasks"}}
        for row in rows
    ]


def _letter(number: int) -> str:
    """Names a group: a .. z, A .. Z, then (53), (54), ..."""
    letters = string.ascii_letters
    return letters[number] if number < len(letters) else f"({number + 1})"


def _category_rows(asked: Asked) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(asked.categories))
    means = category_means(asked.scores, asked.categories)
    low, high = asked.answer.categories
    return [
        {
            "question": asked.question,
            "regime": asked.regime,
            "model": model,
            "category": name,
            "MCC": means[i, k],
            "low": low[i, k],
            "high": high[i, k],
            "tasks": asked.categories.count(name),
        }
        for i, model in enumerate(asked.models)
        for k, name in enumerate(names)
    ]


def _score_rows(asked: Asked) -> list[dict[str, Any]]:
    if asked.answer.scores is None:
        return []
    low, high = asked.answer.scores
    return [
        {
            "question": asked.question,
            "regime": asked.regime,
            "model": model,
            "task": task,
            "MCC": asked.scores[i, k],
            "low": low[i, k],
            "high": high[i, k],
        }
        for i, model in enumerate(asked.models)
        for k, task in enumerate(asked.tasks)
        if high[i, k] > low[i, k]  # scores that are the same in all draws say nothing of others
    ]


def _pair_rows(asked: Asked, place: Mapping[str, int]) -> list[dict[str, Any]]:
    macro = category_means(asked.scores, asked.categories).mean(-1)
    pairs = in_order(asked.answer.pairs, np.array([place[model] for model in asked.models]))
    return [
        {
            "question": asked.question,
            "regime": asked.regime,
            "A": asked.models[a],
            "B": asked.models[b],
            "A - B": macro[a] - macro[b],
            "low": pairs.low[i],
            "high": pairs.high[i],
            "P(A beats B)": pairs.superiority[i],
            "p": pairs.p[i],
            "p, Holm": pairs.holm[i],
            "smallest p": pairs.attainable,
            "told apart": pairs.told_apart[i],
            "tasks": len(asked.tasks),
        }
        for i, (a, b) in enumerate(zip(pairs.first, pairs.second, strict=True))
    ]
