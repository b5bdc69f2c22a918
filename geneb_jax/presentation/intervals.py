"""How sure scores and ranks are, as tables: intervals, pairs and groups under each question.

The questions are those of `geneb_jax.uncertainty`. Other tasks are asked of any results table,
other shots of a run's scores by seed, other records of its kept predictions. Custom tasks are in no
average: of each of them shots and records are asked alone.
"""

import functools
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.benchmark import CUSTOM
from geneb_jax.presentation.analysis import leaderboard, regimes_of
from geneb_jax.presentation.published import paper_names
from geneb_jax.presentation.results import of_comparable_models, own_name
from geneb_jax.scoring.predictions import of_protocol, predictions_path, read_predictions
from geneb_jax.scoring.scores import protocol_rows
from geneb_jax.tasks.synthetic import SYNTHETIC_PREFIX
from geneb_jax.uncertainty.comparing import (
    Answer,
    better_and_worse,
    category_means,
    groups,
    in_order,
    rank_interval,
    ranks,
)
from geneb_jax.uncertainty.other_records import (
    REPLICATES,
    answer_records,
    mcc_of,
    score_replicates,
    weights_of,
)
from geneb_jax.uncertainty.other_shots import FEWEST, answer_shots
from geneb_jax.uncertainty.other_tasks import answer_tasks

_SEED = 0
_SAME = 1e-9  # MCC of kept predictions beside the scores table's
_FULL = "full"


class _Part(NamedTuple):
    """Tasks of which averages are compared.

    Attributes:
        which: Which tasks these are, in messages.
        results: Their rows of a results table.
        rows: Those of the run's scores, of the protocol.
    """

    which: str
    results: pd.DataFrame
    rows: pd.DataFrame


class _Asked(NamedTuple):
    """One question of one regime: M models on T tasks, and the answer."""

    question: str
    regime: str
    models: list[str]
    tasks: list[str]
    categories: list[str]
    scores: np.ndarray  # [M, T]
    answer: Answer


