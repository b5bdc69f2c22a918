"""A task in memory: its rows, and what tells them from other rows."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from absl import logging

from geneb_jax.benchmark import TaskInfo
from geneb_jax.config import Letters
from geneb_jax.tasks.letters import prepare

_SUBSAMPLE_SEED = 0


class TaskError(ValueError):
    """A task's files are not what a task must be; the message has a line for each problem."""


@dataclass(frozen=True)
class Split:
    """Rows of a task.

    Attributes:
        sequences: N records, as the file holds them or prepared.
        labels: int64 [N].
        rows: Number of each row in its file, from 1 below the header, int64 [N]; None: no file.
    """

    sequences: Sequence[str]
    labels: np.ndarray
    rows: np.ndarray | None = None


@dataclass(frozen=True)
class Task:
    """A task with its rows.

    Attributes:
        info: Its names and category.
        train: Rows that probes are fitted on.
        test: Rows that they are scored on.
        synthetic: Whether the rows were generated.
        classes: The integer of each label, where the file's labels are text; None: they are
            integers.
        letters: How the records were prepared, if that changed any (see `letters.prepare`).
        max_train: How many train rows were kept at most, if some were left out; 0: all are there.
    """

    info: TaskInfo
    train: Split
    test: Split
    synthetic: bool = False
    classes: Mapping[str, int] | None = None
    letters: Letters = "as-is"
    max_train: int = 0


def subsample_train(task: Task, max_train: int) -> Task:
    """Keeps at most `max_train` train rows, with the classes' shares, seeded; test is untouched.

    The paper says that tasks above 100,000 sequences are subsampled; its harness does not.
    """
    labels = task.train.labels
    if len(labels) <= max_train:
        return task
    rng = np.random.default_rng(_SUBSAMPLE_SEED)
    classes, counts = np.unique(labels, return_counts=True)
    kept = []
    for label, count in zip(classes, counts, strict=True):
        wanted = max(1, round(count * max_train / len(labels)))
        kept.append(rng.choice(np.flatnonzero(labels == label), wanted, replace=False))
    rows = np.sort(np.concatenate(kept))
    logging.info("task '%s': %d of %d train rows are used", task.info.id, len(rows), len(labels))
    sequences, numbers = task.train.sequences, task.train.rows
    train = Split(
        [sequences[int(row)] for row in rows],
        labels[rows],
        None if numbers is None else numbers[rows],
    )
    return replace(task, train=train, max_train=max_train)


def prepare_task(task: Task, letters: Letters) -> Task:
    """Returns a task whose sequences are in the letters that models are given.

    All that follows is of these: what is embedded, and what digests tell apart. A task without a
    letter to change is returned as it is.

    Args:
        task: The task as its files hold it.
        letters: See `letters.prepare`.
    """
    if letters == "as-is":
        return task
    before = task.train, task.test
    train, test = (
        replace(split, sequences=[prepare(sequence, letters) for sequence in split.sequences])
        for split in before
    )
    same = [list(split.sequences) for split in before] == [train.sequences, test.sequences]
    return task if same else replace(task, train=train, test=test, letters=letters)


def changes(task: Task) -> dict[str, Any]:
    """Returns the config's fields that have changed a task's records, with their values."""
    letters = {"letters": task.letters} if task.letters != "as-is" else {}
    return letters | ({"max_train": task.max_train} if task.max_train else {})


def fingerprint(split: Split) -> str:
    """Returns the SHA-256 of a split's rows: the UTF-8 lines 'label<TAB>sequence' in their order.

    Each line ends with a newline; labels are the integers of `Split.labels`. Other letters, also
    in case, other labels and another order of rows give another one.
    """
    rows = zip(split.labels.tolist(), split.sequences, strict=True)
    lines = (f"{label}\t{sequence}\n".encode() for label, sequence in rows)
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()


def content_digest(task: Task) -> str:
    """Returns the SHA-256 of all rows in order, labels included: what scores depend on."""
    digest = hashlib.sha256()
    for split in (task.train, task.test):
        digest.update(f"{len(split.labels)}\n".encode())
        digest.update("\n".join(split.sequences).encode())
        digest.update(np.ascontiguousarray(split.labels, np.int64).tobytes())
    return digest.hexdigest()
