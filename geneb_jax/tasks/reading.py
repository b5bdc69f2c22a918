"""Tasks from files: rows, labels and splits, checked.

A task is a table with the columns text, label and split, or one table of each split with text
and label (see `folder` for their names, `tabular` for their formats). The column of sequences may
be called sequence or seq, that of labels target. Rows are counted from 1 below the header.
"""

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from geneb_jax.benchmark import CUSTOM, GENEB, TaskInfo
from geneb_jax.tasks.folder import SPLITS, task_files, task_ids
from geneb_jax.tasks.letters import all_taken, field_refusal, unusual
from geneb_jax.tasks.sequences import SEQUENCE_COLUMNS
from geneb_jax.tasks.tabular import Table, TableError, first_problems, read_table, shown
from geneb_jax.tasks.task import Split, Task, TaskError

_LABEL_COLUMNS = ("label", "target")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # fits int64
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?", re.I)
_MISSING = ("", "nan", "na", "n/a", "<na>", "null")  # what tables hold where a value is missing


def find_tasks(tasks_dir: Path) -> dict[str, TaskInfo]:
    """Returns the tasks of a folder by id, those of the benchmark first, in its order.

    A file whose name is not in the benchmark is a custom task. A warning says what is skipped.

    Raises:
        TaskError: There is no such folder.
    """
    found = task_ids(tasks_dir)
    known = {task.id: task for task in GENEB.tasks if task.id in found}
    custom = {name: TaskInfo(name, name, CUSTOM, CUSTOM) for name in found if name not in known}
    return known | custom


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keeps Python from looking for cycles among the many small objects that rows are.

    It looks again and again as they are made, finds none, and takes two thirds of the time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@_collector_paused()
def read_task(tasks_dir: Path, info: TaskInfo) -> Task:
    """Reads and checks one task.

    Labels are all integers or all text; text becomes 0, 1, ... in sorted order. Sequences are kept
    as they are, but for white space around them. Rows of a validation split are left out.

    Raises:
        TaskError: Lists what is wrong, with file, row and value.
    """
    rows, problems = _read_rows(tasks_dir, info.id)
    scored = [row for row in rows if row.split != "validation"]
    problems += _row_problems(scored)
    if not problems:
        problems += _class_problems(scored)
    if problems:
        raise TaskError("\n".join(f"task '{info.id}': {problem}" for problem in problems))
    classes = _classes(scored)
    train, test = (
        _make_split([row for row in scored if row.split == name], classes)
        for name in ("train", "test")
    )
    _say(info.id, rows, train, test, classes)
    return Task(info, train, test, classes=classes)


class _Row(NamedTuple):
    """A row of a file, not yet checked.

    Attributes:
        sequence: Its text.
        label: Its text.
        split: A value of `SPLITS`, or what the file has instead.
        table: The file.
        number: From 1 below the header.
    """

    sequence: str
    label: str
    split: str
    table: Table
    number: int

    @property
    def where(self) -> str:
        return self.table.where(self.number - 1)


def _read_rows(tasks_dir: Path, task_id: str) -> tuple[list[_Row], list[str]]:
    """Returns all rows of a task's files, and what keeps files from being read."""
    rows, problems = [], []
    for path, split in task_files(tasks_dir, task_id):
        if split == "validation":
            logging.warning("task '%s': %s is left out: a validation split", task_id, path.name)
            continue
        try:
            table = read_table(path, path.name)
        except TableError as error:
            problems += str(error).split("\n")
            continue
        wanted = [SEQUENCE_COLUMNS, _LABEL_COLUMNS] + ([("split",)] if split is None else [])
        columns = []
        for names in wanted:
            try:
                columns.append(table.column(*names))
            except TableError as error:
                problems.append(str(error))
        if len(columns) == len(wanted):
            given = columns[2] if split is None else [split] * len(table.rows)
            splits = [SPLITS.get(name.casefold(), name) for name in given]
            fields = zip(columns[0], columns[1], splits, strict=True)
            rows += [_Row(*row, table, number) for number, row in enumerate(fields, 1)]
    return rows, problems


