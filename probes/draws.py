"""Draws of train rows: which rows a head is fitted on, and with which weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float32, Float64, Int64, Integer, UInt32

from probes.loss import targets
from probes.padding import ladder, pad
from probes.rows import TaskRows


class Draw(NamedTuple):
    """Says which train rows a head is fitted on, and how.

    Attributes:
        rows: Their numbers among the train rows; rising, where the draw is whole.
        seed: Seed of the draw and of a fit that needs one.
        whole: Whether the draw is all of train, or all but some rows that are held out.
        class_weight: A name of `probe.CLASS_WEIGHTS`.
    """

    rows: Int64[np.ndarray, " drawn"]
    seed: int
    whole: bool
    class_weight: str


class PaddedRows(NamedTuple):
    """The rows of R draws as a compiled fit takes them.

    Attributes:
        x: Features; whole draws share them, other draws have each theirs.
        y: Targets, as `loss.targets` makes them, shared as the features are.
        weight: Weight of each row in each draw's loss; 0 for padding and for rows that a draw
            lacks, above 0 for all others.
        seeds: Seed of each draw.
    """

    x: Float32[Array | np.ndarray, "*draws N D"]
    y: Float64[np.ndarray, "*draws N K1"]
    weight: Float64[np.ndarray, "R N"]
    seeds: UInt32[np.ndarray, " R"]


def padded_rows(train: TaskRows, draws: Sequence[Draw]) -> PaddedRows:
    """Returns the rows of draws, padded to the ladder so that many tasks share a program.

    Args:
        train: Train rows.
        draws: All of them are whole, or none is.
    """
    whole = draws[0].whole
    size = len(train.on_devices) if whole else ladder(max(len(draw.rows) for draw in draws))
    weight = np.zeros((len(draws), size))
    for draw, draw_weight in zip(draws, weight, strict=True):
        positions = draw.rows if whole else np.arange(len(draw.rows))
        draw_weight[positions] = row_weights(train.classes[draw.rows], draw.class_weight)
    y = targets(train.classes, train.class_count)
    if whole:
        x, y = train.on_devices, pad(y, size)
    else:
        x = np.stack([pad(train.x[draw.rows], size) for draw in draws])
        y = np.stack([pad(y[draw.rows], size) for draw in draws])
    return PaddedRows(x, y, weight, np.array([draw.seed for draw in draws], np.uint32))


def stacked(tasks: Sequence[PaddedRows]) -> PaddedRows:
    """Returns the few-shot draws of several tasks as those of one batch, which one program fits.

    Args:
        tasks: Draws of tasks of one width and one number of classes; none is whole. Those of fewer
            rows are padded to the most rows of any.

    Raises:
        ValueError: Draws are whole, or widths or numbers of classes differ.
    """
    kinds = {(rows.x.ndim, rows.x.shape[-1], rows.y.shape[-1]) for rows in tasks}
    if len(kinds) != 1 or next(iter(kinds))[0] != 3:
        raise ValueError(
            f"draws of {sorted(kinds)} (axes, width, columns of targets) are no batch; stack "
            "few-shot draws of tasks of one width and one number of classes"
        )
    size = max(rows.weight.shape[1] for rows in tasks)

    def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
        padded = [
            np.pad(array, [(0, 0), (0, size - array.shape[1])] + [(0, 0)] * (array.ndim - 2))
            for array in arrays
        ]
        return np.concatenate(padded)

    xs, ys, weights, seeds = zip(*tasks, strict=True)
    return PaddedRows(joined(xs), joined(ys), joined(weights), np.concatenate(seeds))


def row_weights(classes: Integer[np.ndarray, " N"], class_weight: str) -> Float64[np.ndarray, " N"]:
    """Returns the weight of each row in a fit's loss.

    Args:
        classes: Class number of each row.
        class_weight: 'none': 1; 'balanced': n / (K n_k) for a row of class k, which sums to n, as
            scikit-learn has it. K counts the classes that have rows.
    """
    if class_weight == "none":
        return np.ones(len(classes))
    present, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return (len(classes) / (len(present) * counts))[numbers]
