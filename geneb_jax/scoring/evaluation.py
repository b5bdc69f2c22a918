"""Every model on every task: features, probes, scores; finished pairs are kept."""

import errno
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.config import ProbeSettings
from geneb_jax.devices.capacity import peaks
from geneb_jax.devices.meeting import First, Message
from geneb_jax.embedding.identity import weights_identity
from geneb_jax.embedding.source import (
    OpenSource,
    Prepared,
    Representation,
    Source,
    count_records,
)
from geneb_jax.embedding.store import key
from geneb_jax.failures import Failure, Failures
from geneb_jax.files.atomic import WriteError
from geneb_jax.files.counts import counted
from geneb_jax.files.json_files import canonical_json
from geneb_jax.files.names import file_name
from geneb_jax.scoring.ahead import compiling_ahead
from geneb_jax.scoring.cells import Cell, cell_of, gather
from geneb_jax.scoring.cost import probing_seconds
from geneb_jax.scoring.heads import asked_heads, hold_all_heads
from geneb_jax.scoring.predictions import (
    holds_decision_values,
    predictions_folder,
    predictions_path,
    read_predictions,
    read_turned,
)
from geneb_jax.scoring.probing import Asked, Probed, from_json, keep, probe, probing_memory
from geneb_jax.scoring.progress import RunProgress
from geneb_jax.scoring.scores import arrange, represented, write_scores
from geneb_jax.tasks.sizes import sizes_of
from geneb_jax.tasks.task import Task, content_digest
from probes.host import in_threads

_TOGETHER = 2**28  # bytes of a task's features, in several representations
_SOME_WIDTH = 512  # of features whose width is not known, where tasks are weighed by it


class Evaluation(NamedTuple):
    """What evaluating the models of a run gave and took.

    Attributes:
        scores: The scores table of the workdir.
        representations: The representations of each model, by its name.
        cards: What a submission says of each model (see `OpenSource.card`), by its name.
        seconds: Wall time by stage: 'load M', 'embed M' and 'probe M' of each model M.
        memory: Peaks of memory since the process began, at the end of each of these stages (see
            `capacity.peaks`).
        speeds: What embedding took, by model that embedded a record (see `tuning.speed_figures`).
        set_aside: Model and task of results in the workdir that are not in the table: they were
            computed from other weights or another task file.
        prepared: Tasks of the table whose records `letters` or `max_train` changed.
    """

    scores: pd.DataFrame
    representations: dict[str, Sequence[Representation]]
    cards: dict[str, Mapping[str, Any]]
    seconds: dict[str, float]
    memory: dict[str, dict[str, int]]
    speeds: dict[str, Mapping[str, Any]]
    set_aside: list[tuple[str, str]]
    prepared: list[str]


class _Job(NamedTuple):
    """One task in one of a model's representations, and what takes its scores and predictions."""

    task: Task
    representation: Representation
    cell: Cell
    predictions: Path


class _Features(NamedTuple):
    """Features of a task: of its train and test rows, and of test rows on the other strand."""

    of_splits: tuple[np.ndarray, np.ndarray]
    turned: np.ndarray | None


class Workload(NamedTuple):
    """A model with the tasks that it is evaluated on."""

    source: Source
    tasks: Sequence[Task]


class Evaluator(NamedTuple):
    """How models are evaluated, and where the results go.

    Attributes:
        asked: What is fitted and kept.
        workdir: Takes `cells/`, `embeddings/`, `predictions/`, `profile/` and scores.csv.
        progress: Is told what is done.
        failures: Takes what fails, of which one leaves the others alone.
        processes: Deals work to the other processes of the run.
        profile: Whether a JAX profiler trace of each model is written.
        check: Raises WriteError where the workdir is gone (see `ownership.owned`).
    """

    asked: Asked
    workdir: Path
    progress: RunProgress
    failures: Failures
    processes: First
    profile: bool = False
    check: Callable[[], None] = lambda: None


