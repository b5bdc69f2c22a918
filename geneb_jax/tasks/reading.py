"""Tasks from files: reading, checking, describing.

A folder holds `<task_id>.csv` with the columns text, label and split, or
`<task_id>/train.csv` and `<task_id>/test.csv` with text and label (a `tasks/` folder of such
folders is entered). Rows are counted from 1 below the header.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from geneb_jax.benchmark import CUSTOM, GENEB, TaskInfo
from geneb_jax.tasks.task import Split, Task

_SPLITS = ("train", "test")
_SHOWN = 3  # rows of a kind of problem that are named; the others are counted


class TaskError(ValueError):
    """A task's files are not what a task must be; lists every problem."""


def find_tasks(tasks_dir: Path) -> dict[str, TaskInfo]:
    """Returns the tasks of a folder by id, those of the benchmark first, in its order.

    A file whose name is not in the benchmark is a custom task.
    """
    root = _root(tasks_dir)
    flat = {path.stem for path in root.glob("*.csv")}
    nested = {path.parent.name for path in root.glob("*/train.csv")}
    found = flat | nested
    known = {task.id: task for task in GENEB.tasks if task.id in found}
    custom = {name: TaskInfo(name, name, CUSTOM, CUSTOM) for name in sorted(found - set(known))}
    return known | custom


def read_task(tasks_dir: Path, info: TaskInfo) -> Task:
    """Reads and checks one task.

    Labels are integers; sequences are kept as they are, but for white space around them.

    Raises:
        TaskError: Lists what is wrong, with file, row and value.
    """
    problems: list[str] = []
    frames = []
    for path, split in _files(tasks_dir, info.id):
        frame = _read_csv(path, split, problems)
        if frame is not None:
            frames.append(frame)
    splits = {}
    for name in _SPLITS:
        rows = [frame[frame["split"] == name] for frame in frames]
        text: list[str] = [sequence for frame in rows for sequence in frame["text"].tolist()]
        labels = [frame["label"].to_numpy(np.int64) for frame in rows]
        numbers = [frame.index.to_numpy(np.int64) + 1 for frame in rows]
        splits[name] = Split(
            text,
            np.concatenate(labels) if labels else np.zeros(0, np.int64),
            np.concatenate(numbers) if numbers else None,
        )
    if not problems:
        problems += _check_classes(splits["train"], splits["test"])
    if problems:
        raise TaskError("\n".join(f"task '{info.id}': {problem}" for problem in problems))
    task = Task(info, splits["train"], splits["test"])
    absent = np.setdiff1d(task.train.labels, task.test.labels)
    if absent.size:
        logging.warning("task '%s': test has no row of class %s", info.id, absent.tolist())
    return task


def _root(tasks_dir: Path) -> Path:
    inner = tasks_dir / "tasks"
    return inner if inner.is_dir() else tasks_dir


def _files(tasks_dir: Path, task_id: str) -> list[tuple[Path, str | None]]:
    """The task's files, each with the split that all its rows belong to, None: a column says."""
    root = _root(tasks_dir)
    if Path(task_id).name != task_id or task_id in ("", ".", ".."):
        raise TaskError(f"task '{task_id}': not a file name; remove slashes and leading dots")
    if (root / f"{task_id}.csv").is_file():
        return [(root / f"{task_id}.csv", None)]
    files: list[tuple[Path, str | None]] = [(root / task_id / f"{s}.csv", s) for s in _SPLITS]
    missing = [path for path, _ in files if not path.is_file()]
    if missing:
        raise TaskError(f"task '{task_id}': neither {root / task_id}.csv nor {missing[0]} is there")
    return files


def _read_csv(path: Path, split: str | None, problems: list[str]) -> pd.DataFrame | None:
    """Returns text, label (int64) and split of a file whose rows are all good; else reports."""
    needed = ["text", "label"] + (["split"] if split is None else [])
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n")
        problems.append(f"{path.name} is not UTF-8 in row {row}; save it as UTF-8")
        return None
    if not content.strip():
        problems.append(f"{path.name} is empty")
        return None
    header = next(csv.reader(io.StringIO(content)))
    missing = [column for column in needed if column not in header]
    if missing:
        problems.append(
            f"{path.name} has no column {', '.join(missing)}; its header is {', '.join(header)}"
        )
        return None
    try:
        frame = pd.read_csv(
            io.StringIO(content),
            usecols=needed,
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=True,
        )
    except (pd.errors.ParserError, ValueError) as error:
        problems.append(f"{path.name} is not a CSV file: {error}")
        return None
    if split is not None:
        frame["split"] = split
    return _check_rows(path.name, frame, problems)


def _check_rows(name: str, frame: pd.DataFrame, problems: list[str]) -> pd.DataFrame | None:
    if frame.empty:
        problems.append(f"{name} has a header and no rows")
        return None
    frame = frame.apply(lambda column: column.str.strip())
    tests: dict[str, tuple[str, pd.Series, str]] = {
        "text": ("sequence", frame["text"] == "", "is empty"),
        "label": (
            "label",
            ~frame["label"].str.fullmatch(r"[+-]?\d{1,18}").astype(bool),
            "is not an integer",
        ),
        "split": ("split", ~frame["split"].isin(_SPLITS), "is not train or test"),
    }
    before = len(problems)
    for column, (what, bad, reason) in tests.items():
        rows = np.flatnonzero(bad)
        for row in rows[:_SHOWN]:
            value = frame[column].iloc[row]
            problems.append(f"{what} {value!r} in row {row + 1} of {name} {reason}")
        if len(rows) > _SHOWN:
            problems.append(f"... and {len(rows) - _SHOWN} more such rows in {name}")
    if len(problems) > before:
        return None
    return frame.assign(label=frame["label"].astype(np.int64))


def _check_classes(train: Split, test: Split) -> Iterable[str]:
    for name, split in (("train", train), ("test", test)):
        if not len(split.labels):
            yield f"there are no {name} rows"
    if len(train.labels) and len(test.labels):
        classes = np.unique(train.labels)
        if len(classes) == 1:
            yield f"every train row has label {classes[0]}; a probe needs two classes"
        absent = np.setdiff1d(test.labels, classes)
        if absent.size:
            row = int(np.flatnonzero(np.isin(test.labels, absent))[0]) + 1
            yield (
                f"test has labels that train lacks: {absent.tolist()}, first in test row {row}; "
                "add train rows of these classes or remove the test rows"
            )