def _row_problems(rows: Sequence[_Row]) -> list[str]:
    """Names rows without a sequence, a label or a split, kind by kind in each file."""
    integer = next((row for row in rows if _INTEGER.fullmatch(row.label)), None)
    problems = []
    for name, of_file in _by_file(rows).items():
        sequences, labels, splits = zip(*(row[:3] for row in of_file), strict=True)
        # Of sequences, nearly all of which differ, few are looked at one by one.
        suspects = () if all_taken(sequences) else set(sequences)
        kinds = (
            ("sequence", sequences, {text: field_refusal(text) for text in suspects}),
            ("label", labels, {text: _label_refusal(text, integer) for text in set(labels)}),
            ("split", splits, {text: _split_refusal(text) for text in set(splits)}),
        )
        for what, texts, reasons in kinds:
            if any(reasons.values()):
                refused = [
                    f"{what} {shown(text)!r} in {row.where} {reasons[text]}"
                    for row, text in zip(of_file, texts, strict=True)
                    if reasons[text]
                ]
                problems += first_problems(refused, name)
    return problems


def _by_file(rows: Sequence[_Row]) -> Mapping[str, list[_Row]]:
    files: dict[str, list[_Row]] = {}
    for row in rows:
        files.setdefault(row.table.name, []).append(row)
    return files


def _label_refusal(label: str, integer: _Row | None) -> str | None:
    """Says what keeps a text from being a label; `integer`: a row with an integer label."""
    if _INTEGER.fullmatch(label):
        return None
    if label.casefold() in _MISSING:
        return "is missing; give the row a class or remove it"
    if _NUMBER.fullmatch(label):
        return "is not an integer of up to 18 digits; a class is an integer or a name"
    if integer is not None:
        return (
            f"is not an integer, but label {integer.label!r} in {integer.where} is; "
            "let all labels be integers or all be names"
        )
    return None


def _split_refusal(split: str) -> str | None:
    """Says what keeps a text from being a split's name."""
    known = list(dict.fromkeys(SPLITS.values()))
    return None if split in known else f"is not {' or '.join(known)}"


def _classes(rows: Sequence[_Row]) -> dict[str, int] | None:
    """Returns the integers of labels that are names; None: the labels are integers."""
    labels = sorted({row.label for row in rows})
    if all(map(_INTEGER.fullmatch, labels)):
        return None
    return {label: number for number, label in enumerate(labels)}


def _make_split(rows: Sequence[_Row], classes: Mapping[str, int] | None) -> Split:
    labels = [int(row.label) if classes is None else classes[row.label] for row in rows]
    return Split(
        [row.sequence for row in rows],
        np.array(labels, np.int64),
        np.array([row.number for row in rows], np.int64),
    )


def _class_problems(rows: Sequence[_Row]) -> Iterator[str]:
    """Says what keeps rows that are each right from being a task."""
    number = int if _classes(rows) is None else str  # '+1' and '1' are one class
    split = {
        name: {number(row.label): row for row in reversed(rows) if row.split == name}
        for name in ("train", "test")
    }
    for name, classes in split.items():
        if not classes:
            yield f"there are no {name} rows"
    train, test = split["train"], split["test"]
    if len(train) == 1:
        yield f"every train row has label {next(iter(train))!r}; a probe needs two classes"
    absent = sorted(set(test) - set(train))
    if train and absent:
        first = min((test[label] for label in absent), key=lambda row: row.number)
        yield (
            f"test has labels that train lacks: {absent}, first in {first.where}; "
            "add train rows of these classes or remove the test rows"
        )


def _say(
    task_id: str,
    rows: Sequence[_Row],
    train: Split,
    test: Split,
    classes: Mapping[str, int] | None,
) -> None:
    """Warns of what a reader of the scores should know of a task that is taken."""
    left_out = len(rows) - len(train.labels) - len(test.labels)
    if left_out:
        logging.warning("task '%s': %d validation rows are left out", task_id, left_out)
    names = dict(enumerate(classes)) if classes else {}
    absent = np.setdiff1d(train.labels, test.labels).tolist()
    if absent:
        missing = [names.get(label, label) for label in absent]
        logging.warning("task '%s': test has no row of class %s", task_id, missing)
    for name, split in (("train", train), ("test", test)):
        odd = unusual(split.sequences, lambda i: f"record {i + 1}")
        if odd:
            logging.warning("task '%s', %s: %s", task_id, name, odd)