class _Evaluated(NamedTuple):
    """What evaluating one model took; `model` is None where it could not be opened.

    Its jobs are those that were finished before, or are now but for failures.
    """

    model: OpenSource | None
    speed: Mapping[str, Any]
    clock: "_Clock"
    jobs: Sequence[_Job] = ()


def evaluate(how: Evaluator, workloads: Sequence[Workload], tasks: Sequence[Task]) -> Evaluation:
    """Scores every model on its tasks; scores.csv is rewritten after each model.

    Args:
        how: How.
        workloads: The models, each with its tasks.
        tasks: All tasks of the run.
    """
    digests = {task.info.id: content_digest(task) for task in tasks}
    evaluation = Evaluation(pd.DataFrame(), {}, {}, {}, {}, {}, [], [])
    weights: dict[str, Mapping[str, Any]] = {}
    for workload in workloads:
        name = workload.source.name
        how.progress.next_model(name)
        how.processes.next_model(name)
        model, speed, clock, jobs = _evaluate_model(how, workload, digests)
        if model is not None:
            weights[name] = weights_identity(model.representations[0].identity)
        how.check()
        _refuse_lost_cells(name, jobs, how.failures)
        gathered = gather(how.workdir / "cells", weights, digests)
        scores = arrange(gathered.rows, [each.source.name for each in workloads])
        write_scores(scores, how.workdir / "scores.csv")
        evaluation = Evaluation(
            scores,
            evaluation.representations | ({name: model.representations} if model else {}),
            evaluation.cards | ({name: model.card} if model else {}),
            evaluation.seconds | clock.seconds,
            evaluation.memory | clock.memory,
            evaluation.speeds | ({name: speed} if speed.get("records") else {}),
            gathered.set_aside,
            gathered.prepared,
        )
    return evaluation


def represented_rows(evaluation: Evaluation) -> pd.DataFrame:
    """Returns the rows of the scores table that are of the run's models as it computed them."""
    columns = {
        name: [each.columns for each in many] for name, many in evaluation.representations.items()
    }
    return represented(evaluation.scores, columns)


def asked_rows(
    evaluation: Evaluation, tasks: Sequence[Task], probes: ProbeSettings
) -> pd.DataFrame:
    """Returns those of them that a run was asked for: the workdir may hold more tasks and heads."""
    rows = represented_rows(evaluation)
    return asked_heads(rows[rows["task"].isin([task.info.id for task in tasks])], probes)


def representations_digest(representations: Sequence[Representation]) -> str:
    """Returns a digest of what a model's features depend on, by which processes compare theirs."""
    return key(canonical_json([dict(each.identity) for each in representations])).hex()


def _evaluate_model(how: Evaluator, workload: Workload, digests: Mapping[str, str]) -> _Evaluated:
    """Scores one model on what is not finished; what fails is left to the next run."""
    (source, tasks), clock = workload, _Clock()
    model: OpenSource | None = None
    with how.failures.contained(source.name, "load"), clock.time(f"load {source.name}"):
        model = source.open(how.workdir)
    if model is None:
        return _Evaluated(None, {}, clock)
    jobs = _jobs(source.name, model, tasks, digests, how.workdir)
    found = [(job, job.cell.look()) for job in jobs]
    pending = [
        job
        for job, cell in found
        if not hold_all_heads(cell.rows, how.asked.probes)
        or (job.predictions.is_file() and read_predictions(job.predictions) is None)
        or (how.asked.decision_values and not holds_decision_values(job.predictions))
        or (how.asked.other_strand and read_turned(job.predictions) is None)
    ]
    if len(pending) < len(jobs):
        finished = len(jobs) - len(pending)
        of_all = counted(len(jobs), "task")
        logging.info("%s: %d of %s are finished", source.name, finished, of_all)
    _say_replaced(source.name, [job for job, cell in found if cell.of_others])
    speed: Mapping[str, Any] = {}
    if pending:
        trace = how.workdir / "profile" / file_name(source.name)
        with jax.profiler.trace(str(trace)) if how.profile else nullcontext():
            speed = _compute(how, source, model, pending, clock)
    return _Evaluated(model, speed, clock, jobs)


