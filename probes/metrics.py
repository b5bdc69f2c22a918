"""Scores of predictions, with scikit-learn's conventions in degenerate cases, in float64.

All take any leading axes, "*heads". Entry (i, j) of a confusion matrix counts the rows of class i
that were predicted as j.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

_Values = np.ndarray | np.float64  # the latter where there are no leading axes


def score(
    values: Float[np.ndarray, "*heads N K1"], true: Integer[np.ndarray, " N"]
) -> dict[str, Float64[_Values, "*heads"]]:
    """Scores heads by their decision values.

    Args:
        values: Decision values.
        true: Class numbers 0 .. K - 1.

    Returns:
        MCC, accuracy, macro_F1, balanced_accuracy, AUROC and AUPRC of each head; the areas are NaN
        for more than two classes.
    """
    counted = count_metrics(confusion_matrix(true, predict(values), max(values.shape[-1], 2)))
    if values.shape[-1] == 1:
        return counted | area_metrics(true, values[..., 0])
    undefined: dict[str, _Values] = {name: np.full(values.shape[:-2], np.nan) for name in AREAS}
    return counted | undefined


def count_metrics(
    confusion: Integer[np.ndarray, "*heads K K"],
) -> dict[str, Float64[_Values, "*heads"]]:
    """Returns the metrics of `COUNTS` by name, of counts of rows."""
    return {name: metric(confusion) for name, metric in COUNTS.items()}


def area_metrics(
    true: Integer[np.ndarray, " N"], scores: Float[np.ndarray, "*heads N"]
) -> dict[str, Float64[_Values, "*heads"]]:
    """Returns the metrics of `AREAS` by name, for two classes.

    Args:
        true: 0 or 1.
        scores: Decision values, larger for class 1.
    """
    levels = _levels(true, scores)
    return {name: _reshaped(map(area, levels), scores.shape[:-1]) for name, area in AREAS.items()}


def predict(values: Float[np.ndarray, "*heads N K1"]) -> Int64[np.ndarray, "*heads N"]:
    """Returns the class numbers that decision values predict."""
    if values.shape[-1] == 1:
        return (values[..., 0] > 0).astype(np.int64)
    return np.argmax(values, axis=-1)


def confusion_matrix(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "*heads N"], classes: int
) -> Int64[np.ndarray, "*heads {classes} {classes}"]:
    """Counts rows by true and predicted class.

    Args:
        true: Class numbers 0 .. K - 1.
        predicted: Class numbers that heads predict.
        classes: K.
    """
    pairs = (true * classes + predicted).reshape(-1, len(true))
    counts = [np.bincount(of_head, minlength=classes**2) for of_head in pairs]
    return np.reshape(counts, (*predicted.shape[:-1], classes, classes))


def mcc(
    confusion: Integer[np.ndarray, "*heads K K"] | Float[np.ndarray, "*heads K K"],
) -> Float64[_Values, "*heads"]:
    """Returns Matthews' correlation coefficient for K classes (Gorodkin 2004), or 0.

    It is 0 where it is not defined: where one class alone is true, or predicted.

    Args:
        confusion: Counts of rows, or their weights.
    """
    counts = np.asarray(confusion, np.float64)
    total = counts.sum((-2, -1))
    true, predicted = counts.sum(-1), counts.sum(-2)
    covariance = _hits(counts).sum(-1) * total - (true * predicted).sum(-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    # Whether there is a spread is asked of the counts: sums of squares may be rounded.
    defined = ((true > 0).sum(-1) > 1) & ((predicted > 0).sum(-1) > 1)
    return np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1)), 0)


def accuracy(confusion: Integer[np.ndarray, "*heads K K"]) -> Float64[_Values, "*heads"]:
    """Returns the share of rows that were predicted right."""
    return _hits(confusion).sum(-1) / confusion.sum((-2, -1))


def macro_f1(confusion: Integer[np.ndarray, "*heads K K"]) -> Float64[_Values, "*heads"]:
    """Returns the mean F1 over the classes that occur in the true or the predicted labels."""
    seen = confusion.sum(-1) + confusion.sum(-2)
    f1 = np.where(seen > 0, 2 * _hits(confusion) / np.where(seen > 0, seen, 1), 0)
    return f1.sum(-1) / (seen > 0).sum(-1)


def balanced_accuracy(
    confusion: Integer[np.ndarray, "*heads K K"],
) -> Float64[_Values, "*heads"]:
    """Returns the mean recall over the classes that occur in the true labels."""
    true = confusion.sum(-1)
    recall = np.where(true > 0, _hits(confusion) / np.where(true > 0, true, 1), 0)
    return recall.sum(-1) / (true > 0).sum(-1)


class _Levels(NamedTuple):
    """How many rows, and rows of class 1, have each of the distinct scores, in rising order."""

    rows: Int64[np.ndarray, " levels"]
    hits: Int64[np.ndarray, " levels"]


def _levels(
    true: Integer[np.ndarray, " N"], scores: Float[np.ndarray, "*heads N"]
) -> list[_Levels]:
    """Returns the levels of each head's scores, which are sorted for them."""
    found = []
    for of_head in scores.reshape(-1, len(true)):
        order = np.argsort(of_head)
        ranked = of_head[order]
        first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        hits = np.add.reduceat(true[order], first)
        found.append(_Levels(np.diff(first, append=len(true)), hits))
    return found


def _roc_area(levels: _Levels) -> float:
    """Returns the area under the ROC curve, or NaN where a class is missing.

    It is the share of pairs of rows of both classes in the right order, ties counting half.
    """
    negatives = levels.rows - levels.hits
    below = np.cumsum(negatives) - negatives
    pairs = levels.hits.sum() * negatives.sum()
    return (levels.hits * (below + negatives / 2)).sum() / pairs if pairs else np.nan


def _pr_area(levels: _Levels) -> float:
    """Returns the average precision, or 0 where no row is positive.

    It is the sum of precision x gain in recall over the distinct thresholds.
    """
    hits, rows = levels.hits[::-1], levels.rows[::-1]
    precision = np.cumsum(hits) / np.cumsum(rows)
    return (hits * precision).sum() / max(hits.sum(), 1)


def _reshaped(areas: Iterable[float], axes: tuple[int, ...]) -> Float64[_Values, "*heads"]:
    return np.reshape(list(areas), axes)


def _hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


# The metrics of a confusion matrix, and those of the levels of two classes' decision values.
# `probe.METRICS` says what each means.
COUNTS: Mapping[str, Callable[[np.ndarray], Float64[_Values, "*heads"]]] = {
    "MCC": mcc,
    "accuracy": accuracy,
    "macro_F1": macro_f1,
    "balanced_accuracy": balanced_accuracy,
}
AREAS: Mapping[str, Callable[[_Levels], float]] = {"AUROC": _roc_area, "AUPRC": _pr_area}
