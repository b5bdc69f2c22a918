"""One run from a config: everything is checked first, then computed, then written."""

import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
import pandas as pd
from absl import logging
from etils import epath
from rich.console import Console

from geneb_jax.agreement import facts, look_for_first, shown_to_others
from geneb_jax.audit.cached import audits_folder
from geneb_jax.audit.cost import announced, expected_seconds
from geneb_jax.audit.findings import TaskAudit
from geneb_jax.audit.kept import find_kept, make_kept
from geneb_jax.benchmark import GENEB
from geneb_jax.closing import close_run, present_scores
from geneb_jax.config import ConfigError, OutputSettings, ProbeSettings, Settings, parse_config
from geneb_jax.devices.capacity import peaks
from geneb_jax.devices.meeting import First, MeetingError, Peer, in_touch
from geneb_jax.devices.mesh import process_mesh
from geneb_jax.devices.processes import Process, join
from geneb_jax.devices.programs import keep_programs
from geneb_jax.disks import check_disks
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.source import Refusal, Representation, Source, SourcePlan
from geneb_jax.embedding.store import check_folder, folder_of_stores
from geneb_jax.embedding.tuning import embedding_rate
from geneb_jax.embedding.unseen import Finding, by_model, find_unseen, say_unseen
from geneb_jax.failures import Failure, Failures, file_only, reason, without_names
from geneb_jax.files.atomic import remove_leftovers
from geneb_jax.files.counts import counted
from geneb_jax.files.json_files import write_json
from geneb_jax.files.names import clashes
from geneb_jax.full_disk import saying_what_is_kept
from geneb_jax.log_file import log_kept_for
from geneb_jax.ownership import OwnedError, owned
from geneb_jax.presentation.console import wide_console
from geneb_jax.presentation.verdicts import read_verdicts
from geneb_jax.scoring.assisting import assist
from geneb_jax.scoring.cost import showing_seconds
from geneb_jax.scoring.evaluation import Evaluation, Evaluator, Workload, asked_rows, evaluate
from geneb_jax.scoring.heads import not_presented, probes_of, regime_name
from geneb_jax.scoring.outlook import AUDIT, SHOWING, expect, rates_before
from geneb_jax.scoring.probing import Asked
from geneb_jax.scoring.progress import RunProgress
from geneb_jax.signals import interruption_first
from geneb_jax.tasks.selection import read_tasks
from geneb_jax.tasks.sizes import sizes_of
from geneb_jax.tasks.task import Split, Task, fingerprint
from probes import engine_of

_MOST_PROBLEMS = 40  # lines of what keeps models and tasks from being run; the others are counted
_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "pandas",
    "tokenizers",
    "transformers",
    "safetensors",
)


class Outcome(NamedTuple):
    """What came of a run.

    Attributes:
        scores: The scores table, as workdir/scores.csv holds it; with `config.scores` the results
            table (see `presentation.results`) of that source, with `config.plan` the plan in
            numbers. Empty in a process other than the first.
        failures: What could not be computed, in any process; the same command tries it again.
        asked: The rows of the scores table that this call asked for; the workdir may hold others.
    """

    scores: pd.DataFrame
    failures: Sequence[Failure]
    asked: pd.DataFrame


def run(
    config: ml_collections.ConfigDict,
    workdir: Path,
    console: Console | None = None,
    given: Mapping[str, Source] = MappingProxyType({}),
) -> Outcome:
    """Evaluates the config's models on its tasks.

    Args:
        config: See `config.default_config`.
        workdir: Takes all results; a restart in it skips finished model-task pairs.
        console: Shows progress and the final table; None: standard output.
        given: Models that are there already, by the names that `config.models` has for them.

    Raises:
        ConfigError: Lists everything that is wrong with the config, or what keeps every model or
            every task from being run; with `config.fail_fast` what keeps any from it. Or another
            run is going on in the workdir. Nothing was started.
    """
    settings = parse_config(config)
    if settings.output.plan:
        from geneb_jax.plan import print_plan  # noqa: PLC0415 (no run needs it)

        planned = print_plan(settings, workdir, console or wide_console(154))
        return Outcome(planned, [], planned)
    if settings.output.scores:
        try:
            with owned(workdir):
                presented = present_scores(settings, workdir, console or wide_console(160))
        except OwnedError as error:
            raise ConfigError([f"--workdir={error}"]) from error
        return Outcome(presented, [], presented)
    console = console or wide_console(120)
    try:
        process = join(settings.devices.processes)
    except ValueError as error:
        raise ConfigError([f"config.processes: {error}"]) from error
    try:
        if process.number:
            return _assist(settings, workdir, process)
        return _lead(config, settings, workdir, process, console, given)
    except MeetingError as error:
        raise ConfigError([f"config.processes: {error}"]) from error
    except OwnedError as error:
        raise ConfigError([f"--workdir={error}"]) from error


