"""How many rows and classes the benchmark's tasks have: as published, and of tasks that are there.

Published sizes serve where the files of tasks are not there yet.
"""

import csv
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from geneb_jax.tasks.task import Task

# Kinds of tokenizers whose tokens were counted by task: single letters (HyenaDNA's), k-mers without
# overlap (the Nucleotide Transformer's), and byte pairs of two vocabularies.
KINDS = ("letters", "3-mers", "6-mers", "byte pairs, DNABERT-2", "byte pairs, GENA-LM")


# Tasks of which no source states the number of classes: it is taken from the name, and a list of
# their records has been seen with another one (25 virus species).
GUESSED_CLASSES = ("GUE fungi species 20", "GUE virus species 40")


class TaskSize(NamedTuple):
    """A task's label, its rows of train and test, and its classes."""

    task: str
    train: int
    test: int
    classes: int


def published_sizes() -> list[TaskSize]:
    """Returns the sizes of the benchmark's 100 tasks as their sources state them, in its order.

    Papers and data cards of the Nucleotide Transformer's tasks (both versions), GUE, Genomic
    Benchmarks and PGB; the files of iPro-WAEL, Deep4mC, iDNA-ABF and iDHS-EL. Guessed: phage
    fragments, fungi and virus species (the size of GUE's other long tasks) and iPro GM12878; of
    `GUESSED_CLASSES` the number of classes too.
    """
    return [
        TaskSize(row["task"], *(int(row[name]) for name in ("train", "test", "classes")))
        for row in _published()
    ]


def published_lengths() -> dict[str, int]:
    """Returns how many letters a record of each of the benchmark's tasks has, by its label.

    Lengths are those that the sources state, medians where lengths differ. Guessed: lncRNA (101 to
    6,000 letters), phage fragments, iPro GM12878 and PGB's promoters.
    """
    return {row["task"]: int(row["letters"]) for row in _published()}


class TaskTokens(NamedTuple):
    """How many tokens the records of a task have, train and test together, nothing cut.

    Attributes:
        counted: Whether tokens of records of a file of the task were counted; else they follow
            from the length that the task's source states.
        records: Records, as published.
        tokens: Mean tokens of a record by kind of tokenizer, special tokens included.
    """

    counted: bool
    records: int
    tokens: Mapping[str, float]


def published_tokens() -> dict[str, TaskTokens]:
    """Returns the tokens of each of the benchmark's tasks, by its label.

    Source: `python -m benchmarks.task_tokens`, on the real files of docs/audit.md. Some are
    subsamples or rebuilt; their lengths are taken for those of the task.
    """
    records = {row["task"]: int(row["train"]) + int(row["test"]) for row in _published()}
    return {
        row["task"]: TaskTokens(
            int(row["counted"]) > 0,
            records[row["task"]],
            {kind: float(row[kind]) for kind in KINDS},
        )
        for row in _rows("task_tokens.csv")
    }


def _published() -> list[dict[str, str]]:
    return _rows("task_sizes.csv")


def _rows(name: str) -> list[dict[str, str]]:
    text = (resources.files("geneb_jax") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def sizes_of(tasks: Sequence[Task]) -> list[TaskSize]:
    """Returns the sizes of tasks that are there."""
    return [
        TaskSize(
            task.info.label,
            len(task.train.labels),
            len(task.test.labels),
            len(np.unique(task.train.labels)),
        )
        for task in tasks
    ]
