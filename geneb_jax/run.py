"""One run from a config: everything is checked first, then computed, then written."""

import importlib.metadata
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import pandas as pd
from absl import logging
from rich.console import Console

from geneb_jax.benchmark import GENEB
from geneb_jax.config import ConfigError, OutputSettings, Settings, parse_config
from geneb_jax.devices.mesh import process_mesh
from geneb_jax.devices.processes import join, meet
from geneb_jax.devices.programs import keep_programs
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.source import Representation, Source
from geneb_jax.embedding.store import check_folder
from geneb_jax.files.json_files import write_json
from geneb_jax.files.names import clashes
from geneb_jax.presentation.heatmap import save_heatmap
from geneb_jax.presentation.present import present
from geneb_jax.presentation.published import PUBLISHED
from geneb_jax.presentation.results import read_source, run_results
from geneb_jax.presentation.submission import write_submission
from geneb_jax.presentation.summary import (
    print_layers,
    print_speeds,
    print_statistics,
    print_table,
    print_unfinished_fits,
)
from geneb_jax.scoring.evaluation import Evaluation, Evaluator, assist, evaluate
from geneb_jax.scoring.heads import asked_heads
from geneb_jax.scoring.scores import protocol_rows, represented
from geneb_jax.tasks.selection import read_tasks
from geneb_jax.tasks.task import Task, fingerprint

_END = "end"  # a process that leaves earlier would be missed
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "pandas", "tokenizers", "safetensors")


def run(
    config: ml_collections.ConfigDict, workdir: Path, console: Console | None = None
) -> pd.DataFrame:
    """Evaluates the config's models on its tasks.

    Args:
        config: See `config.default_config`.
        workdir: Takes all results; a restart in it skips finished model-task pairs.
        console: Shows progress and the final table; None: standard output.

    Returns:
        The scores table, as workdir/scores.csv holds it; with `config.scores` the results table
        (see `presentation.results`) of that source. Empty in a process other than the first.

    Raises:
        ConfigError: Lists everything that is wrong with config, models and tasks.
    """
    console = console or _console()
    start = time.monotonic()
    settings = parse_config(config)
    if settings.output.scores:
        _check_workdir(workdir)
        return _present_scores(settings.output, workdir, console)
    if settings.devices.processes:
        try:
            join(settings.devices.processes)
        except ValueError as error:
            raise ConfigError([f"config.processes: {error}"]) from error
    sources, tasks = check(settings)
    _check_workdir(workdir)
    checked = time.monotonic()
    keep_programs(workdir / "compiled")
    if jax.process_index() > 0:
        assist(sources, tasks, workdir)
        meet(_END)
        return pd.DataFrame()

    evaluator = Evaluator(
        settings.probes,
        workdir,
        console,
        settings.output.save_predictions,
        settings.devices.profile,
    )
    evaluation = evaluate(evaluator, sources, tasks)

    # The workdir may hold other models, presets and tasks: a submission takes all tasks of a model
    # as it was computed now, tables and figures show what was asked.
    columns = {
        name: [each.columns for each in many] for name, many in evaluation.representations.items()
    }
    submitted = represented(evaluation.scores, columns)
    for source in sources:
        if write_submission(source.name, source.card(), submitted, workdir) is None:
            logging.info("%s: no submission: it takes GENEB's tasks and protocol", source.name)
    asked = submitted[submitted["task"].isin([task.info.id for task in tasks])]
    shown = asked_heads(asked, settings.probes)
    save_heatmap(shown, workdir / "figures")
    seconds = {
        "read and check": checked - start,
        **evaluation.seconds,
        "total": time.monotonic() - start,
    }
    provenance = _provenance(config, evaluation, tasks, seconds)
    write_json(workdir / "run.json", provenance)
    if settings.output.report and not protocol_rows(shown).empty:
        results, version = run_results(shown), settings.output.labels
        present(results, workdir, scores=shown, provenance=provenance, version=version)
    print_table(shown, console)
    print_layers(shown, console)
    print_unfinished_fits(shown, console)
    print_speeds(evaluation.speeds, console)
    _say_what_is_not_shown(evaluation, shown, console)
    console.print(f"results: {workdir}")
    meet(_END)
    return evaluation.scores


