"""What keeps a model of a workdir from being submitted to GENEB's leaderboard.

The rules are those of GENEB's CONTRIBUTING.md: a submission holds all 100 tasks in each of the
three regimes, means over the benchmark's five seeds on the pinned data, within the metrics' ranges.
Whether the scores are what they are taken for is
found out from the workdir alone: scores.csv, cells/ and run.json.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.config import OutputSettings
from geneb_jax.config_checks import nearest
from geneb_jax.embedding.identity import weights_identity
from geneb_jax.files.json_files import read_object
from geneb_jax.presentation.card_checks import card_problems
from geneb_jax.presentation.genebs_tasks import contradictions, in_lines, unanswered
from geneb_jax.presentation.results import check_has_scores
from geneb_jax.presentation.submission import claims, format_problems, submission
from geneb_jax.scoring.cells import FoundCell, look_through
from geneb_jax.scoring.scores import (
    KEY_COLUMNS,
    METRIC_COLUMNS,
    protocol_rows,
    read_scores,
    represented,
)
from model_ports import catalog

_AGAIN = "give the command of its run again in this workdir (what is finished is not computed)"
# The names under which a run of this version says in run.json what is needed here.
_NEEDED = ("config", "benchmark", "models", "cards", "representations", "tasks", "failures")
_OF_ALL = ("model", "task")  # what the identity of every cell has
# What in an identity says that a model has weights, or other contents that can be looked up.
_CONTENTS = {"weights", "folder", "function"}
_COMPARED = [*KEY_COLUMNS, *METRIC_COLUMNS]


@dataclass(frozen=True)
class ModelRun:
    """A model as the last run in a workdir evaluated it.

    Attributes:
        workdir: The workdir.
        model: The model's name in scores.csv.
        record: The content of run.json.
        scores: The rows of scores.csv that are of the run's representations of the model.
        cells: The files of the model's scores in cells/.
    """

    workdir: Path
    model: str
    record: Mapping[str, Any]
    scores: pd.DataFrame
    cells: Sequence[FoundCell]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the model's features depend on beside the records."""
        return self.record["models"][self.model]

    @property
    def has_weights(self) -> bool:
        """Whether there are weights, or stored contents: k-mer frequencies have none."""
        return not _CONTENTS.isdisjoint(self.identity)

    @property
    def known_defects(self) -> Mapping[str, Sequence[str]]:
        """What a reader must know of the weights, by what it concerns; nothing of random ones."""
        told = self.record["models"][self.model].get("known_defects", [])
        of_paper = catalog.entries().get(self.model)
        if told:
            return {"Known of the model": told}
        if of_paper and of_paper.known_defects:
            return {"Known of the extractor of the published scores": of_paper.known_defects}
        return {}

    @property
    def entry(self) -> catalog.Entry | None:
        """The model's entry in the package's catalog, also of an untrained control; None: none."""
        return catalog.known(self.model.partition(":")[0])


def read_model_run(workdir: Path, model: str) -> ModelRun:
    """Reads what a workdir holds of a model.

    Args:
        workdir: A run's workdir.
        model: The model's name in scores.csv, or its id in submissions, such as `MODEL:local`.

    Raises:
        ValueError: run.json or scores.csv is missing, damaged or of an older version, or the last
            run did not evaluate the model; says what to do.
    """
    check_has_scores(workdir)
    record = read_object(workdir / "run.json")
    if absent := [name for name in _NEEDED if name not in record]:
        raise ValueError(f"{workdir / 'run.json'}: has no '{absent[0]}'; {_AGAIN}")
    scores = read_scores(workdir / "scores.csv")
    evaluated = list(record["cards"])
    ids = {card["model_id"]: name for name, card in record["cards"].items()}
    model = model if model in evaluated else ids.get(model, model)
    if model not in evaluated:
        if model in set(scores["model"]):
            raise ValueError(
                f"model '{model}': the last run in {workdir} was of {', '.join(evaluated)[:200]}; "
                f"{_AGAIN}"
            )
        hint = nearest(model, evaluated, f"geneb-jax workdir {workdir}")
        raise ValueError(f"{workdir} holds no scores of '{model}'{hint}")
    rows = represented(scores, {model: record["representations"][model]})
    cells = [cell for cell in look_through(workdir / "cells", {}, {}) if cell.model == model]
    return ModelRun(workdir, model, record, rows, cells)


def changed_tasks(run: ModelRun) -> dict[str, str]:
    """Returns what `config.letters` and `config.max_train` changed, by task, as 'letters=upper'."""
    changed = {}
    for cell in run.cells:
        fields = {name: cell.identity[name] for name in cell.identity if name not in _OF_ALL}
        if cell.belongs and fields:
            changed[cell.task] = ", ".join(f"{name}={value}" for name, value in fields.items())
    return changed


