"""Every model on every task: features, probes, scores; finished pairs are kept."""

import io
import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from absl import logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBars
from rich.progress import Task as Bar
from rich.table import Column
from rich.text import Text

from geneb_jax import cells
from geneb_jax.cells import Cell
from geneb_jax.config import Settings, regime_name
from geneb_jax.device import make_room_for_programs
from geneb_jax.features import (
    Model,
    Representation,
    embed_share,
    open_model,
    prepare_features,
)
from geneb_jax.models import ModelSpec
from geneb_jax.processes import meet
from geneb_jax.scores import (
    HEAD_COLUMNS,
    METRIC_COLUMNS,
    arrange,
    sanitise,
    write_scores,
    write_whole,
)
from geneb_jax.tasks import Task, content_digest
from probes import HeadScore, Probe, evaluate_task, solver_name

Clock = dict[str, float]  # wall time in seconds by stage


class Job(NamedTuple):
    """One task in one of a model's representations, and where its scores go."""

    task: Task
    representation: Representation
    cell: Cell


def evaluate(
    settings: Settings,
    specs: Sequence[ModelSpec],
    tasks: Sequence[Task],
    workdir: Path,
    console: Console,
    clock: Clock,
    speeds: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores every model on every task.

    Args:
        settings: The checked config.
        specs: Models.
        tasks: Tasks.
        workdir: Takes `cells/`, `embeddings/` and scores.csv, which is rewritten after each model.
        console: Shows the progress.
        clock: Takes the wall time of each model's stages.
        speeds: Takes what the embedding of each port took (see `embedding.Speed`).

    Returns:
        The scores table of the workdir, and each model's identity by name.
    """
    digests = {task.info.id: content_digest(task) for task in tasks}
    identities: dict[str, Any] = {}
    scores = pd.DataFrame()
    for spec in specs:
        with _timed(clock, f"load {spec.name}"):
            model = open_model(spec, settings)
        identities[spec.name] = _identity(model)
        folder = workdir / "cells" / sanitise(spec.name)
        jobs = [
            Job(
                task,
                representation,
                Cell(
                    folder / representation.name / f"{sanitise(task.info.id)}.json",
                    {"model": dict(representation.identity), "task": digests[task.info.id]},
                ),
            )
            for task in tasks
            for representation in model.representations
        ]
        pending = [job for job in jobs if not _finished(job.cell, settings)]
        if len(pending) < len(jobs):
            finished = len(jobs) - len(pending)
            logging.info("%s: %d of %d tasks are finished", spec.name, finished, len(jobs))
        if pending:
            trace = workdir / "profile" / sanitise(spec.name)
            with jax.profiler.trace(str(trace)) if settings.profile else nullcontext():
                _evaluate_model(model, pending, settings, workdir, console, clock, speeds)
        elif model.port:
            meet(spec.name)  # the other processes come, whatever is finished here
        rows = pd.concat(cells.read_all(workdir / "cells"), ignore_index=True)
        scores = arrange(rows, [spec.name for spec in specs])
        write_scores(scores, workdir / "scores.csv")
    return scores, identities


def assist(
    settings: Settings, specs: Sequence[ModelSpec], tasks: Sequence[Task], workdir: Path
) -> None:
    """What a process other than the first does: embeds its share for every model."""
    with ThreadPoolExecutor(len(specs)) as meeting:  # the next model does not wait for the first
        met = []
        for spec in specs:
            if not spec.model_id:
                continue
            embed_share(open_model(spec, settings), tasks, settings, workdir)
            logging.info("%s: this process's share is embedded", spec.name)
            met.append(meeting.submit(meet, spec.name))
        for each in met:
            each.result()


def _identity(model: Model) -> dict[str, Any]:
    """What run.json says of a model: the identity of its representations, together."""
    first, *others = model.representations
    if not others:
        return dict(first.identity)
    taps = dict.fromkeys(each.columns["tap"] for each in model.representations)
    poolings = dict.fromkeys(each.columns["pooling"] for each in model.representations)
    return {**first.identity, "tap": list(taps), "pooling": list(poolings)}


def _evaluate_model(
    model: Model,
    jobs: Sequence[Job],
    settings: Settings,
    workdir: Path,
    console: Console,
    clock: Clock,
    speeds: dict[str, Any],
) -> None:
    """Scores one model on what is not finished; each task is on disk before the next."""
    name = model.spec.name
    tasks = list({job.task.info.id: job.task for job in jobs}.values())
    bars = ProgressBars(
        TextColumn("{task.description}", table_column=Column(overflow="ellipsis", ratio=1)),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )
    with bars:
        with _timed(clock, f"embed {name}"):
            records = sum(len(t.train.sequences) + len(t.test.sequences) for t in tasks)
            bar = bars.add_task(f"embed {name}", total=records, unit="records")
            features, speed = prepare_features(
                model, tasks, settings, workdir, lambda n: bars.advance(bar, n)
            )
            if speed.get("records"):
                speeds[name] = speed
            bars.update(bar, completed=records)
        bar = bars.add_task(f"probe {name}", total=len(jobs), unit="tasks")
        for task, representation, cell in jobs:
            make_room_for_programs()
            with _timed(clock, f"embed {name}"):
                x_train, x_test = features(task, representation)
            with _timed(clock, f"probe {name}"):
                heads = evaluate_task(
                    x_train,
                    task.train.labels,
                    x_test,
                    task.test.labels,
                    probes=_probes(settings),
                    shots=settings.shots,
                    seeds=settings.seeds,
                )
            if settings.save_predictions:
                folder = workdir / "predictions" / sanitise(name)
                if not representation.own:
                    folder /= representation.name
                write_predictions(folder / f"{sanitise(task.info.id)}.npz", task, heads)
            cell.add(_rows(model, representation, task, heads))
            bars.advance(bar)


def _probes(settings: Settings) -> list[Probe]:
    return [
        Probe(
            kind,
            settings.solver,
            settings.C,
            settings.standardised,
            settings.class_weight,
            settings.selection,
        )
        for kind in settings.probes
    ]


def _finished(cell: Cell, settings: Settings) -> bool:
    """Whether every head that the settings ask for stands in the cell."""
    rows = cell.read()
    if rows.empty:
        return False
    regimes = [regime_name(shots) for shots in settings.shots]
    for probe in _probes(settings):
        # Which class weight and C a selection will choose is not known before.
        selects = probe.selection != "none"
        columns = [c for c in HEAD_COLUMNS if not (selects and c in ("class_weight", "C"))]
        have = set(rows[columns].itertuples(index=False, name=None))
        grid = {
            "regime": regimes,
            "probe": [probe.kind],
            "solver": [solver_name(probe)],
            "standardised": [probe.standardised],
            "class_weight": probe.class_weights,
            "selection": [probe.selection],
            "C": probe.strengths,
            "seed": settings.seeds,
        }
        if not have.issuperset(itertools.product(*(grid[column] for column in columns))):
            return False
    return True


def _rows(
    model: Model, representation: Representation, task: Task, heads: Sequence[HeadScore]
) -> pd.DataFrame:
    """Rows of scores.csv, one a head."""
    place = {
        "model": model.spec.name,
        **representation.columns,
        "task": task.info.id,
        "category": task.info.category,
    }
    return pd.DataFrame([place | _head_columns(head) for head in heads])


def _head_columns(head: HeadScore) -> dict[str, Any]:
    return {
        "regime": regime_name(head.shots),
        "probe": head.probe,
        "solver": head.solver,
        "standardised": head.standardised,
        "class_weight": head.class_weight,
        "selection": head.selection,
        "C": head.C,
        "seed": head.seed,
        **{metric: getattr(head, metric) for metric in METRIC_COLUMNS},
        "iterations": head.iterations,
        "objective": head.objective,
        "gradient_norm": head.gradient_norm,
        "converged": head.converged,
    }


def write_predictions(path: Path, task: Task, heads: Sequence[HeadScore]) -> None:
    """Writes every head's predictions for paired tests elsewhere.

    Args:
        path: An .npz file of `labels` int64 [N], `predictions` int64 [H, N], `scores` float32
            [H, N] (binary) or [H, N, K], and one array [H] for each column that names a head.
        task: The task.
        heads: Its H heads.
    """
    named = pd.DataFrame([_head_columns(head) for head in heads])[list(HEAD_COLUMNS)]
    buffer = io.BytesIO()
    arrays = {
        "labels": task.test.labels,
        "predictions": np.stack([head.predictions for head in heads]),
        "scores": np.stack([head.scores for head in heads]),
        **{str(name): np.array(column.tolist()) for name, column in named.items()},
    }
    np.savez_compressed(buffer, **arrays)  # pyright: ignore (its stub mistakes keywords)
    write_whole(path, buffer.getvalue())


@contextmanager
def _timed(clock: Clock, stage: str) -> Iterator[None]:
    start = time.monotonic()
    try:
        yield
    finally:
        clock[stage] = clock.get(stage, 0.0) + time.monotonic() - start


class _Rate(ProgressColumn):
    """Records or tasks a second."""

    def render(self, task: Bar) -> Text:
        """Returns the rate as text."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {task.fields['unit']}/s" if speed else "")