def _lead(
    config: ml_collections.ConfigDict,
    settings: Settings,
    workdir: Path,
    process: Process,
    console: Console,
    given: Mapping[str, Source],
) -> Outcome:
    """Evaluates as the first process, or the only one."""
    failures = Failures(settings.data.fail_fast)
    progress = RunProgress(console, failures, workdir)
    folder = _embeddings_folder(settings, workdir)
    first = First(process, settings.devices.peer_seconds, settings.data.fail_fast)
    with log_kept_for(workdir) as keep_log, in_touch(first):
        first.gather()
        with (
            owned(workdir) as check_ours,
            progress.shown(),
            interruption_first(),
            shown_to_others(first, folder),
        ):
            workloads, tasks = check(settings, failures, given)
            common = facts(settings, tasks) if process.count > 1 else {}
            first.agree(common, [each.source.name for each in workloads])
            plans = _plans(workloads, workdir)
            check_disks(workloads, plans, settings, workdir)
            if lacking := not_presented(settings.probes, settings.output):
                logging.warning("%s", lacking)
            keep_log()
            if "://" not in str(folder):  # it may be outside of the workdir
                remove_leftovers(Path(folder))
            file_only.info("begun: %s", json.dumps(config.to_dict(), default=str))
            expected = expect(workloads, plans, settings.probes, workdir)
            showing = showing_seconds(sizes_of(tasks), len(workloads), settings)
            speeds = [_embedded_at(source.name, plans, workdir) for source, _ in workloads]
            progress.begin(expected, rates_before(settings.probes, expected, speeds), showing)
            with saying_what_is_kept(config, settings, workloads, plans, workdir):
                evaluation = _compute(
                    config, settings, workloads, tasks, progress, first, check_ours
                )
                check_ours()
            file_only.info("done, %d failed", len(failures.found))
        first.finish([failure._asdict() for failure in failures.found])
    asked = asked_rows(evaluation, tasks, settings.probes)
    return Outcome(evaluation.scores, failures.found, asked)


def _assist(settings: Settings, workdir: Path, process: Process) -> Outcome:
    """Helps the first process."""
    failures = Failures(settings.data.fail_fast)
    peer = Peer(process, settings.devices.peer_seconds)
    log = log_kept_for(workdir, f"log-{process.number}.txt")
    with log as keep_log, in_touch(peer), interruption_first():
        workloads, tasks = check(settings, failures)
        _check_workdir(workdir)
        folder = _embeddings_folder(settings, workdir)
        shared = any(each.source.shared for each in workloads)
        peer.agree(facts(settings, tasks) | (look_for_first(peer, folder) if shared else {}))
        workdir.mkdir(parents=True, exist_ok=True)
        keep_log()
        keep_programs(settings.devices.cache_dir)
        assist(_asked(settings), workloads, workdir, failures, peer)
        found = peer.finish()
    return Outcome(pd.DataFrame(), [Failure(**failure) for failure in found], pd.DataFrame())


def _plans(workloads: Sequence[Workload], workdir: Path) -> dict[str, SourcePlan]:
    """Returns what is known of each model without its weights, by name, where that can be had."""
    plans = {}
    for source, _ in workloads:
        with suppress(ValueError):  # said of the model where it is opened
            plans[source.name] = source.plan(workdir)
    return plans


def _embedded_at(name: str, plans: Mapping[str, SourcePlan], workdir: Path) -> float | None:
    """Returns the operations a second at which a model was embedded before; None: not known."""
    return embedding_rate(name, plans[name].dtype, workdir) if name in plans else None


def _embeddings_folder(settings: Settings, workdir: Path) -> epath.Path:
    return folder_of_stores(settings.embedding.embeddings_dir, workdir)


def _asked(settings: Settings) -> Asked:
    output = settings.output
    both = len(settings.embedding.strand) > 1
    return Asked(settings.probes, output.intervals, output.save_predictions, other_strand=both)


def _compute(
    config: ml_collections.ConfigDict,
    settings: Settings,
    workloads: Sequence[Workload],
    tasks: Sequence[Task],
    progress: RunProgress,
    first: First,
    check_ours: Callable[[], None],
) -> Evaluation:
    """Computes, writes and shows what was found fit to run."""
    workdir, failures = progress.workdir, progress.failures
    checked, memory = progress.elapsed(), {"read and check": peaks()}
    keep_programs(settings.devices.cache_dir)
    unseen = [
        finding
        for source, of_source in workloads
        for finding in find_unseen(source.name, source.unseen, of_source)
    ]
    say_unseen(unseen)
    begun = progress.elapsed()
    audits = _audit(settings, tasks, progress)
    audited = progress.elapsed() - begun
    evaluator = Evaluator(
        _asked(settings), workdir, progress, failures, first, settings.devices.profile, check_ours
    )
    evaluation = evaluate(evaluator, workloads, tasks)
    progress.stage(SHOWING)

    seconds = {
        "read and check": checked,
        "audit": audited,
        **evaluation.seconds,
        "total": progress.elapsed(),
    }
    memory |= evaluation.memory | {"total": peaks()}
    provenance = _provenance(
        config, settings.probes, evaluation, tasks, unseen, failures.found, seconds, memory
    )
    provenance["taken"] = progress.taken()
    if others := first.others():
        provenance["processes"] = others
    write_json(workdir / "run.json", provenance)
    close_run(
        settings, evaluation, failures.found, tasks, audits, provenance, workdir, progress.console
    )
    return evaluation


