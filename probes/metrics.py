"""Scores from confusion matrices, with scikit-learn's conventions in degenerate cases.

`confusion` is [..., K, K]: entry (i, j) counts the rows of class i that were predicted as j.
"""

import numpy as np


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of (true, predicted) class.

    Args:
        true: Class numbers 0 .. K - 1, int [N].
        predicted: Likewise, int [..., N].
        classes: K.

    Returns:
        int64 [..., K, K].
    """
    pairs = true * classes + predicted
    flat = pairs.reshape(-1, pairs.shape[-1])
    counts = np.stack([np.bincount(row, minlength=classes**2) for row in flat])
    return counts.reshape(*predicted.shape[:-1], classes, classes)


def mcc(confusion: np.ndarray) -> np.ndarray:
    """Matthews' correlation coefficient, for K classes (Gorodkin 2004); 0 where undefined."""
    counts = confusion.astype(np.float64)
    total = counts.sum((-2, -1))
    true, predicted = counts.sum(-1), counts.sum(-2)
    correct = np.trace(counts, axis1=-2, axis2=-1)
    covariance = correct * total - (true * predicted).sum(-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    defined = spread > 0
    return np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1.0)), 0.0)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of rows predicted right."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that stand in the true or the predicted labels."""
    counts = confusion.astype(np.float64)
    seen = counts.sum(-1) + counts.sum(-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    f1 = np.where(seen > 0, 2 * hits / np.where(seen > 0, seen, 1.0), 0.0)
    return f1.sum(-1) / (seen > 0).sum(-1)
