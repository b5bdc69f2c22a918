"""How many rows and classes the benchmark's tasks have: as published, and of tasks that are there.

Published sizes serve where the files of tasks are not there yet.
"""

import csv
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from geneb_jax.tasks.task import Task


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
    fragments, fungi and virus species (the size of GUE's other long tasks) and iPro GM12878.
    """
    return [
        TaskSize(row["task"], *(int(row[name]) for name in ("train", "test", "classes")))
        for row in _published()
    ]


def published_letters() -> dict[str, int]:
    """Returns how many letters the records of each of the benchmark's tasks have, by its label.

    Tokens of a record are about as many where a model reads single letters, and fewer by a factor
    that hardly depends on the task elsewhere. Lengths are those that the sources state, medians
    where lengths differ. Guessed: lncRNA (101 to 6,000 letters), phage fragments, iPro GM12878 and
    PGB's promoters.
    """
    return {
        row["task"]: (int(row["train"]) + int(row["test"])) * int(row["letters"])
        for row in _published()
    }


def _published() -> list[dict[str, str]]:
    text = (resources.files("geneb_jax") / "data" / "task_sizes.csv").read_text(encoding="utf-8")
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
