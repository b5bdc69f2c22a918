"""Every model on every task: features, probes, scores; finished pairs are kept."""

import io
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from geneb_jax.features import Model, open_model, prepare_features
from geneb_jax.models import ModelSpec
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
        identities[spec.name] = dict(model.identity)
        folder = workdir / "cells" / sanitise(spec.name) / "-".join(model.columns.values())
        own = {
            task.info.id: Cell(
                folder / f"{sanitise(task.info.id)}.json",
                {"model": dict(model.identity), "task": digests[task.info.id]},
            )
            for task in tasks
        }
        pending = [task for task in tasks if not _finished(own[task.info.id], settings)]
        if len(pending) < len(tasks):
            finished = len(tasks) - len(pending)
            logging.info("%s: %d of %d tasks are finished", spec.name, finished, len(tasks))
        if pending:
            _evaluate_model(model, pending, own, settings, workdir, console, clock, speeds)
        rows = pd.concat(cells.read_all(workdir / "cells"), ignore_index=True)
        scores = arrange(rows, [spec.name for spec in specs])
        write_scores(scores, workdir / "scores.csv")
    return scores, identities


def _evaluate_model(
    model: Model,
    tasks: Sequence[Task],
    own: dict[str, Cell],
    settings: Settings,
    workdir: Path,
    console: Console,
    clock: Clock,
    speeds: dict[str, Any],
) -> None:
    """Scores one model on the tasks that are not finished; each is on disk before the next."""
    name = model.spec.name
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
        bar = bars.add_task(f"probe {name}", total=len(tasks), unit="tasks")
        for task in tasks:
            with _timed(clock, f"embed {name}"):
                x_train, x_test = features(task)
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
                path = workdir / "predictions" / sanitise(name) / f"{sanitise(task.info.id)}.npz"
                write_predictions(path, task, heads)
            own[task.info.id].add(_rows(model, task, heads))
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


def _rows(model: Model, task: Task, heads: Sequence[HeadScore]) -> pd.DataFrame:
    """Rows of scores.csv, one a head."""
    place = {
        "model": model.spec.name,
        **model.columns,
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
