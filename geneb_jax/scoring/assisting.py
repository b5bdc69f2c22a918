"""What processes other than the first do: they embed their shares, and probe tasks for the first.

The first process evaluates (see `evaluation`), says what is to be done, and alone writes results.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from absl import logging

from geneb_jax.devices.meeting import Message, Peer
from geneb_jax.embedding.source import OpenSource, Representation
from geneb_jax.failures import Failure, Failures, Stage
from geneb_jax.files.counts import counted
from geneb_jax.scoring.evaluation import Workload, representations_digest
from geneb_jax.scoring.probing import Asked, probe, to_json
from geneb_jax.tasks.task import Task

T = TypeVar("T")


def assist(
    asked: Asked,
    workloads: Sequence[Workload],
    workdir: Path,
    failures: Failures,
    peer: Peer,
) -> None:
    """Does what the first process asks for, model by model.

    Args:
        asked: What is fitted.
        workloads: The models with the tasks that they can be run on here.
        workdir: Holds embeddings and measurements of the devices.
        failures: Holds what has failed in checking the models here, and takes what fails now.
        peer: The connection to the first process, which is told of both.
    """
    for failure in [each for each in failures.found if each.model and not each.task]:
        peer.tell("unable", model=failure.model, problem=str(failure))
    for source, tasks in workloads:
        name = source.name
        model, problem = _tried(failures, name, "load", lambda s=source: s.open(workdir))
        if model is None:
            peer.tell("unable", model=name, problem=str(Failure(name, "", "load", problem)))
            continue
        _help_with(asked, name, model, {t.info.id: t for t in tasks}, failures, peer)


def _help_with(
    asked: Asked,
    name: str,
    model: OpenSource,
    tasks: Mapping[str, Task],
    failures: Failures,
    peer: Peer,
) -> None:
    """Embeds and probes for one model until there is nothing left."""
    digest = representations_digest(model.representations)
    by_name = {each.name: each for each in model.representations}
    probed = 0
    while (work := peer.ask(name))["do"] != "nothing":
        refused = {f.task: f.reason for f in failures.found if f.model == name and f.task}
        if problem := _unlike(work, digest, tasks, refused):
            logging.error("%s: %s", name, problem)
            peer.tell("unable", model=name, problem=f"model '{name}': {problem}")
            return
        if work["do"] == "embed":
            these = [tasks[task] for task in work["tasks"]]

            def embed(these: Sequence[Task] = these) -> bool:
                model.prepare_share(these, lambda _: None)
                return True

            _, problem = _tried(failures, name, "embed", embed)
            what = f"model '{name}' failed (embed): {problem}; its share is computed by the first"
            if not problem:
                logging.info("%s: this process's share is embedded", name)
            peer.tell("shared", model=name, problem=problem and what)
            continue
        task, representation = tasks[work["task"]], by_name[work["representation"]]

        def fit(task: Task = task, representation: Representation = representation) -> Message:
            prepared = model.prepare([task], lambda _: None)  # they are kept: it looks
            features = prepared.features(task, representation)
            turned = prepared.turned and prepared.turned(task, representation)
            return to_json(probe(asked, name, task, representation, features, turned))

        result, problem = _tried(failures, name, "probe", fit, task.info.id)
        peer.tell("result", model=name, failed=problem, **(result or {}))
        probed += 1
    logging.info("%s: probed here: %s", name, counted(probed, "task"))


def _tried(
    failures: Failures, model: str, stage: Stage, work: Callable[[], T], task: str = ""
) -> tuple[T | None, str]:
    """Returns what comes of some work, or None and why it failed."""
    before = len(failures.found)
    result = None
    with failures.contained(model, stage, task):
        result = work()
    return result, failures.found[-1].reason if len(failures.found) > before else ""


def _unlike(
    work: Message, digest: str, tasks: Mapping[str, Task], refused: Mapping[str, str]
) -> str:
    """Says what keeps this process from some work of the first; empty: nothing does.

    Args:
        work: What is to be done.
        digest: The `representations_digest` of the model as it is here.
        tasks: The tasks that the model can be run on here, by id.
        refused: Why it cannot be run on others, by id.
    """
    if work["identity"] != digest:
        return "its weights or settings are others here than in the first process"
    wanted = work["tasks"] if work["do"] == "embed" else [work["task"]]
    missing = next((task for task in wanted if task not in tasks), None)
    if missing is None:
        return ""
    reason = f": {refused[missing]}" if missing in refused else ""
    return f"it cannot be run on task '{missing}' here{reason}"
