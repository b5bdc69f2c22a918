"""Predictions of every head: what intervals are made of, and for paired tests elsewhere."""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Integer

from geneb_jax.files.names import file_name
from geneb_jax.scoring.scores import HEAD_COLUMNS, PROTOCOL
from geneb_jax.tasks.task import Task
from probes import HeadScore

SAME_MCC = 1e-9  # of predictions that are those of a score, beside its MCC
_VALUES = "scores"  # the array of decision values
_TURNED = "turned"  # that of predictions on the other strand
# Of zlib, 1 to 9. Where NumPy takes 6, labels take four times as long, for three quarters of the
# bytes.
_LEVEL = 3


def predictions_folder(workdir: Path, model: str) -> Path:
    """Returns the folder of a model's predictions in a workdir, those of its preset."""
    return workdir / "predictions" / file_name(model)


def predictions_path(folder: Path, task: str) -> Path:
    """Returns the file of a task's predictions in a model's folder."""
    return folder / f"{file_name(task)}.npz"


def predictions_file(
    task: Task,
    heads: Sequence[HeadScore],
    rows: pd.DataFrame,
    *,
    decision_values: bool,
    turned: bool = False,
) -> bytes:
    """Returns the file of every head's predictions on the test rows of a task.

    Args:
        task: The task, whose test split has N rows.
        heads: Its H heads.
        rows: Their rows of scores.csv, in the same order.
        decision_values: Whether `scores` is part of it, most of the file's size.
        turned: Whether the heads have predictions on the other strand.

    Returns:
        The bytes of an .npz file of `labels` int64 [N], `predictions` int64 [H, N], `scores`
        float32 [H, N] (binary) or [H, N, K], and one array [H] for each column that names a head;
        `turned` int64 [H, N], predictions on the other strand, where these were asked for.

    Raises:
        ValueError: `read_predictions` would refuse the file.
    """
    others = [head.more for head in heads if head.more is not None] if turned else []
    arrays = {
        "labels": task.test.labels,
        "predictions": np.stack([head.predictions for head in heads]),
        **({_VALUES: np.stack([head.scores for head in heads])} if decision_values else {}),
        **({_TURNED: np.stack(others)} if turned else {}),
        **{name: np.array(rows[name].tolist()) for name in HEAD_COLUMNS},
    }
    if not _fits(arrays):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"predictions are not kept, as they could not be read: {shapes}")
    return _packed(arrays)


def with_earlier_heads(content: bytes, path: Path) -> bytes:
    """Adds to the content of a file the other heads of an earlier one, of the same features.

    Args:
        content: Of `predictions_file`.
        path: The earlier file. Where it is damaged, is of other rows or has other arrays, such as
            decision values, nothing is added.
    """
    with np.load(io.BytesIO(content)) as archive:
        new = dict(archive)
    try:
        with np.load(path) as archive:
            old = dict(archive)
    except Exception:  # a damaged archive fails in whatever layer meets the damage first
        return content
    if old.keys() != new.keys() or not _fits(old):
        return content
    heads = set(_keys(new))
    others = [number for number, key in enumerate(_keys(old)) if key not in heads]
    if not others or not np.array_equal(old["labels"], new["labels"]):
        return content
    return _packed({
        name: array if name == "labels" else np.concatenate([array, old[name][others]])
        for name, array in new.items()
    })  # fmt: skip


def _fits(arrays: Mapping[str, np.ndarray]) -> bool:
    """Says whether there is a prediction of each head and row."""
    return arrays["predictions"].shape == (len(arrays["seed"]), len(arrays["labels"]))


def _keys(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[object, ...]]:
    """Yields what tells each head from the others."""
    return zip(*(arrays[name].tolist() for name in HEAD_COLUMNS), strict=True)


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def holds_decision_values(path: Path) -> bool:
    """Says whether a file of `predictions_file` with decision values is there and undamaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and f"{_VALUES}.npy" in archive.namelist()
    except Exception:  # a damaged archive fails in whatever layer meets the damage first
        return False


def read_decision_values(path: Path) -> np.ndarray | None:
    """Returns `scores` of a file of `predictions_file`; None: they are not there, or damaged."""
    return _read_array(path, _VALUES)


def read_turned(path: Path) -> np.ndarray | None:
    """Returns `turned` of a file of `predictions_file`; None: they are not there, or damaged."""
    return _read_array(path, _TURNED)


def _read_array(path: Path, name: str) -> np.ndarray | None:
    try:
        with np.load(path) as arrays:
            return arrays[name]
    except Exception:  # a damaged archive fails in whatever layer meets the damage first
        return None


class Predictions(NamedTuple):
    """What H heads predict on the N test rows of a task.

    Attributes:
        labels: Label of each row.
        predictions: Predicted labels.
        heads: The columns that tell the heads apart (`scores.HEAD_COLUMNS`), each an array [H].
    """

    labels: Integer[np.ndarray, " N"]
    predictions: Integer[np.ndarray, "H N"]
    heads: Mapping[str, np.ndarray]


def of_protocol(heads: Mapping[str, np.ndarray]) -> Bool[np.ndarray, " H"]:
    """Says which heads of `Predictions.heads` are those of GENEB's protocol, in any regime."""
    return np.logical_and.reduce([heads[name] == value for name, value in PROTOCOL.items()])


def read_predictions(path: Path) -> Predictions | None:
    """Reads a file of `predictions_file`; None: it is not there, or damaged."""
    try:
        with np.load(path) as arrays:
            heads = {name: arrays[name] for name in HEAD_COLUMNS}
            found = Predictions(arrays["labels"], arrays["predictions"], heads)
    except Exception:  # a damaged archive fails in whatever layer meets the damage first
        return None
    return found if found.predictions.shape == (len(heads["seed"]), len(found.labels)) else None