def make_submission(run: ModelRun, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the submission of a model, as its run wrote it into `submissions/`.

    Args:
        run: The model.
        said: Replaces model_id and fields of `meta`.

    Returns:
        See `submission.submission`.
    """
    scores = run.scores[~run.scores["task"].isin(list(changed_tasks(run)))]
    return submission(run.model, _card(run, said), scores)


def _card(run: ModelRun, said: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(OutputSettings)}
    config = {name: value for name, value in run.record["config"].items() if name in fields}
    return {**run.record["cards"][run.model], **claims(OutputSettings(**config)), **said}


def problems(run: ModelRun, said: Mapping[str, Any], *, genebs_tasks: bool = False) -> list[str]:
    """Returns everything that keeps a model from being submitted, a line each.

    Args:
        run: The model.
        said: Replaces model_id and fields of `meta`.
        genebs_tasks: Whether the submitter says that files of `config.tasks_dir` are GENEB's.

    Returns:
        None of them where the submission can be sent as it is.
    """
    content = make_submission(run, said)
    card = _card(run, said)
    found = [
        *_data_problems(run),
        *unanswered(run.record, said=genebs_tasks),
        *_task_problems(run),
        *card_problems(
            run.model, card, run.record["cards"][run.model], has_weights=run.has_weights
        ),
    ]
    if content is None:
        return [*found, f"model '{run.model}': no row of scores.csv follows GENEB's protocol"]
    return [*found, *format_problems(content)]


def _data_problems(run: ModelRun) -> Iterator[str]:
    """Yields in what the run's benchmark and weights are not those that the scores are of."""
    stated = run.record["benchmark"]
    for name, value in (
        ("harness_version", GENEB.harness_version),
        ("data", GENEB.dataset_revision),
    ):
        if stated.get(name) != value:
            yield f"run.json: benchmark.{name} is {stated.get(name)!r}, not {value!r}; {_AGAIN}"
    newest = next((cell for cell in run.cells if cell.belongs), None)
    if newest and _weights(newest.identity["model"]) != _weights(run.identity):
        yield f"run.json names other weights of '{run.model}' than its scores are of; {_AGAIN}"


def _weights(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what tells weights from others; run.json hides the revision of local ones."""
    return {k: v for k, v in weights_identity(identity).items() if k != "revision"}


def _task_problems(run: ModelRun) -> Iterator[str]:
    """Yields what is wrong with the benchmark's tasks, in its order."""
    rows = protocol_rows(run.scores)
    seeds = {key: set(group["seed"]) for key, group in rows.groupby(["task", "regime"], sort=False)}
    others = set(run.scores["task"]) - set(rows["task"])
    changed, failed = changed_tasks(run), _failures(run)
    stale = {cell.task for cell in run.cells if not cell.belongs}
    kept, written = _compared(run)
    other_files = contradictions(run.record)
    by_task: dict[str, list[tuple[str, str]]] = {}
    for task in (info.id for info in GENEB.tasks):
        facts = run.record["tasks"].get(task)
        found = []
        if facts is None:
            found.append("run.json has no fingerprint of its records")
        elif facts.get("synthetic"):
            found.append("its records are made up, not GENEB's")
        if task in changed:
            found.append(f"config.{changed[task]} changed its records")
        if task in stale:
            found.append("cells/ holds scores of other weights or records too (--prune)")
        found += _coverage(task, seeds, "of other probes alone" if task in others else "")
        if task in failed:
            found.append(f"it failed: {failed[task]}")
        if kept.get(task) != written.get(task):
            found.append("scores.csv is not what cells/ holds")
        if each := [*other_files.get(task, ()), *((text, "") for text in found)]:
            by_task[task] = each
    yield from in_lines(by_task)


def _coverage(task: str, seeds: Mapping[Any, set[int]], others: str) -> Iterator[str]:
    """Yields which regimes and seeds a task lacks."""
    missing = [regime for regime in GENEB.regimes if not seeds.get((task, regime))]
    if missing:
        yield f"no scores in {', '.join(missing)}{f' ({others})' if others else ''}"
    for regime in GENEB.regimes:
        absent = set(GENEB.seeds) - seeds.get((task, regime), set())
        if absent and regime not in missing:
            yield f"{regime} lacks the seeds {', '.join(map(str, sorted(absent)))}"


def _failures(run: ModelRun) -> dict[str, str]:
    """Returns why tasks failed in the last run, for this model or all, by task."""
    return {
        str(each.get("task")): str(each.get("reason"))
        for each in run.record["failures"]
        if each.get("model") in ("", run.model)
    }


def _compared(run: ModelRun) -> tuple[dict[str, set[Any]], dict[str, set[Any]]]:
    """Returns the rows that cells/ and scores.csv hold, by task; missing numbers are None."""
    held = [cell.rows for cell in run.cells if cell.belongs]
    columns = {run.model: run.record["representations"][run.model]}
    kept = represented(pd.concat(held, ignore_index=True), columns) if held else run.scores[:0]
    return _by_task(kept), _by_task(run.scores)


def _by_task(rows: pd.DataFrame) -> dict[str, set[Any]]:
    there = rows.reindex(columns=_COMPARED).astype(object)
    there = there.where(there.notna(), None)
    return {
        str(task): set(group.itertuples(index=False, name=None))
        for task, group in there.groupby("task", sort=False)
    }
