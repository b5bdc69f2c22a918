"""Tasks from files: rows, labels and splits, checked.

A task is a table with the columns text, label and split, or one table of each split with text
and label (see `folder` for their names, `tabular` for their formats). The column of sequences may
be called sequence or seq, that of labels target. Rows are counted from 1 below the header.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from geneb_jax.benchmark import CUSTOM, GENEB, TaskInfo
from geneb_jax.collector import collector_paused
from geneb_jax.config import Letters
from geneb_jax.tasks.folder import SPLITS, task_files, task_ids
from geneb_jax.tasks.letters import all_taken, field_refusal, unusual
from geneb_jax.tasks.sequences import SEQUENCE_COLUMNS
from geneb_jax.tasks.tabular import Table, TableError, first_problems, read_table, shown
from geneb_jax.tasks.task import Split, Task, TaskError

_LABEL_COLUMNS = ("label", "target")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # fits int64
_WHOLE = re.compile(r"([+-]?[0-9]{1,15})\.0+")  # an integer as float64 holds and writes it
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


@collector_paused()
def read_task(tasks_dir: Path, info: TaskInfo, letters: Letters = "as-is") -> Task:
    """Reads and checks one task.

    Labels are all integers or all text; text becomes 0, 1, ... in sorted order. A column of whole
    numbers that are all written as 1.0 is one of integers, which pandas writes so where values
    were missing. Sequences are kept as they are, but for white space around them. Rows of a
    validation split are left out.

    Args:
        tasks_dir: The folder of its files.
        info: The task.
        letters: How the caller prepares the records: no warning is of letters that this changes.

    Raises:
        TaskError: Lists what is wrong, with file, row and value.
    """
    files, problems = _read_files(tasks_dir, info.id)
    scored = [file.where_split(lambda name: name != "validation") for file in files]
    problems += _row_problems(scored)
    if not problems:
        problems += _class_problems(scored)
    if problems:
        raise TaskError("\n".join(f"task '{info.id}': {problem}" for problem in problems))
    classes = _classes(scored)
    train, test = (_make_split(scored, name, classes) for name in ("train", "test"))
    _say(info.id, sum(len(file.numbers) for file in files), train, test, classes, letters)
    return Task(info, train, test, classes=classes)


class _Rows(NamedTuple):
    """Rows of a file, not yet checked.

    Attributes:
        table: The file.
        numbers: Of each row, from 1 below the header.
        sequences: Texts.
        labels: Texts.
        splits: Values of `SPLITS`, or what the file has instead.
    """

    table: Table
    numbers: Sequence[int]
    sequences: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]

    def where(self, index: int) -> str:
        """Names a row of these in messages."""
        return self.table.where(self.numbers[index] - 1)

    def where_split(self, is_wanted: Callable[[str], bool]) -> "_Rows":
        """Returns the rows whose split is wanted."""
        names = set(self.splits)
        wanted = set(filter(is_wanted, names))
        if wanted == names:
            return self
        kept = list(map(wanted.__contains__, self.splits))
        return _Rows(
            self.table,
            list(compress(self.numbers, kept)),
            list(compress(self.sequences, kept)),
            list(compress(self.labels, kept)),
            list(compress(self.splits, kept)),
        )


def _read_files(tasks_dir: Path, task_id: str) -> tuple[list[_Rows], list[str]]:
    """Returns the rows of each of a task's files, and what keeps files from being read."""
    files, problems = [], []
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
            known = {name: SPLITS.get(name.casefold(), name) for name in set(given)}
            numbers = range(1, len(given) + 1)
            splits = [known[name] for name in given]
            files.append(_Rows(table, numbers, columns[0], _integers(columns[1]), splits))
    return files, problems


def _integers(labels: list[str]) -> list[str]:
    """Returns a column of labels, where all that are not missing are integers without their .0."""
    names = {label for label in set(labels) if label.casefold() not in _MISSING}
    whole = {name: match[1] for name in names if (match := _WHOLE.fullmatch(name))}
    integers = all(name in whole or _INTEGER.fullmatch(name) for name in names)
    return [whole.get(label, label) for label in labels] if integers else labels


