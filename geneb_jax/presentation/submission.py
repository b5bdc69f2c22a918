"""GENEB's submission format: one JSON file a model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from absl import logging

from geneb_jax.benchmark import GENEB
from geneb_jax.config import OutputSettings
from geneb_jax.files.counts import counted
from geneb_jax.files.json_files import read_json, write_json
from geneb_jax.files.names import file_name
from geneb_jax.files.texts import FileError
from geneb_jax.presentation.published import paper_names
from geneb_jax.scoring.scores import METRIC_COLUMNS, protocol_rows, task_means
from geneb_jax.tasks.tabular import shown

_CATEGORIES = {task.id: task.category for task in GENEB.tasks}
# Smallest value of each metric; the largest is 1.
_LOWEST = {"MCC": -1.0, "Acc": 0.0, "F1": 0.0}
_MOST_PROBLEMS, _MOST_LINES = 3, 12  # named of a file, and of a folder
_METRICS = {"MCC": "MCC", "Acc": "accuracy", "F1": "macro_F1"}
# What a submission says of every model, in the order of its fields.
_META: Mapping[str, Any] = {
    "display": "",
    "params": 0,
    "url": "",
    "zero_shot": False,  # True claims that pretraining saw no task of the benchmark
    "training_data": "",
    "provenance": "self-reported",
    "submitted_by": "",
}


def submission(model: str, card: Mapping[str, Any], scores: pd.DataFrame) -> dict[str, Any] | None:
    """Builds a submission from the rows that follow GENEB's protocol.

    Args:
        model: The model's name in the scores table.
        card: What is said of the model: model_id and fields of `meta` (see `OpenSource.card` and
            `claims`).
        scores: The run's scores table.

    Returns:
        The submission, means over the five seeds rounded to 4 decimals; None where no row follows
        the protocol (logistic regression, solver geneb, C = 1, all seeds of the benchmark).
    """
    rows = protocol_rows(scores[(scores["model"] == model) & scores["task"].isin(_CATEGORIES)])
    rows = rows[rows["regime"].isin(GENEB.regimes) & rows["seed"].isin(GENEB.seeds)]
    seeds = rows.groupby(["regime", "task"])["seed"].transform("nunique")
    rows = rows[seeds == len(GENEB.seeds)]
    if rows.empty:
        return None
    results: dict[str, dict[str, dict[str, float]]] = {}
    for row in task_means(rows).to_dict("records"):
        cell = {name: round(row[column], 4) for name, column in _METRICS.items()}
        results.setdefault(row["regime"], {})[row["task"]] = cell
    return {
        "schema_version": GENEB.schema_version,
        "model_id": card["model_id"],
        "harness_version": GENEB.harness_version,
        "meta": {**_META, **{name: card[name] for name in _META if name in card}},
        "results": results,
    }


def claims(output: OutputSettings) -> dict[str, Any]:
    """Returns what the config says of the model of a submission, by the submission's fields."""
    said = {
        "display": output.submission_name,
        "url": output.submission_url,
        "training_data": output.submission_training_data,
        "submitted_by": output.submitted_by,
        "zero_shot": output.zero_shot,
    }
    return {name: value for name, value in said.items() if value}


def write_submission(
    model: str, card: Mapping[str, Any], scores: pd.DataFrame, workdir: Path
) -> Path | None:
    """Writes `submissions/<model>.json`.

    Args:
        model: The model's name in the scores table.
        card: What is said of the model: model_id and fields of `meta` (see `OpenSource.card` and
            `claims`).
        scores: The run's scores table.
        workdir: The run's folder.

    Returns:
        The file's path; None: no row follows GENEB's protocol, nothing is written, and what an
        earlier call wrote of the model is removed.
    """
    content = submission(model, card, scores)
    path = workdir / "submissions" / f"{file_name(model)}.json"
    if content is None:
        if path.is_file():
            logging.warning("%s is removed: scores.csv no longer has what it says", path)
            path.unlink()
        return None
    write_json(path, content)
    return path


def read_submissions(folder: Path) -> pd.DataFrame:
    """Reads every submission of a folder as one results table.

    Args:
        folder: Holds one .json file a model; hidden files are left alone.

    Returns:
        The columns of a results table; metrics that submissions lack are missing values. Models
        of the catalog go by their names in the paper, others by their ids.

    Raises:
        ValueError: Names the problems of the files, the first of each.
    """
    names = paper_names()
    rows, problems, files = [], [], {}
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            content = read_json(path)
        except FileError as error:
            problems.append(f"{path.name}{str(error).removeprefix(str(path))}")
            continue
        found = list(format_problems(content))
        problems += [f"{path.name}: {problem}" for problem in found[:_MOST_PROBLEMS]]
        if len(found) > _MOST_PROBLEMS:
            more = counted(len(found) - _MOST_PROBLEMS, "more problem")
            problems.append(f"{path.name}: ... and {more}")
        if found:
            continue
        model = names.get(content["model_id"], content["model_id"])
        if model in files:
            problems.append(f"{path.name}: model '{model}' stands in {files[model]} already")
        files[model] = path.name
        rows += [
            (model, regime, _CATEGORIES[task], task, *(cell[metric] for metric in _METRICS))
            for regime, tasks in content["results"].items()
            for task, cell in tasks.items()
        ]
    if not files and not problems:
        problems.append(f"{folder} holds no .json file of a submission, and no scores.csv")
    if problems:
        more = len(problems) - _MOST_LINES
        rest = f"... and {counted(more, 'more problem')} of files in {folder}"
        raise ValueError("\n".join([*problems[:_MOST_LINES], *([rest] if more > 0 else [])]))
    columns = ["model", "regime", "category", "task", *_METRICS.values()]
    missing = dict.fromkeys(set(METRIC_COLUMNS) - set(columns), float("nan"))
    return pd.DataFrame(rows, columns=columns).assign(**missing)


def format_problems(content: Any) -> Iterator[str]:
    """Yields what keeps a parsed file from being a submission, a line each."""
    if not isinstance(content, dict):
        yield "not a JSON object"
        return
    if content.get("schema_version") != GENEB.schema_version:
        given = shown(repr(content.get("schema_version")))
        yield f"schema_version is {given}, not {GENEB.schema_version!r}"
    if not isinstance(content.get("model_id"), str) or not content["model_id"]:
        yield f"model_id is {shown(repr(content.get('model_id')))}, not a name"
    results = content.get("results")
    if not isinstance(results, dict) or not results:
        yield "results is missing or empty"
        return
    for regime, tasks in results.items():
        if regime not in GENEB.regimes:
            yield f"regime '{shown(regime)}' is none of {', '.join(GENEB.regimes)}"
            continue
        if not isinstance(tasks, dict):
            yield f"{regime}: not an object of tasks"
            continue
        for task, cell in tasks.items():
            if task not in _CATEGORIES:
                yield f"{regime}: '{shown(task)}' is no task of the benchmark"
                continue
            for metric, low in _LOWEST.items():
                value = cell.get(metric) if isinstance(cell, dict) else None
                if (
                    not isinstance(value, int | float)
                    or isinstance(value, bool)
                    or not low <= value <= 1
                ):
                    given = shown(repr(value))
                    yield f"{regime}: '{task}': {metric} is {given}, not in {low:g} .. 1"
