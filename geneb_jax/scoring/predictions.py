"""Predictions of every head, for paired tests elsewhere."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geneb_jax.scoring.heads import head_names
from geneb_jax.tasks.task import Task
from probes import HeadScore


def predictions_file(task: Task, heads: Sequence[HeadScore]) -> bytes:
    """Returns the file of every head's predictions on the test rows of a task.

    Args:
        task: The task, whose test split has N rows.
        heads: Its H heads.

    Returns:
        The bytes of an .npz file of `labels` int64 [N], `predictions` int64 [H, N], `scores`
        float32 [H, N] (binary) or [H, N, K], and one array [H] for each column that names a head.
    """
    buffer = io.BytesIO()
    arrays = {
        "labels": task.test.labels,
        "predictions": np.stack([head.predictions for head in heads]),
        "scores": np.stack([head.scores for head in heads]),
        **{str(name): np.array(column.tolist()) for name, column in head_names(heads).items()},
    }
    np.savez_compressed(buffer, **arrays)  # pyright: ignore (its stub mistakes keywords)
    return buffer.getvalue()


def holds_predictions(path: Path) -> bool:
    """Says whether a file of `predictions_file` is there and undamaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged archive fails in whatever layer meets the damage first
        return False
