"""What is asked of scores: each question of `geneb_jax.uncertainty`, of averages and of each task.

Other tasks are asked of any results table, other shots of a run's scores by seed, other records of
its kept predictions. Custom tasks are in no average: of each of them shots and records are asked
alone, as of each task of the benchmark that a few models have.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.benchmark import CUSTOM
from geneb_jax.presentation.analysis import of_benchmark, regimes_of
from geneb_jax.presentation.results import of_comparable_models
from geneb_jax.scoring.predictions import (
    SAME_MCC,
    of_protocol,
    predictions_path,
    read_predictions,
)
from geneb_jax.tasks.synthetic import SYNTHETIC_PREFIX
from geneb_jax.uncertainty.comparing import Answer
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
_FULL = "full"
# Models that are compared on each task of the benchmark: 45 pairs a task, regime and question.
_MOST_ON_A_TASK = 10


class Asked(NamedTuple):
    """One question of one regime: M models on T tasks, and the answer.

    Attributes:
        question: `tasks`, `shots` or `records`.
        regime: The regime.
        models: Names of the models, as results tables have them.
        tasks: Ids of the tasks.
        categories: Category of each task.
        scores: MCC, means over seeds, float64 [M, T].
        answer: What the question says of these scores and their averages.
    """

    question: str
    regime: str
    models: list[str]
    tasks: list[str]
    categories: list[str]
    scores: np.ndarray
    answer: Answer


class Questions(NamedTuple):
    """What was asked of the scores of a run, or of published ones.

    Attributes:
        averages: Of the benchmark's tasks.
        without_leaky: Of those that are not leaky; none where no task is.
        alone: Of each custom task, and of each task of the benchmark that two to ten models have;
            the macro score of an answer is that of the task, with the same interval.
    """

    averages: list[Asked]
    without_leaky: list[Asked]
    alone: dict[str, list[Asked]]


def ask(
    results: pd.DataFrame,
    rows: pd.DataFrame,
    names: Mapping[str, str],
    predictions: Mapping[str, Path],
    leaky: Sequence[str],
) -> Questions:
    """Asks every question that there are scores for.

    Averages compare models on the tasks that all of them have in a regime, without models that
    lack more than a tenth of what others have; a task alone those that have it.

    Args:
        results: Results table.
        rows: The run's scores of the protocol; no rows: only other tasks are asked of.
        names: What `results` calls each model of `rows`.
        predictions: Folder of the kept predictions of each model of `rows`, by its name there.
        leaky: Ids of tasks without which averages are asked of again.
    """
    benchmark = (of_benchmark(results), of_benchmark(rows))
    parts = [_Part("", *benchmark)]
    if not set(leaky).isdisjoint(pd.concat([each["task"] for each in benchmark])):
        kept = (table[~table["task"].isin(leaky)] for table in benchmark)
        parts.append(_Part(" without the leaky ones", *kept))
    heads, category = _heads(rows), dict(zip(rows["task"], rows["category"], strict=True))
    alone = {
        task: _alone(task, category[task], of_task)
        for task, of_task in heads.items()
        if category[task] == CUSTOM or 2 <= len(of_task) <= _MOST_ON_A_TASK
    }
    compared = [*(_compared(part) for part in parts), *alone.values()]
    records = _of_records(compared, heads, names, predictions)
    averages = [
        [*_of_tasks(part.results, part.which), *_of_shots(part.rows, names), *of_part]
        for part, of_part in zip(parts, records[: len(parts)], strict=True)
    ]
    of_tasks = {
        task: [*of_task, *_of_shots(rows[rows["task"] == task], names)]
        for task, of_task in zip(alone, records[len(parts) :], strict=True)
    }
    singly = {task: [_single(each) for each in asked] for task, asked in of_tasks.items()}
    return Questions(averages[0], averages[1] if averages[1:] else [], singly)


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


def _of_tasks(rows: pd.DataFrame, which: str) -> Iterator[Asked]:
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
        yield Asked("tasks", regime, models, tasks, categories, values, answer)


def _of_shots(rows: pd.DataFrame, names: Mapping[str, str]) -> Iterator[Asked]:
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
        if np.ptp(values, axis=0).max() < SAME_MCC:
            continue  # every draw takes the same rows, as fits of all rows do
        answer = answer_shots(values, categories, np.random.default_rng(_SEED))
        shown = [names[model] for model in models]
        yield Asked("shots", regime, shown, tasks, categories, values.mean(0), answer)


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
        which: Which tasks these are, in messages; None: others speak of them.
        models: Names of the models.
        categories: Category of each task, by its id.
        shares: The prior's shares of each task (see `Weights.shares`): those of all tasks, also
            where some turn out to have no predictions.
    """

    which: str | None
    models: list[str]
    categories: dict[str, str]
    shares: dict[str, tuple[float, ...]]