def _refuse_lost_cells(name: str, jobs: Sequence[_Job], failures: Failures) -> None:
    """Raises WriteError where a finished task's scores were removed since: they are no result."""
    failed = {failure.task for failure in failures.found if failure.model == name}
    done = [job for job in jobs if not failed.intersection(("", job.task.info.id))]
    lost = [job.cell.path for job in done if not job.cell.path.is_file()]
    if lost:
        raise WriteError(
            errno.ENOENT,
            f"was removed while the run was going on; gone are {len(lost)} of "
            f"{counted(len(jobs), 'file')} of scores of '{name}', and the same command computes "
            "what is not there",
            str(lost[0]),
        )


def _jobs(
    name: str,
    model: OpenSource,
    tasks: Sequence[Task],
    digests: Mapping[str, str],
    workdir: Path,
) -> list[_Job]:
    """Every task in every representation of a model."""
    return [
        _Job(
            task,
            representation,
            cell_of(workdir, name, representation, task, digests[task.info.id]),
            _predictions_file(workdir, name, representation, task),
        )
        for task in tasks
        for representation in model.representations
    ]


def _predictions_file(workdir: Path, name: str, representation: Representation, task: Task) -> Path:
    """Returns the file of predictions; representations beside the preset's have a folder each."""
    folder = predictions_folder(workdir, name)
    if not representation.of_preset:
        folder /= representation.name
    return predictions_path(folder, task.info.id)


def _say_replaced(name: str, jobs: Sequence[_Job]) -> None:
    """Warns of results in the workdir that were of other weights or records."""
    if jobs:
        first = jobs[0].task.info.id
        more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        logging.warning(
            "%s: its scores on '%s'%s in this workdir are of other weights, settings or records, "
            "and are replaced; use another workdir to keep both",
            *(name, first, more),
        )


def _compute(
    how: Evaluator, source: Source, model: OpenSource, jobs: Sequence[_Job], clock: "_Clock"
) -> Mapping[str, Any]:
    """Embeds and probes what is not finished, in all processes; each task is on disk when it is.

    Returns:
        What embedding took; nothing where it failed.
    """
    name, digest = source.name, representations_digest(model.representations)
    tasks = list({job.task.info.id: job.task for job in jobs}.values())
    how.progress.identify(digest)
    with compiling_ahead(how.asked.probes, tasks, model.widths) as wait_for_programs:
        prepared = None
        with how.failures.contained(name, "embed"), clock.time(f"embed {name}"):
            prepared = _prepare(how, source, model, tasks, digest)
            how.check()
        if prepared is None:
            return {}
        _probe(how, name, jobs, digest, prepared, model.widths, wait_for_programs, clock)
    return prepared.speed


def _prepare(
    how: Evaluator, source: Source, model: OpenSource, tasks: Sequence[Task], digest: str
) -> Prepared:
    """Embeds the records of some tasks, in all processes where the model shares this."""
    processes, advance = how.processes, how.progress.advance
    records = sum(len(task.train.labels) + len(task.test.labels) for task in tasks)
    how.progress.stage("embed", records, "records")
    if source.shared and processes.living():
        processes.share({"tasks": [task.info.id for task in tasks], "identity": digest})
        model.prepare_share(tasks, advance)
        processes.wait_for_shares()
    return model.prepare(tasks, advance)