def interval_tables(
    results: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    predictions: Mapping[str, Path] | None = None,
    leaky: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Makes the tables of intervals and comparisons.

    Each question compares models on the tasks that all of them have in a regime, without models
    that lack more than a tenth of what others have; and on each custom task those that have it. Of
    a pair A is, whatever is asked, the model that stands first in `analysis.leaderboard` of all
    results; on a custom task the one that has the higher score in its first regime.

    Args:
        results: Results table.
        scores: The run's scores table; None: only other tasks are asked of.
        predictions: Folder of the kept predictions of each model of `scores`, by its name there.
        leaky: Ids of tasks that an audit found leaky: averages are compared again without them.
            Others than those of the scores do not count.

    Returns:
        `intervals_macro` (macro score and rank with intervals, how many models are told to be
        better and worse, the groups that cannot be told apart, as letters), `intervals_categories`,
        `intervals_scores` and `pairs`; of custom tasks `intervals_custom`, which has the columns of
        `intervals_macro` for each task, and `pairs_custom`, the pairs on each, corrected among
        themselves. `intervals_macro_without_leaky` and `pairs_without_leaky` are these tables of
        the tasks that are not leaky, with the rank, or whether the pair is told apart, on all
        tasks, and how many are left out; they have the questions and regimes of which a task is
        left out and the others suffice. Tables without a row are left out.
    """
    rows, names = _of_run(scores, results)
    custom = rows["category"] == CUSTOM
    parts = [_Part("", results[results["category"] != CUSTOM], rows[~custom])]
    if not set(leaky).isdisjoint([*parts[0].results["task"], *parts[0].rows["task"]]):
        kept = (table[~table["task"].isin(leaky)] for table in parts[0][1:])
        parts.append(_Part(" without the leaky ones", *kept))
    of_custom = [*_of_custom_tasks(rows[custom], names, predictions or {})]
    asked, *again = _of_averages(parts, names, predictions or {})
    tables = _tables(asked, of_custom, results, _places(rows[custom], names))
    for questions in again:
        tables |= _without_leaky(tables, _tables(questions, [], results, {}))
    return tables


def _of_run(
    scores: pd.DataFrame | None, results: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns the rows of the protocol, and what `results` calls each of their models."""
    if scores is None:
        return pd.DataFrame(columns=["model", "task", "category", "regime", "seed", "MCC"]), {}
    rows, paper = protocol_rows(scores), paper_names()
    return rows, {name: own_name(paper.get(name) or name, results) for name in set(rows["model"])}


def _of_averages(
    parts: Sequence[_Part], names: Mapping[str, str], predictions: Mapping[str, Path]
) -> list[list[_Asked]]:
    """Asks every question of each part of the benchmark's tasks."""
    of_records = _of_records(parts, names, predictions)
    return [
        [*_of_tasks(part.results, part.which), *_of_shots(part.rows, names), *records]
        for part, records in zip(parts, of_records, strict=True)
    ]


def _tables(
    asked: Sequence[_Asked],
    of_custom: Sequence[_Asked],
    results: pd.DataFrame,
    places: Mapping[str, Mapping[str, int]],
) -> dict[str, pd.DataFrame]:
    """Returns the tables of some questions; see `interval_tables`.

    Args:
        asked: Questions that were asked of models of `results`.
        of_custom: Those of single custom tasks.
        results: Results table whose leaderboard gives the order of the models of a pair.
        places: The order of the models of a pair on each custom task (see `_places`).
    """

    def custom_pairs(each: _Asked) -> list[dict[str, Any]]:
        (task,) = each.tasks
        return _of_one_task(each, _pair_rows(each, places[task]))

    place = {model: i for i, model in enumerate(leaderboard(results).index)}
    pair_rows = functools.partial(_pair_rows, place=place)
    builds: dict[str, tuple[Sequence[_Asked], Callable[[_Asked], list[dict[str, Any]]]]] = {
        "intervals_macro": (asked, _macro_rows),
        "intervals_categories": (asked, _category_rows),
        "intervals_scores": (asked, _score_rows),
        "pairs": (asked, pair_rows),
        "intervals_custom": (of_custom, lambda each: _of_one_task(each, _macro_rows(each))),
        "pairs_custom": (of_custom, custom_pairs),
    }
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


def _of_tasks(rows: pd.DataFrame, which: str) -> Iterator[_Asked]:
    for regime in regimes_of(rows):
        of_regime = of_comparable_models(rows[rows["regime"] == regime])
        matrix = of_regime.pivot(index="model", columns="task", values="MCC").dropna(axis=1)
        if matrix.empty:
            continue
        models, tasks = list(matrix.index), list(matrix.columns)
        categories = _categories(of_regime, tasks)
        values = matrix.to_numpy(float)
        try:
            answer = answer_tasks(values, categories, np.random.default_rng(_SEED))
        except ValueError as error:
            if not of_regime["task"].str.startswith(SYNTHETIC_PREFIX).all():
                logging.info("no intervals over other tasks%s: %s", which, error)
            return
        yield _Asked("tasks", regime, models, tasks, categories, values, answer)


def _of_shots(rows: pd.DataFrame, names: Mapping[str, str]) -> Iterator[_Asked]:
    for regime in regimes_of(rows):
        of_regime = of_comparable_models(rows[rows["regime"] == regime])
        table = of_regime.pivot(index=["seed", "model"], columns="task", values="MCC")
        seeds = table.index.get_level_values("seed").unique()
        models = list(dict.fromkeys(of_regime["model"]))
        table = table.reindex(pd.MultiIndex.from_product([seeds, models])).dropna(axis=1)
        if regime == _FULL or len(seeds) < FEWEST or table.empty:
            continue
        tasks = list(table.columns)
        categories = _categories(of_regime, tasks)
        values = table.to_numpy(float).reshape(len(seeds), len(models), len(tasks))
        answer = answer_shots(values, categories, np.random.default_rng(_SEED))
        shown = [names[model] for model in models]
        yield _Asked("shots", regime, shown, tasks, categories, values.mean(0), answer)


class _Head(NamedTuple):
    """A head of the protocol on one task, and its score."""

    model: str
    regime: str
    seed: int
    MCC: float


class _OfTask(NamedTuple):
    """What `answer_records` asks of each task, of one task without the last axis."""

    replicates: tuple[np.ndarray, ...]  # three of [B, M]
    variances: np.ndarray  # [M]
    scores: np.ndarray  # [M]


class _Compared(NamedTuple):
    """Whom the question of other records compares, and on what.

    Attributes:
        models: Names of the models.
        categories: Category of each task, by its id.
        shares: The prior's shares of each task (see `Weights.shares`): those of all tasks, also
            where some turn out to have no predictions.
    """

    models: list[str]
    categories: dict[str, str]
    shares: dict[str, tuple[float, ...]]


def _compared(rows: pd.DataFrame) -> _Compared:
    rows = of_comparable_models(rows)
    tasks = list(dict.fromkeys(rows["task"]))
    categories = _categories(rows, tasks)
    shares = map(tuple, weights_of(categories).shares.tolist()) if tasks else ()
    return _Compared(
        list(dict.fromkeys(rows["model"])),
        dict(zip(tasks, categories, strict=True)),
        dict(zip(tasks, shares, strict=True)),
    )


def _of_records(
    parts: Sequence[_Part], names: Mapping[str, str], predictions: Mapping[str, Path]
) -> list[list[_Asked]]:
    """Resamples the test rows of each task with the same weights for all parts, models and regimes.

    Parts that compare the same models share what is drawn, which is the same to each of them as if
    it were asked alone.
    """
    compared = [_compared(part.rows) for part in parts]
    drawn: list[dict[str, dict[str, _OfTask]]] = [{} for _ in parts]
    without = [0 for _ in parts]
    for task, of_task in _heads(parts[0].rows).items():
        asking: dict[tuple[str, ...], list[int]] = {}
        for number, each in enumerate(compared):
            # Where a model has no scores nothing is compared.
            if task in each.shares and of_task.keys() >= set(each.models):
                asking.setdefault(tuple(each.models), []).append(number)
        for models, numbers in asking.items():
            heads = {model: of_task[model] for model in models}
            shares = [compared[number].shares[task] for number in numbers]
            found = _resampled(task, heads, predictions, shares)
            for number, of_regimes in zip(numbers, found, strict=True):
                without[number] += not of_regimes
                for regime, one in of_regimes.items():
                    drawn[number].setdefault(regime, {})[task] = one
    asked = []
    for part, each, missing, of_regimes in zip(parts, compared, without, drawn, strict=True):
        _say_without(missing, len(each.categories), part.which)
        shown = [names[model] for model in each.models]
        asked.append([
            _of_replicates(regime, shown, tasks, [each.categories[task] for task in tasks])
            for regime, tasks in of_regimes.items()
        ])  # fmt: skip
    return asked


def _of_custom_tasks(
    rows: pd.DataFrame, names: Mapping[str, str], predictions: Mapping[str, Path]
) -> Iterator[_Asked]:
    """Asks of each custom task by itself, whose score is then the macro score."""
    without, heads = 0, _heads(rows)
    shares = [tuple(each) for each in weights_of([CUSTOM]).shares.tolist()]
    for task, of_task in heads.items():
        (found,) = _resampled(task, of_task, predictions, shares)
        without += not found
        shown = [names[model] for model in of_task]
        asked = [_of_replicates(name, shown, {task: one}, [CUSTOM]) for name, one in found.items()]
        asked += _of_shots(rows[rows["task"] == task], names)
        for each in asked:
            assert each.answer.scores is not None  # both questions are asked of scores
            low, high = (ends[:, 0] for ends in each.answer.scores)
            yield each._replace(answer=each.answer._replace(macro=(low, high)))
    _say_without(without, len(heads))


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


def _heads(rows: pd.DataFrame) -> dict[str, dict[str, list[_Head]]]:
    """Returns the heads of the protocol by task and model, fits of all rows once."""
    heads: dict[str, dict[str, list[_Head]]] = {task: {} for task in rows["task"].unique()}
    columns = [rows[name].tolist() for name in ("task", "model", "regime", "seed", "MCC")]
    for task, *fields in zip(*columns, strict=True):
        of_model = heads[task].setdefault(fields[0], [])
        # The fits of all rows are one, whatever the seed.
        if fields[1] != _FULL or _FULL not in {head.regime for head in of_model}:
            of_model.append(_Head(*fields))
    return heads


def _resampled(
    task: str,
    heads: Mapping[str, list[_Head]],
    predictions: Mapping[str, Path],
    shares: Sequence[tuple[float, ...]],
) -> list[dict[str, _OfTask]]:
    """Returns for each three shares of the prior replicates of models on a task, by regime.

    They are of the regimes which all models have scores in; of none where predictions of a model
    are not kept, or are of other records than the others'.
    """
    kept = [
        _kept(of_model, predictions_path(predictions[model], task))
        for model, of_model in heads.items()
        if model in predictions
    ]
    there = [each for each in kept if each is not None]
    if len(there) < len(heads) or any(not np.array_equal(there[0][0], true) for true, _ in there):
        return [{} for _ in shares]
    true, every = there[0][0], np.concatenate([predicted for _, predicted in there])
    rng = np.random.default_rng([*task.encode()])  # the same whatever else is in the run
    of_scores: dict[tuple[str, str], list[int]] = {}  # numbers of the heads of each score
    of_rows = [head for of_model in heads.values() for head in of_model]
    for number, head in enumerate(of_rows):
        of_scores.setdefault((head.regime, head.model), []).append(number)
    different = list(dict.fromkeys(share for each in shares for share in each))
    replicates, variances = score_replicates(
        true, every, list(of_scores.values()), REPLICATES, rng, different
    )
    MCC = np.array([head.MCC for head in of_rows])
    means = np.array([MCC[each].mean() for each in of_scores.values()])
    place = {score: number for number, score in enumerate(of_scores)}
    found: list[dict[str, _OfTask]] = [{} for _ in shares]
    for regime in dict.fromkeys(regime for regime, _ in of_scores):
        if all((regime, model) in place for model in heads):
            those = [place[regime, model] for model in heads]
            of_shares = dict(zip(different, replicates[..., those], strict=True))
            for of_regimes, three in zip(found, shares, strict=True):
                drawn = tuple(of_shares[share] for share in three)
                of_regimes[regime] = _OfTask(drawn, variances[those], means[those])
    return found


def _of_replicates(
    regime: str, models: list[str], of_tasks: Mapping[str, _OfTask], categories: list[str]
) -> _Asked:
    facts = zip(*of_tasks.values(), strict=True)
    stacked = _OfTask(*(np.stack(each, axis=-1) for each in facts))
    answer = answer_records(*stacked, weights_of(categories))
    return _Asked("records", regime, models, list(of_tasks), categories, stacked.scores, answer)


def _say_without(tasks: int, of: int, which: str = "") -> None:
    if tasks:
        logging.info(
            "no intervals over other records on %d of %d tasks%s: predictions of a model are not "
            "kept there, or are not those of its scores; config.save_predictions=True has them "
            "computed again",
            *(tasks, of, which),
        )


def _kept(wanted: list[_Head], path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the labels [N] and the predictions [H, N] of heads of one model on one task.

    None: they are not kept, or give other scores than these, as those of other weights would.
    """
    kept = read_predictions(path) if wanted else None
    if kept is None:
        return None
    follows = of_protocol(kept.heads)
    numbers = {(kept.heads["regime"][i], kept.heads["seed"][i]): i for i in np.flatnonzero(follows)}
    if not all((head.regime, head.seed) in numbers for head in wanted):
        return None
    predicted = kept.predictions[[numbers[head.regime, head.seed] for head in wanted]]
    off = np.abs(mcc_of(kept.labels, predicted) - [head.MCC for head in wanted])
    return (kept.labels, predicted) if off.max() < _SAME else None


def _categories(rows: pd.DataFrame, tasks: list[str]) -> list[str]:
    return rows.drop_duplicates("task").set_index("task")["category"].loc[tasks].tolist()


def _macro_rows(asked: _Asked) -> list[dict[str, Any]]:
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


def _of_one_task(asked: _Asked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _category_rows(asked: _Asked) -> list[dict[str, Any]]:
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


def _score_rows(asked: _Asked) -> list[dict[str, Any]]:
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
    ]


def _pair_rows(asked: _Asked, place: Mapping[str, int]) -> list[dict[str, Any]]:
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