def _audit(settings: Settings, tasks: Sequence[Task], progress: RunProgress) -> list[TaskAudit]:
    """Audits the tasks of which no audit is kept; one that fails is left out."""
    if not settings.audit.audit:
        return []
    folder, cache = progress.workdir / "audit", audits_folder(settings.devices.cache_dir)
    audits = {task.info.id: find_kept(folder, task, cache) for task in tasks}
    missing = [task for task in tasks if audits[task.info.id] is None]
    weights = [expected_seconds(task) for task in missing]
    if missing:
        logging.info("%s", announced(len(missing), sum(weights)))
    progress.stage(AUDIT, len(missing), "tasks", sum(weights))
    for task, weight in zip(missing, weights, strict=True):
        with progress.failures.contained("", "audit", task.info.id):
            audits[task.info.id] = make_kept(folder, task, cache)
        progress.advance(1, weight)
    return [audit for audit in audits.values() if audit is not None]


def _check_workdir(workdir: Path) -> None:
    """Raises ConfigError where nothing can be written into the workdir."""
    try:
        check_folder(workdir)
    except ValueError as error:
        raise ConfigError([f"--workdir={error}"]) from error


def check(
    settings: Settings,
    failures: Failures,
    given: Mapping[str, Source] = MappingProxyType({}),
) -> tuple[list[Workload], list[Task]]:
    """Finds the models, reads the tasks, and checks the ones against the others.

    Args:
        settings: What is asked.
        failures: Takes the models and tasks that cannot be run, where others can.
        given: Models that are there already; see `run`.

    Returns:
        The models that can be run, each with the tasks it can be run on; and all tasks.

    Raises:
        ConfigError: Lists what is wrong with the settings, such as names that nothing has, a mesh
            that the devices do not make, and a folder for embeddings that takes none. Where no
            model or no task can be run, or at the first failure with `fail_fast`, these too.
    """
    sources, problems = find_sources(settings, given)
    tasks: list[Task] = []
    unreadable: Mapping[str, str] = {}
    try:
        tasks, unreadable = read_tasks(settings.data)
    except ValueError as error:
        problems.append(str(error))
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
    if settings.audit.leaky:
        try:
            read_verdicts(settings.audit.leaky)
        except ValueError as error:
            problems.append(f"config.leaky: {error}")
    problems += _claim_problems(settings.output, sources)
    refusals = {source.name: _check_source(source, tasks) for source in sources}
    workloads = [
        Workload(source, runnable)
        for source in sources
        if (runnable := _runnable(tasks, refusals[source.name]))
    ]
    hopeless = [
        *unreadable.values(),
        *(
            f"config.models: '{name}': {without_names(str(refusal), name)}"
            for name, found in refusals.items()
            for refusal in found
        ),
    ]
    fatal = failures.fail_fast or _none_left(tasks, unreadable, refusals)
    if problems or (hopeless and fatal):
        last = _cut(hopeless)
        raise ConfigError([*problems, *last]) if fatal else ConfigError(problems, last)
    _say_small_classes(tasks, settings.probes.regimes)
    for task, reasons in unreadable.items():
        lines = [line.removeprefix(f"task '{task}': ") for line in reasons.split("\n")]
        failures.add(Failure("", task, "read", _summed(lines)))
    for name, found in refusals.items():
        for details in filter(None, (refusal.details for refusal in found)):
            file_only.debug("check %s: %s", name, details)
        for task in dict.fromkeys(refusal.task for refusal in found):
            lines = [refusal.reason for refusal in found if refusal.task == task]
            failures.add(Failure(name, task, "check", _summed(lines)))
    return workloads, tasks


def _check_source(source: Source, tasks: Sequence[Task]) -> Sequence[Refusal]:
    """Returns what a model refuses, or the error that checking it comes to."""
    try:
        return source.check(tasks)
    except Exception as error:  # of one model, whatever it is: the others go on
        file_only.debug("check %s:", source.name, exc_info=error)
        return [Refusal(reason(error))]


