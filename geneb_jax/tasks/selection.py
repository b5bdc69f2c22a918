"""The tasks of a run: what the config names, found, read, and cut to size."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import logging

from geneb_jax.benchmark import GENEB, TaskInfo, names_tasks, select_tasks
from geneb_jax.config import DataSettings
from geneb_jax.tasks.hub import fetch_tasks
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.synthetic import SYNTHETIC_IDS, synthetic_tasks
from geneb_jax.tasks.tabular import shown
from geneb_jax.tasks.task import Task, prepare_task, subsample_train


def read_tasks(settings: DataSettings) -> tuple[list[Task], dict[str, str]]:
    """Reads every task that the settings name.

    Returns:
        The tasks that could be read, and what is wrong with each of the others, by its id.

    Raises:
        ValueError: The settings name what is not there, or the tasks cannot be fetched.
    """
    tasks, unreadable = [], {}
    generated = generated_tasks(settings)
    if generated:
        tasks = list(synthetic_tasks(ids=generated))
        if settings.tasks_dir:
            logging.warning(
                "config.tasks_dir is not used: config.tasks names synthetic tasks; say "
                "--config.tasks=all for the tasks in %s",
                settings.tasks_dir,
            )
    else:
        folder, wanted = _find(settings)
        for info in wanted:
            try:
                tasks.append(read_task(folder, info, settings.letters))
            except ValueError as error:
                unreadable[info.id] = str(error)
    if settings.max_train:
        tasks = [subsample_train(task, settings.max_train) for task in tasks]
    return [prepare_task(task, settings.letters) for task in tasks], unreadable


def generated_tasks(settings: DataSettings) -> tuple[str, ...]:
    """Returns the ids of the synthetic tasks that the settings name, of `synthetic.SYNTHETIC_IDS`.

    'synthetic' stands for all of them; upper and lower case count alike. A file of such an id in
    `tasks_dir` is read instead. Where none is named, the tasks are files.

    Raises:
        ValueError: They name synthetic tasks beside others.
    """
    names = [name.strip() for name in settings.tasks.split(",") if name.strip()]
    named = {
        name: SYNTHETIC_IDS if name.lower() == "synthetic" else (name.lower(),)
        for name in names
        if name.lower() in ("synthetic", *SYNTHETIC_IDS)
    }
    if settings.tasks_dir and named.keys() - {"synthetic"}:
        there = find_tasks(settings.tasks_dir)
        named = {name: ids for name, ids in named.items() if name not in there}
    others = [name for name in names if name not in named]
    if named and others:
        raise ValueError(
            f"config.tasks: '{next(iter(named))}' is generated, and '{shown(others[0])}' is not; "
            "a run has tasks of one kind, so name those of the other in another run"
        )
    return tuple(dict.fromkeys(id for ids in named.values() for id in ids))


def _find(settings: DataSettings) -> tuple[Path, Sequence[TaskInfo]]:
    """Returns the folder of the task files and the tasks to read there."""
    folder = settings.tasks_dir
    if folder is None:
        wanted = select_tasks(settings.tasks, SYNTHETIC_IDS)
        return fetch_tasks([task.id for task in wanted]), wanted
    return folder, choose_tasks(folder, settings.tasks)


def choose_tasks(folder: Path, selection: str) -> list[TaskInfo]:
    """Returns the tasks of a folder that a comma list names.

    Args:
        folder: Holds task files.
        selection: As for `benchmark.select_tasks`, and names of files that are custom tasks; 'all'
            stands for all tasks of the folder.

    Raises:
        ValueError: The folder holds no task, or a name is unknown or of two meanings.
    """
    there = find_tasks(folder)
    if not there:
        raise ValueError(f"config.tasks_dir: {folder} holds no task")
    if selection == "all":
        return list(there.values())
    names = [_spelled(name.strip(), there) for name in selection.split(",")]
    custom = set(names) & set(there)
    known = {task.id for task in GENEB.tasks}
    for name in sorted(custom - known):
        if names_tasks(name):
            raise ValueError(
                f"config.tasks: '{name}' is a file in {folder} and a group of the benchmark's "
                "tasks; rename the file to choose between them"
            )
    others = ",".join(name for name in names if name not in custom)
    wanted = {task.id: task for task in (select_tasks(others, there) if others else ())}
    missing = [name for name in wanted if name not in there]
    if missing:
        logging.warning("not in %s: %s", folder, ", ".join(missing))
    chosen = [task for name, task in there.items() if name in wanted or name in custom]
    if not chosen:
        raise ValueError(f"config.tasks: {folder} holds none of {shown(selection)}")
    return chosen


def _spelled(name: str, there: Iterable[str]) -> str:
    """Returns the one task of a folder that a name is in another case, or the name itself."""
    same = [task for task in there if task.casefold() == name.casefold()]
    if name in same or names_tasks(name) or len(same) != 1:
        return name
    logging.warning("'%s' is the task '%s'", name, same[0])
    return same[0]