def _check_workdir(workdir: Path) -> None:
    """Raises ConfigError where nothing can be written into the workdir."""
    try:
        check_folder(workdir)
    except ValueError as error:
        raise ConfigError([f"--workdir={error}"]) from error


def check(settings: Settings) -> tuple[list[Source], list[Task]]:
    """Finds the models, reads the tasks, and checks the ones against the others.

    Raises:
        ConfigError: Lists every model and task that cannot be run, a mesh that the devices do not
            make, and a folder for embeddings that takes none.
    """
    sources, model_problems = find_sources(settings)
    tasks, problems = read_tasks(settings.data)
    try:
        process_mesh(settings.devices.mesh)
    except ValueError as error:
        problems.append(f"config.mesh: {error}")
    if settings.embedding.embeddings_dir:
        try:
            check_folder(settings.embedding.embeddings_dir)
        except ValueError as error:
            problems.append(f"config.embeddings_dir: {error}")
    for what, names in (
        ("config.models", [source.name for source in sources]),
        ("config.tasks", [task.info.id for task in tasks]),
    ):
        problems += [
            f"{what}: '{first}' and '{second}' would write the same files; rename one"
            for first, second in clashes(names)
        ]
    runnable = []
    for source in sources:
        reasons = source.check(tasks)
        model_problems += [f"config.models: '{source.name}': {reason}" for reason in reasons]
        if not reasons:
            runnable.append(source)
    if settings.data.skip_unavailable and runnable:
        for problem in model_problems:
            logging.warning("left out: %s", problem)
    else:
        problems += model_problems
    if problems:
        raise ConfigError(problems)
    return runnable, tasks


def _present_scores(output: OutputSettings, workdir: Path, console: Console) -> pd.DataFrame:
    """Writes tables, figures and report of scores that are there already."""
    try:
        source = read_source(output.scores)
    except ValueError as error:
        raise ConfigError([f"config.scores: {error}"]) from error
    tables = present(
        None if output.scores == PUBLISHED else source.results,
        workdir,
        scores=source.scores,
        provenance=source.provenance,
        version=output.labels,
    )
    print_statistics(tables["paper_statistics"], console)
    console.print(f"results: {workdir}")
    return source.results


def _say_what_is_not_shown(evaluation: Evaluation, shown: pd.DataFrame, console: Console) -> None:
    """Prints how many results of other calls the workdir holds, and why some are in no table."""
    others = len(evaluation.scores) - len(shown)
    if others:
        console.print(
            f"scores.csv holds {others} more rows, of other calls in this workdir; "
            "`geneb-jax tables --scores WORKDIR --out DIR` shows all of them"
        )
    if evaluation.set_aside:
        model, task = evaluation.set_aside[0]
        others = len(evaluation.set_aside) - 1
        more = f" and {others} more model-task pairs" if others else ""
        console.print(
            "left out of scores.csv, because they were computed from other weights or another task "
            f"file: '{model}' on '{task}'{more}; evaluate them again to have them back"
        )


def _identity(representations: Sequence[Representation]) -> dict[str, Any]:
    """What run.json says of a model: the identity of its representations, together."""
    first, *others = representations
    if not others:
        return dict(first.identity)
    taps = dict.fromkeys(each.columns["tap"] for each in representations)
    poolings = dict.fromkeys(each.columns["pooling"] for each in representations)
    return {**first.identity, "tap": list(taps), "pooling": list(poolings)}


def _console() -> Console:
    """A terminal as it is; a file or pipe wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _provenance(
    config: ml_collections.ConfigDict,
    evaluation: Evaluation,
    tasks: Sequence[Task],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "geneb_jax": importlib.metadata.version("geneb-jax"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "benchmark": {"harness_version": GENEB.harness_version, "data": GENEB.dataset_revision},
        "models": {name: _identity(many) for name, many in evaluation.representations.items()},
        "tasks": {
            task.info.id: {
                "category": task.info.category,
                "synthetic": task.synthetic,
                "classes": task.classes and dict(task.classes),
                "train": {"rows": len(task.train.labels), "sha256": fingerprint(task.train)},
                "test": {"rows": len(task.test.labels), "sha256": fingerprint(task.test)},
            }
            for task in tasks
        },
        "set_aside": evaluation.set_aside,
        "embedding": evaluation.speeds,
        "seconds": {stage: round(taken, 3) for stage, taken in seconds.items()},
    }
