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
from geneb_jax.devices.capacity import peaks
from geneb_jax.devices.mesh import process_mesh
from geneb_jax.devices.processes import join, meet
from geneb_jax.devices.programs import keep_programs
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.source import LOCAL_WEIGHTS, Representation, Source
from geneb_jax.embedding.store import check_folder
from geneb_jax.embedding.unseen import Finding, by_model, find_unseen, say_unseen
from geneb_jax.files.json_files import write_json
from geneb_jax.files.names import clashes
from geneb_jax.presentation.console import wide_console
from geneb_jax.scoring.evaluation import Evaluation, Evaluator, assist, evaluate
from geneb_jax.tasks.selection import read_tasks
from geneb_jax.tasks.task import Task, fingerprint

_SHOWN = 3  # names of a list that may be long; the others are counted
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
        (see `presentation.results`) of that source, with `config.plan` the plan in numbers. Empty
        in a process other than the first.

    Raises:
        ConfigError: Lists everything that is wrong with config, models and tasks.
    """
    start = time.monotonic()
    settings = parse_config(config)
    if settings.output.plan:
        from geneb_jax.plan import print_plan  # noqa: PLC0415 (no run needs it)

        return print_plan(settings, workdir, console or wide_console(150))
    console = console or wide_console(120)
    if settings.output.scores:
        _check_workdir(workdir)
        from geneb_jax.closing import present_scores  # noqa: PLC0415 (what a run needs at its end)

        return present_scores(settings.output, workdir, console)
    if settings.devices.processes:
        try:
            join(settings.devices.processes)
        except ValueError as error:
            raise ConfigError([f"config.processes: {error}"]) from error
    sources, tasks = check(settings)
    _check_workdir(workdir)
    checked, memory = time.monotonic(), {"read and check": peaks()}
    keep_programs(settings.devices.programs_dir)
    if jax.process_index() > 0:
        assist(sources, tasks, workdir)
        meet(_END)
        return pd.DataFrame()

    unseen = [finding for source in sources for finding in find_unseen(source, tasks)]
    say_unseen(unseen)
    evaluator = Evaluator(
        settings.probes,
        workdir,
        console,
        settings.output.save_predictions,
        settings.devices.profile,
    )
    evaluation = evaluate(evaluator, sources, tasks)

    seconds = {
        "read and check": checked - start,
        **evaluation.seconds,
        "total": time.monotonic() - start,
    }
    memory |= evaluation.memory | {"total": peaks()}
    provenance = _provenance(config, evaluation, tasks, unseen, seconds, memory)
    write_json(workdir / "run.json", provenance)
    from geneb_jax.closing import close_run  # noqa: PLC0415 (matplotlib is loaded when all is done)

    close_run(settings, evaluation, tasks, provenance, workdir, console)
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
    problems += _claim_problems(settings.output, sources)
    runnable = []
    for source in sources:
        reasons = source.check(tasks)
        model_problems += [f"config.models: '{source.name}': {reason}" for reason in reasons]
        if not reasons:
            runnable.append(source)
            _say_left_out(source, tasks)
    if settings.data.skip_unavailable and runnable:
        for problem in model_problems:
            logging.warning("left out: %s", problem)
    else:
        problems += model_problems
    if problems:
        raise ConfigError(problems)
    return runnable, tasks


def _claim_problems(output: OutputSettings, sources: Sequence[Source]) -> list[str]:
    """Returns a problem for each field that speaks of one model where there are several."""
    fields = ("submission_name", "submission_url", "submission_training_data", "zero_shot")
    return [
        f"config.{field}: says something of one model, but config.models names {len(sources)}; "
        "name one"
        for field in fields
        if getattr(output, field) and len(sources) > 1
    ]


def _say_left_out(source: Source, tasks: Sequence[Task]) -> None:
    covered = {task.info.id for task in source.covered(tasks)}
    lacking = [task.info.id for task in tasks if task.info.id not in covered]
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        logging.warning(
            "'%s' is run on %d of %d tasks; left out: %s%s",
            *(source.name, len(covered), len(tasks), ", ".join(lacking[:_SHOWN]), more),
        )


def _identity(representations: Sequence[Representation], card: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says of a model: the identity of its representations, together.

    Fields of its config.json that the port does not know are named where there are some. Weights
    of a folder, which need not be the catalog's revision, have none.
    """
    first, *others = representations
    found = dict(first.identity)
    if card["url"] == LOCAL_WEIGHTS:
        found["revision"] = LOCAL_WEIGHTS
    if first.unknown_fields:
        found["unknown_fields"] = list(first.unknown_fields)
    if others:
        found["tap"] = list(dict.fromkeys(each.columns["tap"] for each in representations))
        found["pooling"] = list(dict.fromkeys(each.columns["pooling"] for each in representations))
    return found


def _provenance(
    config: ml_collections.ConfigDict,
    evaluation: Evaluation,
    tasks: Sequence[Task],
    unseen: Sequence[Finding],
    seconds: Mapping[str, float],
    memory: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "geneb_jax": importlib.metadata.version("geneb-jax"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "benchmark": {"harness_version": GENEB.harness_version, "data": GENEB.dataset_revision},
        "models": {
            name: _identity(many, evaluation.cards[name])
            for name, many in evaluation.representations.items()
        },
        "tasks": {
            task.info.id: {
                "category": task.info.category,
                "synthetic": task.synthetic,
                "letters": task.letters,
                "classes": task.classes and dict(task.classes),
                "train": {"rows": len(task.train.labels), "sha256": fingerprint(task.train)},
                "test": {"rows": len(task.test.labels), "sha256": fingerprint(task.test)},
            }
            for task in tasks
        },
        "unseen": by_model(unseen),
        "set_aside": evaluation.set_aside,
        "embedding": evaluation.speeds,
        "seconds": {stage: round(taken, 3) for stage, taken in seconds.items()},
        "memory": memory,
    }
