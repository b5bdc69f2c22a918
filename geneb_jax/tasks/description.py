"""A task in one row: sizes, classes, lengths, duplicates and their labels, fingerprints."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from geneb_jax.tasks.task import Split, Task, fingerprint


def describe(task: Task) -> dict[str, Any]:
    """Returns sizes, classes, lengths, duplicates and fingerprints of a task, as a table's row.

    Duplicates are rows; conflicts are sequences whose rows differ in label.
    """
    train, test = task.train, task.test
    labels, counts = np.unique(np.concatenate([train.labels, test.labels]), return_counts=True)
    lengths = [len(sequence) for split in (train, test) for sequence in split.sequences]
    upper = {name: [s.upper() for s in split.sequences] for name, split in _named(task)}
    distinct = {name: set(sequences) for name, sequences in upper.items()}
    conflicting = _conflicting(task)
    return {
        "id": task.info.id,
        "category": task.info.category,
        "train": len(train.labels),
        "test": len(test.labels),
        "classes": len(labels),
        "smallest class": counts.min() / counts.sum(),
        "largest class": counts.max() / counts.sum(),
        "min length": min(lengths),
        "median length": int(np.median(lengths)),
        "max length": max(lengths),
        "duplicates in train": len(upper["train"]) - len(distinct["train"]),
        "duplicates in test": len(upper["test"]) - len(distinct["test"]),
        "test rows in train": sum(s in distinct["train"] for s in upper["test"]),
        **{f"conflicting in {name}": count for name, count in conflicting.items()},
        "train sha256": fingerprint(train),
        "test sha256": fingerprint(test),
    }


def _conflicting(task: Task) -> dict[str, int]:
    """Counts sequences that stand in several rows of different labels, whatever their case."""
    labels: dict[str, dict[str, set[int]]] = {"train": {}, "test": {}}
    for name, split in _named(task):
        for sequence, label in zip(split.sequences, split.labels.tolist(), strict=True):
            labels[name].setdefault(sequence.upper(), set()).add(label)
    train, test = labels["train"], labels["test"]
    return {
        "train": sum(len(found) > 1 for found in train.values()),
        "test": sum(len(found) > 1 for found in test.values()),
        "train and test": sum(len(train[s] | test[s]) > 1 for s in train.keys() & test.keys()),
    }


def _named(task: Task) -> Sequence[tuple[str, Split]]:
    return (("train", task.train), ("test", task.test))
