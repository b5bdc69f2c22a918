"""Fits of draws of train rows: each draw padded and weighted, all of them given to their kind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer

from probes.kind import FittedHeads, TrainRows, find_kind
from probes.loss import targets
from probes.padding import ladder, pad
from probes.probe import Probe
from probes.rows import TaskRows


class Draw(NamedTuple):
    """Says which train rows a head is fitted on, and how.

    Attributes:
        rows: Their numbers among the train rows; rising, where the fit runs over all of train.
        seed: Seed of the draw and of a fit that needs one.
        whole: Whether the fit runs over all of train, with weight 0 on the other rows.
        class_weight: A name of `probe.CLASS_WEIGHTS`.
    """

    rows: Int64[np.ndarray, " drawn"]
    seed: int
    whole: bool
    class_weight: str


def fit_draws(
    train: TaskRows, draws: Sequence[Draw], strengths: Sequence[float], probe: Probe
) -> FittedHeads:
    """Fits heads of every strength on every draw, each with its seed.

    Args:
        train: Train rows.
        draws: All of them are whole, or none is.
        strengths: C of the heads.
        probe: Kind of the heads, solver and whether features are standardised.
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
    rows = TrainRows(x, y, weight, np.array([draw.seed for draw in draws], np.uint32))
    return find_kind(probe.kind).fit(rows, np.asarray(strengths, np.float64), probe)


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
