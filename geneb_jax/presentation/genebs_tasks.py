"""Whether the tasks of a run are GENEB's: what their files say, and who answers for them.

Tasks that a run reads from GENEB's data set on the hub, at its pinned revision, are GENEB's. Those
of files in `config.tasks_dir` may be anything: their numbers of records and classes are compared
with the published ones, and whoever publishes the scores says the rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from geneb_jax.benchmark import GENEB
from geneb_jax.tasks.sizes import GUESSED_CLASSES, TaskSize, published_sizes

_FEW = 0.1  # of the records that a task has by its sources, some of which are guessed
_HALF = 0.5
_TIMES = 2  # as many classes as guessed, or a half, may a task have whose number is a guess
_NO_COUNTS = (
    "run.json does not say what classes its file has, as older versions did not; give the command "
    "of its run again in this workdir (what is finished is not computed)"
)


def from_files(record: Mapping[str, Any]) -> bool:
    """Says whether the tasks of a run are files of `config.tasks_dir`, from its run.json."""
    return bool(record.get("config", {}).get("tasks_dir"))


def source_of_tasks(record: Mapping[str, Any]) -> str:
    """Returns where the tasks of a run are from, as a sentence for readers of its scores."""
    data = f"{GENEB.dataset_repo} at revision {GENEB.dataset_revision}"
    if not from_files(record):
        return f"The tasks were read from {data}."
    few = sum(_share(facts, size) < _HALF for _, facts, size in _known(record))
    sizes = f"; {few} with less than half of the records that their sources state" if few else ""
    return (
        f"The tasks were read from files. Whoever published the scores says that these are {data}; "
        f"geneb_jax has compared no more than their numbers of records and classes{sizes}."
    )


def _known(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], TaskSize]]:
    """Yields the benchmark's tasks that a run.json has: id, what it says of them, and the size."""
    tasks = record.get("tasks", {})
    for task, size in zip(GENEB.tasks, published_sizes(), strict=True):
        if task.id in tasks:
            yield task.id, tasks[task.id], size


def _rows(facts: Mapping[str, Any]) -> int:
    return sum(facts[split]["rows"] for split in ("train", "test"))


def _share(facts: Mapping[str, Any], size: TaskSize) -> float:
    """Returns how many records a file has, as a share of those of the task by its sources."""
    return _rows(facts) / (size.train + size.test)


def unanswered(record: Mapping[str, Any], *, said: bool) -> Iterator[str]:
    """Yields that nobody says whether the tasks of a run are GENEB's, where that is so.

    Args:
        record: The content of run.json.
        said: Whether whoever publishes the scores says that they are.
    """
    if from_files(record) and not said:
        folder = record["config"]["tasks_dir"]
        yield (
            f"the scores are of the task files in {folder}, and whether these are GENEB's is not "
            "known; say so with --genebs-tasks"
        )


def contradictions(record: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Returns what keeps files of `config.tasks_dir` from being the benchmark's tasks, by task.

    Args:
        record: The content of run.json.

    Returns:
        Of each of the benchmark's tasks whose file was read and cannot be GENEB's: what is wrong,
        and the numbers that say so, such as '2 classes, not 40'.
    """
    if not from_files(record):
        return {}
    found = {name: list(_contradictions(facts, size)) for name, facts, size in _known(record)}
    return {name: each for name, each in found.items() if each}


def _contradictions(facts: Mapping[str, Any], size: TaskSize) -> Iterator[tuple[str, str]]:
    if _share(facts, size) < _FEW:
        yield (
            f"its file in config.tasks_dir has fewer than {_FEW:.0%} of the records of GENEB's",
            f"{_rows(facts):,} of some {size.train + size.test:,} records",
        )
    if "class_rows" not in facts["train"]:
        yield _NO_COUNTS, ""
        return
    classes = len(facts["train"]["class_rows"])
    if size.task in GUESSED_CLASSES:
        fits = size.classes / _TIMES <= classes <= size.classes * _TIMES
        expected = f"some {size.classes}"
    else:
        fits, expected = classes == size.classes, f"{size.classes}"
    if not fits:
        yield (
            "its file in config.tasks_dir has another number of classes than GENEB's",
            f"{classes} classes, not {expected}",
        )


def in_lines(found: Mapping[str, list[tuple[str, str]]]) -> Iterator[str]:
    """Yields problems of tasks, a line for all tasks that have the same ones.

    Args:
        found: By task, what is wrong with it, each with the numbers of that task ('': none).
    """
    alike: dict[str, list[str]] = {}
    for task, problems in found.items():
        alike.setdefault("; ".join(text for text, _ in problems), []).append(task)
    for text, tasks in alike.items():
        numbers = ", ".join(number for _, number in found[tasks[0]] if number)
        shown = f" ({numbers})" if numbers else ""
        more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        yield f"task '{tasks[0]}'{shown}{more}: {text}"
