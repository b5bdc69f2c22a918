"""Scores of predictions, with scikit-learn's conventions in degenerate cases.

`confusion` is [..., K, K]: entry (i, j) counts the rows of class i that were predicted as j.
"""

import numpy as np
from scipy.stats import rankdata


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


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that stand in the true labels."""
    true = confusion.sum(-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = np.where(true > 0, hits / np.where(true > 0, true, 1), 0.0)
    return recall.sum(-1) / (true > 0).sum(-1)


def auroc(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: the share of pairs in the right order, ties counting half.

    Args:
        true: 0 or 1, [N].
        scores: Decision values, larger for class 1, [..., N].

    Returns:
        [...]; NaN where a class is missing.
    """
    positives = int(true.sum())
    pairs = positives * (len(true) - positives)
    if not pairs:
        return np.full(scores.shape[:-1], np.nan)
    ranks = rankdata(scores, axis=-1)[..., true == 1].sum(-1)
    return (ranks - positives * (positives + 1) / 2) / pairs


def auprc(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision: the sum of precision x gain in recall over the distinct thresholds.

    Args:
        true: 0 or 1, [N].
        scores: Decision values, larger for class 1, [..., N].

    Returns:
        [...]; 0 where no row is positive.
    """
    positives = int(true.sum())
    if not positives:
        return np.zeros(scores.shape[:-1])
    order = np.argsort(-scores, axis=-1, kind="stable")
    sorted_scores = np.take_along_axis(scores, order, -1)
    hits = np.cumsum(true[order], axis=-1)
    # A threshold stands at the last of equal scores.
    last = np.ones(scores.shape, bool)
    last[..., :-1] = sorted_scores[..., 1:] != sorted_scores[..., :-1]
    precision = hits / np.arange(1, len(true) + 1)
    reached = np.maximum.accumulate(np.where(last, hits, 0), axis=-1)
    gain = np.diff(reached, axis=-1, prepend=0)
    return (np.where(last, gain * precision, 0.0)).sum(-1) / positives