def _runnable(tasks: Sequence[Task], refusals: Sequence[Refusal]) -> list[Task]:
    """Returns the tasks that a model can be run on."""
    refused = {refusal.task for refusal in refusals}
    return [] if "" in refused else [task for task in tasks if task.info.id not in refused]


def _none_left(
    tasks: Sequence[Task],
    unreadable: Mapping[str, str],
    refusals: Mapping[str, Sequence[Refusal]],
) -> bool:
    """Says whether no task can be read, or no model run; those that are not known yet may be."""
    no_task = bool(unreadable) and not tasks
    none_of = [
        not _runnable(tasks, found) if tasks else any(not each.task for each in found)
        for found in refusals.values()
    ]
    return no_task or (bool(none_of) and all(none_of))


def _cut(problems: Sequence[str]) -> list[str]:
    """Returns a list of which what is too much to read is counted."""
    more = len(problems) - _MOST_PROBLEMS
    return [*problems[:_MOST_PROBLEMS], *([f"... and {more} more such lines"] if more > 0 else [])]


def _summed(lines: Sequence[str]) -> str:
    """Returns the first of some reasons, and that there are others."""
    return lines[0] + (" (others too)" if len(lines) > 1 else "")


def _say_small_classes(tasks: Sequence[Task], regimes: Sequence[int | None]) -> None:
    """Warns of few-shot regimes that ask for more train rows of a class than it has."""
    fewest = {task.info.id: int(np.unique(task.train.labels, return_counts=True)[1].min())
              for task in tasks}  # fmt: skip
    for shots in filter(None, regimes):
        smaller = {task: rows for task, rows in fewest.items() if rows < shots}
        if smaller:
            task = min(smaller, key=lambda name: smaller[name])
            logging.warning(
                "%s: in %d of %s a class has fewer train rows, and gives all it has; the fewest "
                "are %d, in '%s'",
                *(regime_name(shots), len(smaller), counted(len(tasks), "task")),
                *(smaller[task], task),
            )


def _claim_problems(output: OutputSettings, sources: Sequence[Source]) -> list[str]:
    """Returns a problem for each field that speaks of one model where there are several."""
    fields = ("submission_name", "submission_url", "submission_training_data", "zero_shot")
    return [
        f"config.{field}: says something of one model, but config.models names {len(sources)}; "
        "name one"
        for field in fields
        if getattr(output, field) and len(sources) > 1
    ]


def _identity(representations: Sequence[Representation], card: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says of a model: the identity of its representations, together.

    Fields of its config.json that the port does not know are named where there are some, and what
    the catalog says that whoever runs it must know. Weights of a folder, which need not be the
    catalog's revision, have none.
    """
    first, *others = representations
    found = dict(first.identity)
    if card["url"] == LOCAL_WEIGHTS:
        found["revision"] = LOCAL_WEIGHTS
    if first.unknown_fields:
        found["unknown_fields"] = list(first.unknown_fields)
    if first.known_defects:
        found["known_defects"] = list(first.known_defects)
    if others:
        found["tap"] = list(dict.fromkeys(each.columns["tap"] for each in representations))
        found["pooling"] = list(dict.fromkeys(each.columns["pooling"] for each in representations))
    return found


def _split_facts(split: Split) -> dict[str, Any]:
    """Returns the rows of a split, those of each class, and what its content is told by."""
    return {
        "rows": len(split.labels),
        "class_rows": np.unique(split.labels, return_counts=True)[1].tolist(),
        "sha256": fingerprint(split),
    }


def _provenance(
    config: ml_collections.ConfigDict,
    probes: ProbeSettings,
    evaluation: Evaluation,
    tasks: Sequence[Task],
    unseen: Sequence[Finding],
    failures: Sequence[Failure],
    seconds: Mapping[str, float],
    memory: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "geneb_jax": importlib.metadata.version("geneb-jax"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "benchmark": {"harness_version": GENEB.harness_version, "data": GENEB.dataset_revision},
        "engines": {each.kind: engine_of(each) for each in probes_of(probes)},
        "models": {
            name: _identity(many, evaluation.cards[name])
            for name, many in evaluation.representations.items()
        },
        "cards": evaluation.cards,
        "representations": {
            name: [each.columns for each in many]
            for name, many in evaluation.representations.items()
        },
        "tasks": {
            task.info.id: {
                "category": task.info.category,
                "synthetic": task.synthetic,
                "letters": task.letters,
                "classes": task.classes and dict(task.classes),
                "train": _split_facts(task.train),
                "test": _split_facts(task.test),
            }
            for task in tasks
        },
        "unseen": by_model(unseen),
        "set_aside": evaluation.set_aside,
        "failures": [failure._asdict() for failure in failures],
        "embedding": evaluation.speeds,
        "seconds": {stage: round(taken, 3) for stage, taken in seconds.items()},
        "memory": memory,
    }