def _row_problems(files: Sequence[_Rows]) -> list[str]:
    """Names rows without a sequence, a label or a split, kind by kind in each file."""
    integers = (
        (label, file.where(i))
        for file in files
        for i, label in enumerate(file.labels)
        if _INTEGER.fullmatch(label)
    )
    integer = next(integers, None)
    problems = []
    for file in files:
        # Of sequences, nearly all of which differ, few are looked at one by one.
        suspects = () if all_taken(file.sequences) else set(file.sequences)
        kinds = (
            ("sequence", file.sequences, {text: field_refusal(text) for text in suspects}),
            (
                "label",
                file.labels,
                {text: _label_refusal(text, integer) for text in set(file.labels)},
            ),
            ("split", file.splits, {text: _split_refusal(text) for text in set(file.splits)}),
        )
        for what, texts, reasons in kinds:
            if any(reasons.values()):
                refused = [
                    f"{what} {shown(text)!r} in {file.where(i)} {reasons[text]}"
                    for i, text in enumerate(texts)
                    if reasons[text]
                ]
                problems += first_problems(refused, file.table.name)
    return problems


def _label_refusal(label: str, integer: tuple[str, str] | None) -> str | None:
    """Says what keeps a text from being a label; `integer`: one that is one, and where."""
    if _INTEGER.fullmatch(label):
        return None
    if label.casefold() in _MISSING:
        return "is missing; give the row a class or remove it"
    if _NUMBER.fullmatch(label):
        return "is not an integer of up to 18 digits; a class is an integer or a name"
    if integer is not None:
        return (
            f"is not an integer, but label {integer[0]!r} in {integer[1]} is; "
            "let all labels be integers or all be names"
        )
    return None


def _split_refusal(split: str) -> str | None:
    """Says what keeps a text from being a split's name."""
    known = list(dict.fromkeys(SPLITS.values()))
    return None if split in known else f"is not {' or '.join(known)}"


def _classes(files: Sequence[_Rows]) -> dict[str, int] | None:
    """Returns the integers of labels that are names; None: the labels are integers."""
    labels = sorted({label for file in files for label in set(file.labels)})
    if all(map(_INTEGER.fullmatch, labels)):
        return None
    return {label: number for number, label in enumerate(labels)}


def _make_split(files: Sequence[_Rows], name: str, classes: Mapping[str, int] | None) -> Split:
    sequences, labels, numbers = list[str](), list[int](), list[int]()
    for file in files:
        rows = file.where_split(lambda split: split == name)
        sequences += rows.sequences
        integers = classes or {label: int(label) for label in set(rows.labels)}
        labels += [integers[label] for label in rows.labels]
        numbers += rows.numbers
    return Split(sequences, np.array(labels, np.int64), np.array(numbers, np.int64))


def _class_problems(files: Sequence[_Rows]) -> Iterator[str]:
    """Says what keeps rows that are each right from being a task."""
    number = int if _classes(files) is None else str  # '+1' and '1' are one class
    split: dict[str, dict[int | str, tuple[int, str]]] = {"train": {}, "test": {}}
    for file in files:
        for name, classes in split.items():
            rows = file.where_split(lambda split, name=name: split == name)
            for label in set(rows.labels):
                first = rows.labels.index(label)
                found = rows.numbers[first], rows.where(first)
                classes[number(label)] = min(classes.get(number(label), found), found)
    for name, classes in split.items():
        if not classes:
            yield f"there are no {name} rows"
    train, test = split["train"], split["test"]
    if len(train) == 1:
        yield f"every train row has label {next(iter(train))!r}; a probe needs two classes"
    absent = sorted(set(test) - set(train))
    if train and absent:
        _, first = min(test[label] for label in absent)
        yield (
            f"test has labels that train lacks: {absent}, first in {first}; "
            "add train rows of these classes or remove the test rows"
        )


def _say(
    task_id: str,
    rows: int,
    train: Split,
    test: Split,
    classes: Mapping[str, int] | None,
    letters: Letters,
) -> None:
    """Warns of what a reader of the scores should know of a task that is taken."""
    left_out = rows - len(train.labels) - len(test.labels)
    if left_out:
        logging.warning("task '%s': %d validation rows are left out", task_id, left_out)
    alike = defaultdict(list)
    for label in classes or ():
        alike[label.casefold()].append(label)
    for same in alike.values():
        if len(same) > 1:
            named = " and ".join(map(repr, same))
            logging.warning(
                "task '%s': labels %s differ in their case alone, and are %d classes",
                *(task_id, named, len(same)),
            )
    names = dict(enumerate(classes)) if classes else {}
    absent = np.setdiff1d(train.labels, test.labels).tolist()
    if absent:
        missing = [names.get(label, label) for label in absent]
        logging.warning("task '%s': test has no row of class %s", task_id, missing)
    for name, split in (("train", train), ("test", test)):
        odd = unusual(split.sequences, lambda i: f"record {i + 1}", letters)
        if odd:
            logging.warning("task '%s', %s: %s", task_id, name, odd)