def _compared(part: _Part) -> _Compared:
    rows = of_comparable_models(part.rows)
    tasks = list(dict.fromkeys(rows["task"]))
    categories = _categories(rows, tasks)
    shares = map(tuple, weights_of(categories).shares.tolist()) if tasks else ()
    return _Compared(
        part.which,
        list(dict.fromkeys(rows["model"])),
        dict(zip(tasks, categories, strict=True)),
        dict(zip(tasks, shares, strict=True)),
    )


def _alone(task: str, category: str, heads: Mapping[str, list[_Head]]) -> _Compared:
    (shares,) = weights_of([category]).shares.tolist()
    which = "" if category == CUSTOM else None
    return _Compared(which, list(heads), {task: category}, {task: tuple(shares)})


def _of_records(
    compared: Sequence[_Compared],
    heads: Mapping[str, Mapping[str, list[_Head]]],
    names: Mapping[str, str],
    predictions: Mapping[str, Path],
) -> list[list[Asked]]:
    """Resamples the test rows of each task with the same weights for all models and regimes.

    Those that compare the same models share what is drawn, which is the same to each as if it were
    asked alone.
    """
    drawn: list[dict[str, dict[str, _OfTask]]] = [{} for _ in compared]
    tasks, without = Counter[str](), Counter[str]()
    for task, of_task in heads.items():
        asking: dict[tuple[str, ...], list[int]] = {}
        for number, each in enumerate(compared):
            # Where a model has no scores nothing is compared.
            if task in each.shares and of_task.keys() >= set(each.models):
                asking.setdefault(tuple(each.models), []).append(number)
        for models, numbers in asking.items():
            of_models = {model: of_task[model] for model in models}
            shares = [compared[number].shares[task] for number in numbers]
            found = _resampled(task, of_models, predictions, shares)
            for number, of_regimes in zip(numbers, found, strict=True):
                for regime, one in of_regimes.items():
                    drawn[number].setdefault(regime, {})[task] = one
                if (which := compared[number].which) is not None:
                    without[which] += not of_regimes
    for each in compared:
        if each.which is not None:
            tasks[each.which] += len(each.categories)
    for which, count in without.items():
        _say_without(count, tasks[which], which)
    return [
        [_of_replicates(regime, each, names, tasks) for regime, tasks in of_regimes.items()]
        for each, of_regimes in zip(compared, drawn, strict=True)
    ]


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
    regime: str, of: _Compared, names: Mapping[str, str], of_tasks: Mapping[str, _OfTask]
) -> Asked:
    drawn = of_tasks.values()
    replicates = np.stack([np.stack(each.replicates) for each in drawn], axis=-1)
    variances = np.stack([each.variances for each in drawn], axis=-1)
    scores = np.stack([each.scores for each in drawn], axis=-1)
    models = [names[model] for model in of.models]
    categories = [of.categories[task] for task in of_tasks]
    answer = answer_records(replicates, variances, scores, weights_of(categories))
    return Asked("records", regime, models, list(of_tasks), categories, scores, answer)


def _single(asked: Asked) -> Asked:
    """Gives the average of one task the interval of its score."""
    assert asked.answer.scores is not None  # records and shots are asked of scores
    low, high = (ends[:, 0] for ends in asked.answer.scores)
    return asked._replace(answer=asked.answer._replace(macro=(low, high)))


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
    return (kept.labels, predicted) if off.max() < SAME_MCC else None


def _categories(rows: pd.DataFrame, tasks: list[str]) -> list[str]:
    return rows.drop_duplicates("task").set_index("task")["category"].loc[tasks].tolist()
