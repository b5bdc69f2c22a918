"""Few-shot sampling, row for row as GENEB's harness draws it."""

import numpy as np


def few_shot_rows(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Draws up to `shots` rows of each class.

    GENEB's harness: with one numpy `RandomState(seed)`, for each class in ascending order,
    `rng.choice(rows_of_class, min(shots, n), replace=False)`.

    Args:
        labels: int [N].
        shots: Rows wanted of each class, at least 1; a class with fewer gives all it has.
        seed: Seed of the RandomState.

    Returns:
        Row numbers, int64, class after class.
    """
    rng = np.random.RandomState(seed)
    drawn = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        drawn.append(rng.choice(rows, min(shots, len(rows)), replace=False))
    return np.concatenate(drawn)