def _probe(
    how: Evaluator,
    name: str,
    jobs: Sequence[_Job],
    digest: str,
    prepared: Prepared,
    widths: Sequence[int],
    wait_for_programs: Callable[[Task], None],
    clock: "_Clock",
) -> None:
    """Probes a model in all processes; one that is alone begins with the smallest tasks.

    Meanwhile the programs of the largest are compiled.
    """
    processes = how.processes
    if not processes.living():
        jobs = sorted(jobs, key=lambda job: len(job.task.train.labels))
    width = max(widths, default=_SOME_WIDTH)
    weights = {
        job.task.info.id: probing_seconds(sizes_of([job.task])[0], width, how.asked.probes)
        for job in jobs
    }
    weight = sum(weights[job.task.info.id] for job in jobs)
    how.progress.stage("probe", len(jobs), "tasks", weight)

    def done(job: _Job, probed: Probed) -> None:
        how.check()  # a file that is written makes a folder that is gone anew
        keep(probed, job.cell, job.predictions)

    def features(job: _Job) -> _Features | None:
        with how.failures.contained(name, "probe", job.task.info.id), clock.time(f"embed {name}"):
            turned = prepared.turned and prepared.turned(job.task, job.representation)
            return _Features(prepared.features(job.task, job.representation), turned)

    def do(some: Sequence[_Job]) -> None:
        """Probes a task in some representations, each in a thread; each is on disk when it is."""
        how.progress.take_up(sum(weights[job.task.info.id] for job in some))
        with clock.time(f"probe {name}"):
            wait_for_programs(some[0].task)  # first: compilers and large features need much memory
        of_jobs = [features(job) for job in some]

        def fit(number: int) -> Probed | None:
            job, found = some[number], of_jobs[number]
            with how.failures.contained(name, "probe", job.task.info.id):
                return found and probe(how.asked, name, job.task, job.representation, *found)

        with clock.time(f"probe {name}"):
            memory = probing_memory(how.asked, some[0].task, widths) or 0
            for number, probed in in_threads(fit, range(len(some)), memory):
                task = some[number].task
                with how.failures.contained(name, "probe", task.info.id):
                    if probed is not None:
                        done(some[number], probed)
                how.progress.advance(1, weights[task.info.id])

    def done_elsewhere(number: int, message: Message) -> None:
        job = jobs[number]
        if message["failed"]:
            why = f"{message['failed']} (in {message['process']})"
            failure = Failure(name, job.task.info.id, "probe", why)
            if how.failures.fail_fast:
                raise ValueError(str(failure))
            how.failures.add(failure)
        else:
            with how.failures.contained(name, "probe", job.task.info.id):
                done(job, from_json(message))
        how.progress.advance(1, weights[job.task.info.id])

    offered = [
        {
            "task": job.task.info.id,
            "representation": job.representation.name,
            "identity": digest,
        }
        for job in jobs
    ]
    most = functools.partial(_most_together, how, widths)
    for some in _together(processes.deal(offered, done_elsewhere), jobs, most):
        do(some)


def _most_together(how: Evaluator, widths: Sequence[int], task: Task) -> int:
    """Returns in how many representations a task is probed at a time.

    It is one where the probes run programs, or other processes take jobs too.
    """
    if how.processes.living() or probing_memory(how.asked, task, widths) is None:
        return 1
    return max(_TOGETHER // (4 * max(widths) * count_records([task])), 1)


def _together(
    dealt: Iterator[int], jobs: Sequence[_Job], most: Callable[[Task], int]
) -> Iterator[list[_Job]]:
    """Yields the jobs of some numbers, those of a task that follow each other together.

    Args:
        dealt: The numbers.
        jobs: All jobs.
        most: Returns how many jobs of a task may be together.
    """
    some: list[_Job] = []
    for number in dealt:
        job = jobs[number]
        if some and job.task is not some[0].task:  # the next one was another process's
            yield some
            some = []
        some.append(job)
        last = number + 1 == len(jobs) or jobs[number + 1].task is not job.task
        if last or len(some) >= most(job.task):
            yield some
            some = []
    if some:
        yield some


class _Clock:
    """Wall time and peak memory by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, dict[str, int]] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Adds the time inside to a stage's, and notes the peaks of memory at its end."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start
            self.memory[stage] = peaks()
