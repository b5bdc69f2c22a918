"""A task in one row: sizes, classes, lengths, duplicates, fingerprints."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from geneb_jax.tasks.task import Split, Task, fingerprint


def describe(task: Task) -> dict[str, Any]:
    """Returns sizes, classes, lengths, duplicates and fingerprints of a task, as a table's row."""
    train, test = task.train, task.test
    labels, counts = np.unique(np.concatenate([train.labels, test.labels]), return_counts=True)
    lengths = [len(sequence) for split in (train, test) for sequence in split.sequences]
    upper = {name: [s.upper() for s in split.sequences] for name, split in _named(task)}
    distinct = {name: set(sequences) for name, sequences in upper.items()}
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
        "train sha256": fingerprint(train),
        "test sha256": fingerprint(test),
    }


def _named(task: Task) -> Sequence[tuple[str, Split]]:
    return (("train", task.train), ("test", task.test))
