"""Finds the tasks of a folder of files, and says which of its files are skipped.

A folder holds `<task id>.csv`, or `<task id>/train.csv` and `<task id>/test.csv`; each may end
with any of `tabular.ENDINGS`, in any case. A `tasks/` folder of such files is entered. Hidden
files and folders (macOS's `._mine.csv`, Jupyter's `.ipynb_checkpoints`) are skipped.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from absl import logging

from geneb_jax.tasks.sequences import FASTA, FASTQ
from geneb_jax.tasks.tabular import ENDINGS, table_ending
from geneb_jax.tasks.task import TaskError

# Splits by the names that files and the column `split` have for them, in lower case.
SPLITS: Mapping[str, str] = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
_SCORED = ("train", "test")
_FORMULA = ("=", "+", "-", "@")
_SHOWN = 3  # skipped files of a kind that are named; the others are counted


def task_ids(tasks_dir: Path) -> list[str]:
    """Returns the ids of a folder's tasks, sorted; a warning says which files are skipped, and why.

    Raises:
        TaskError: There is no such folder.
    """
    if not tasks_dir.is_dir():
        raise TaskError(f"{tasks_dir}: no such folder")
    root = _root(tasks_dir)
    ids, skipped = set(), defaultdict(list)
    for path in sorted(root.iterdir()):
        task_id, reasons = _task_of(path)
        ids |= {task_id} - {None}
        for name, reason in reasons:
            skipped[reason].append(name)
    if root != tasks_dir:
        beside = [path.name for path in sorted(tasks_dir.iterdir()) if _stem(path) is not None]
        skipped["beside the folder tasks, which is read"] += beside
    for reason, names in skipped.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            logging.warning("%s: skipped %s%s: %s", root, ", ".join(names[:_SHOWN]), more, reason)
    return sorted(ids)


def task_files(tasks_dir: Path, task_id: str) -> list[tuple[Path, str | None]]:
    """Returns a task's files, each with the split that all of its rows belong to.

    Files of a validation split are among them. The split None means that a column says it.

    Raises:
        TaskError: The id is no name of a task, or there are no such files, or two for one thing.
    """
    root = _root(tasks_dir)
    if Path(task_id).name != task_id or task_id in ("", ".", ".."):
        raise TaskError(f"task '{task_id}': not a file name; remove slashes and leading dots")
    # Names stand in scores.csv as they are, and people open it with spreadsheets.
    if task_id.startswith(_FORMULA):
        raise TaskError(
            f"task '{task_id}': begins with '{task_id[0]}', as formulas of spreadsheets do; "
            "rename the file"
        )
    if not task_id.isprintable():
        raise TaskError(f"task {task_id!r}: holds a control character; rename the file")
    flat = [path for path in _entries(root) if _stem(path) == task_id]
    parts: list[tuple[Path, str | None]] = [
        (path, split) for path in _entries(root / task_id) if (split := _split_of(path))
    ]
    train, test = ([path for path, split in parts if split == name] for name in _SCORED)
    if not flat and not (train and test):
        lacking = _SCORED[1] if train else _SCORED[0]
        raise TaskError(
            f"task '{task_id}': neither {root / task_id}.csv nor "
            f"{root / task_id / lacking}.csv is there"
        )
    for same in (flat + (train or test) if flat else [], train, test):
        if len(same) > 1:
            several = " and ".join(str(path.relative_to(root)) for path in same)
            raise TaskError(f"task '{task_id}': {several} are both there; keep one")
    return [(path, None) for path in flat] or parts


def _root(tasks_dir: Path) -> Path:
    inner = tasks_dir / "tasks"
    return inner if inner.is_dir() else tasks_dir


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _task_of(path: Path) -> tuple[str | None, Iterable[tuple[str, str]]]:
    """Returns the id of the task that a file or folder is, and what of it is skipped, and why."""
    if path.name.startswith("."):
        return None, [(path.name, "hidden")]
    if not path.is_dir():
        stem = _stem(path)
        reason = _unlabelled(path) or f"not a table; valid endings: {', '.join(ENDINGS)}"
        return stem, [] if stem is not None else [(path.name, reason)]
    if _has_split(path):
        return path.name, _others(path)
    unlabelled = filter(None, map(_unlabelled, sorted(path.iterdir())))
    reason = next(unlabelled, "a folder without train.csv and test.csv")
    if any(part.is_dir() and _has_split(part) for part in path.iterdir()):
        reason = "a folder of tasks itself; give it, and not the one above it, as tasks_dir"
    return None, [(f"{path.name}/", reason)]


def _has_split(folder: Path) -> bool:
    """Says whether a folder holds the train or test rows of a task."""
    return any(_split_of(part) in _SCORED for part in folder.iterdir())


def _others(folder: Path) -> Iterator[tuple[str, str]]:
    for part in sorted(folder.iterdir()):
        if _split_of(part) is None:
            hidden = part.name.startswith(".")
            reason = _unlabelled(part) or f"not a table named {', '.join(SPLITS)}"
            yield f"{folder.name}/{part.name}", "hidden" if hidden else reason


def _unlabelled(path: Path) -> str | None:
    """Says what to do with a file of sequences alone; None: it is something else."""
    if not path.name.lower().removesuffix(".gz").endswith((*FASTA, *FASTQ)):
        return None
    return (
        "not a table: FASTA and FASTQ have no place for labels; write TASK.csv with the columns "
        "sequence, label and split (docs/running.md has a script)"
    )


def _stem(path: Path) -> str | None:
    """Returns a table's name without its ending; None: it is hidden, or no table."""
    ending = table_ending(path.name)
    if ending is None or path.name.startswith(".") or path.is_dir():
        return None
    return path.name[: -len(ending)]


def _split_of(path: Path) -> str | None:
    """Returns the split that a table's name says; None: none."""
    return SPLITS.get((_stem(path) or "").lower())
