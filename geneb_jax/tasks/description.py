"""A task in one row: sizes, classes, lengths, fingerprints."""

from typing import Any

import numpy as np

from geneb_jax.tasks.task import Task, fingerprint


def describe(task: Task) -> dict[str, Any]:
    """Returns sizes, classes, lengths and fingerprints of a task, as a table's row."""
    train, test = task.train, task.test
    labels, counts = np.unique(np.concatenate([train.labels, test.labels]), return_counts=True)
    lengths = [len(sequence) for split in (train, test) for sequence in split.sequences]
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
        "train sha256": fingerprint(train),
        "test sha256": fingerprint(test),
    }
