"""Which rows a fit sees: few-shot samples, row for row as GENEB's harness draws them, and folds."""

import numpy as np
from jaxtyping import Bool, Int64, Integer


def few_shot_rows(
    labels: Integer[np.ndarray, " N"], shots: int, seed: int
) -> Int64[np.ndarray, " drawn"]:
    """Draws up to `shots` rows of each class.

    GENEB's harness: with one numpy `RandomState(seed)`, for each class in ascending order,
    `rng.choice(rows_of_class, min(shots, n), replace=False)`.

    Args:
        labels: Label of each row, any integers.
        shots: Rows wanted of each class, at least 1; a class with fewer gives all it has.
        seed: Seed of the RandomState.

    Returns:
        Row numbers, class after class.
    """
    rng = np.random.RandomState(seed)
    drawn = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        drawn.append(rng.choice(rows, min(shots, len(rows)), replace=False))
    return np.concatenate(drawn)


def stratified_folds(
    labels: Integer[np.ndarray, " N"], folds: int, seed: int
) -> Int64[np.ndarray, " N"]:
    """Assigns each row to a fold, each class spread over the folds as evenly as can be.

    Args:
        labels: Label of each row, any integers.
        folds: Number of folds, at least 2.
        seed: Seed of the shuffles.

    Returns:
        Fold number of each row, 0 .. folds - 1; sizes differ by at most one within a class, and
        over all rows.
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(len(labels), np.int64)
    dealt = 0  # each class goes on where the last one stopped
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        fold[rows] = (dealt + np.arange(len(rows))) % folds
        dealt += len(rows)
    return fold


def stratified_carve(
    labels: Integer[np.ndarray, " N"], share: float, seed: int
) -> Bool[np.ndarray, " N"]:
    """Sets a share of each class aside, rounded, at least one row of it.

    Args:
        labels: Label of each row, any integers.
        share: Share that is set aside, in 0 .. 1.
        seed: Seed of the shuffles.

    Returns:
        True for the rows set aside.
    """
    rng = np.random.default_rng(seed)
    aside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        aside[rows[: max(1, round(share * len(rows)))]] = True
    return aside
