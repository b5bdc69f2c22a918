"""One run from a config: everything is checked first, then computed, then written."""

import importlib.metadata
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import pandas as pd
from absl import logging
from rich.console import Console

from geneb_jax.benchmark import GENEB, TaskInfo, select_tasks
from geneb_jax.config import ConfigError, Settings, parse_config
from geneb_jax.evaluation import Clock, assist, evaluate
from geneb_jax.features import check_model
from geneb_jax.hub import fetch_tasks
from geneb_jax.mesh import process_mesh
from geneb_jax.models import ModelSpec, parse_models
from geneb_jax.presentation import present
from geneb_jax.processes import join, meet
from geneb_jax.published import PUBLISHED
from geneb_jax.results import read_source, run_results
from geneb_jax.scores import computed_as, protocol_rows, sanitise, write_json
from geneb_jax.store import check_folder
from geneb_jax.submission import write_submission
from geneb_jax.summary import (
    print_layers,
    print_speeds,
    print_statistics,
    print_table,
    save_heatmap,
)
from geneb_jax.synthetic import synthetic_tasks
from geneb_jax.tasks import Task, find_tasks, fingerprint, read_task, subsample_train

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
        (see `geneb_jax.results`) of that source. Empty in a process other than the first.

    Raises:
        ConfigError: Lists everything that is wrong with config, models and tasks.
    """
    console = console or _console()
    clock: Clock = {}
    start = time.monotonic()
    settings = parse_config(config)
    if settings.scores:
        return _present(settings, workdir, console)
    if settings.processes:
        try:
            join(settings.processes)
        except ValueError as error:
            raise ConfigError([f"config.processes: {error}"]) from error
    specs, tasks = check(settings)
    clock["read and check"] = time.monotonic() - start
    _use_compilation_cache(workdir)
    if jax.process_index() > 0:
        assist(settings, specs, tasks, workdir)
        meet(_END)
        return pd.DataFrame()

    speeds: dict[str, Any] = {}
    scores, identities = evaluate(settings, specs, tasks, workdir, console, clock, speeds)

    # The workdir may hold runs under another preset or dtype too.
    shown = computed_as(scores, settings.preset, settings.dtype)
    for spec in specs:
        if write_submission(spec, shown, workdir) is None:
            logging.warning("%s: no row follows GENEB's protocol: no submission", spec.name)
    save_heatmap(shown, workdir / "figures")
    clock["total"] = time.monotonic() - start
    provenance = _provenance(config, identities, tasks, clock, speeds)
    write_json(workdir / "run.json", provenance)
    if settings.report and not protocol_rows(shown).empty:
        results = run_results(shown)
        present(results, workdir, scores=shown, provenance=provenance, version=settings.labels)
    print_table(shown, console)
    print_layers(shown, console)
    print_speeds(speeds, console)
    console.print(f"results: {workdir}")
    meet(_END)
    return scores


def _present(settings: Settings, workdir: Path, console: Console) -> pd.DataFrame:
    """Writes tables, figures and report of scores that are there already."""
    try:
        source = read_source(settings.scores)
    except ValueError as error:
        raise ConfigError([f"config.scores: {error}"]) from error
    own = None if settings.scores == PUBLISHED else source.results
    tables = present(
        own,
        workdir,
        scores=source.scores,
        provenance=source.provenance,
        version=settings.labels,
    )
    print_statistics(tables["paper_statistics"], console)
    console.print(f"results: {workdir}")
    return source.results


def _console() -> Console:
    """A terminal as it is; a file or pipe wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def check(settings: Settings) -> tuple[list[ModelSpec], list[Task]]:
    """Resolves models and tasks and reads the tasks.

    Raises:
        ConfigError: Lists every model and task that cannot be run, a mesh that the devices do not
            make, and a folder for embeddings that takes none.
    """
    specs, model_problems = parse_models(settings.models, settings.checkpoints_dir, settings.preset)
    tasks, problems = _read_tasks(settings)
    try:
        process_mesh(settings.mesh)
    except ValueError as error:
        problems.append(f"config.mesh: {error}")
    if settings.embeddings_dir:
        try:
            check_folder(settings.embeddings_dir)
        except ValueError as error:
            problems.append(f"config.embeddings_dir: {error}")
    names = [sanitise(spec.name) for spec in specs]
    for name in {name for name in names if names.count(name) > 1}:
        problems.append(f"config.models: several models would write to '{name}'")
    runnable = []
    for spec in specs:
        found = check_model(spec, tasks, settings)
        model_problems += found
        if not found:
            runnable.append(spec)
    if settings.skip_unavailable and runnable:
        for problem in model_problems:
            logging.warning("left out: %s", problem)
    else:
        problems += model_problems
    if problems:
        raise ConfigError(problems)
    return runnable, tasks


def _read_tasks(settings: Settings) -> tuple[list[Task], list[str]]:
    if settings.tasks == "synthetic":
        tasks, problems = list(synthetic_tasks()), []
    else:
        try:
            folder, wanted = _find_tasks(settings)
        except ValueError as error:
            return [], [str(error)]
        tasks, problems = [], []
        for info in wanted:
            try:
                tasks.append(read_task(folder, info))
            except ValueError as error:
                problems.append(str(error))
    if settings.max_train:
        tasks = [subsample_train(task, settings.max_train) for task in tasks]
    return tasks, problems


def _find_tasks(settings: Settings) -> tuple[Path, Sequence[TaskInfo]]:
    """Returns the folder of the task files and the tasks to read there."""
    folder = settings.tasks_dir
    if folder is None:
        wanted = select_tasks(settings.tasks)
        return fetch_tasks([task.id for task in wanted]), wanted
    found = find_tasks(folder)
    if not found:
        raise ValueError(f"config.tasks_dir: {folder} holds no task")
    if settings.tasks == "all":
        return folder, list(found.values())
    custom = {name.strip() for name in settings.tasks.split(",")} & set(found)
    others = [name for name in settings.tasks.split(",") if name.strip() not in custom]
    wanted = {task.id: task for task in (select_tasks(",".join(others)) if others else ())}
    missing = [name for name in wanted if name not in found]
    if missing:
        logging.warning("not in %s: %s", folder, ", ".join(missing))
    chosen = [task for name, task in found.items() if name in wanted or name in custom]
    if not chosen:
        raise ValueError(f"config.tasks: {folder} holds none of {settings.tasks}")
    return folder, chosen


def _use_compilation_cache(workdir: Path) -> None:
    """Keeps compiled programs in the workdir, small ones too, so that a restart compiles none."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore
        jax.config.update("jax_compilation_cache_dir", str(workdir.absolute() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _provenance(
    config: ml_collections.ConfigDict,
    identities: dict[str, Any],
    tasks: Sequence[Task],
    clock: Clock,
    speeds: dict[str, Any],
) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "geneb_jax": importlib.metadata.version("geneb-jax"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "benchmark": {"harness_version": GENEB.harness_version, "data": GENEB.dataset_revision},
        "models": identities,
        "tasks": {
            task.info.id: {
                "category": task.info.category,
                "synthetic": task.synthetic,
                "train": {"rows": len(task.train.labels), "sha256": fingerprint(task.train)},
                "test": {"rows": len(task.test.labels), "sha256": fingerprint(task.test)},
            }
            for task in tasks
        },
        "embedding": speeds,
        "seconds": {stage: round(seconds, 3) for stage, seconds in clock.items()},
    }
