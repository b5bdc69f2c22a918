"""Scores of predictions, with scikit-learn's conventions in degenerate cases.

All are jitted and take any leading axes, "*heads", so that all heads of a task are scored where
their decision values lie. Sums are in float64 under `jax.enable_x64`, else in float32.

Entry (i, j) of a confusion matrix counts the rows of class i that were predicted as j. A `weight`
says which rows count: those where it is above 0, each once; None: all.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int32, Integer, Shaped


@jax.jit
def score(
    values: Float[ArrayLike, "*heads N K1"],
    true: Integer[ArrayLike, " N"],
    weight: Shaped[ArrayLike, "*#heads N"] | None = None,
) -> dict[str, Float[Array, "*heads"]]:
    """Scores heads by their decision values.

    Args:
        values: Decision values.
        true: Class numbers 0 .. K - 1.
        weight: 0 for rows that do not count.

    Returns:
        MCC, accuracy, macro_F1, balanced_accuracy, AUROC and AUPRC of each head; the areas are NaN
        for more than two classes.
    """
    values = jnp.asarray(values)
    binary = values.shape[-1] == 1
    confusion = confusion_matrix(true, predict(values), max(values.shape[-1], 2), weight)
    undefined = jnp.full(values.shape[:-2], jnp.nan)
    return {
        "MCC": mcc(confusion),
        "accuracy": accuracy(confusion),
        "macro_F1": macro_f1(confusion),
        "balanced_accuracy": balanced_accuracy(confusion),
        "AUROC": auroc(true, values[..., 0], weight) if binary else undefined,
        "AUPRC": auprc(true, values[..., 0], weight) if binary else undefined,
    }


def predict(values: Float[Array, "*heads N K1"]) -> Int32[Array, "*heads N"]:
    """Returns the class numbers that decision values predict."""
    if values.shape[-1] == 1:
        return (values[..., 0] > 0).astype(jnp.int32)
    return jnp.argmax(values, axis=-1).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=("classes",))
def confusion_matrix(
    true: Integer[ArrayLike, " N"],
    predicted: Integer[ArrayLike, "*heads N"],
    classes: int,
    weight: Shaped[ArrayLike, "*#heads N"] | None = None,
) -> Int32[Array, "*heads {classes} {classes}"]:
    """Counts rows by true and predicted class.

    Args:
        true: Class numbers 0 .. K - 1.
        predicted: Class numbers that heads predict.
        classes: K.
        weight: 0 for rows that do not count.
    """
    true, predicted = jnp.asarray(true), jnp.asarray(predicted)
    pairs = true * classes + predicted
    if weight is not None:
        pairs = jnp.where(jnp.asarray(weight) > 0, pairs, classes**2)  # beyond the last: dropped
    flat = pairs.reshape(-1, pairs.shape[-1])
    counts = jnp.zeros((len(flat), classes**2), jnp.int32)
    counts = counts.at[jnp.arange(len(flat))[:, None], flat].add(1, mode="drop")
    return counts.reshape(*predicted.shape[:-1], classes, classes)


@jax.jit
def mcc(confusion: Integer[ArrayLike, "*heads K K"]) -> Float[Array, "*heads"]:
    """Returns Matthews' correlation coefficient for K classes (Gorodkin 2004), or 0.

    It is 0 where it is not defined: where one class alone is true, or predicted.
    """
    counts = _floats(confusion)
    total = counts.sum((-2, -1))
    true, predicted = counts.sum(-1), counts.sum(-2)
    covariance = _hits(counts).sum(-1) * total - (true * predicted).sum(-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    # Whether there is a spread is asked of whole numbers: sums of squares may be rounded.
    defined = ((true > 0).sum(-1) > 1) & ((predicted > 0).sum(-1) > 1)
    return jnp.where(defined, covariance / jnp.sqrt(jnp.where(defined, spread, 1)), 0)


@jax.jit
def accuracy(confusion: Integer[ArrayLike, "*heads K K"]) -> Float[Array, "*heads"]:
    """Returns the share of rows that were predicted right."""
    counts = _floats(confusion)
    return _hits(counts).sum(-1) / counts.sum((-2, -1))


@jax.jit
def macro_f1(confusion: Integer[ArrayLike, "*heads K K"]) -> Float[Array, "*heads"]:
    """Returns the mean F1 over the classes that occur in the true or the predicted labels."""
    counts = _floats(confusion)
    seen = counts.sum(-1) + counts.sum(-2)
    f1 = jnp.where(seen > 0, 2 * _hits(counts) / jnp.where(seen > 0, seen, 1), 0)
    return f1.sum(-1) / (seen > 0).sum(-1)


@jax.jit
def balanced_accuracy(confusion: Integer[ArrayLike, "*heads K K"]) -> Float[Array, "*heads"]:
    """Returns the mean recall over the classes that occur in the true labels."""
    counts = _floats(confusion)
    true = counts.sum(-1)
    recall = jnp.where(true > 0, _hits(counts) / jnp.where(true > 0, true, 1), 0)
    return recall.sum(-1) / (true > 0).sum(-1)


@jax.jit
def auroc(
    true: Integer[ArrayLike, " N"],
    scores: Float[ArrayLike, "*heads N"],
    weight: Shaped[ArrayLike, "*#heads N"] | None = None,
) -> Float[Array, "*heads"]:
    """Returns the area under the ROC curve, or NaN where a class is missing.

    It is the share of pairs of rows of both classes in the right order, ties counting half.

    Args:
        true: 0 or 1.
        scores: Decision values, larger for class 1.
        weight: 0 for rows that do not count.
    """
    ranked = _rank(true, scores, weight)
    positive, negative = ranked.hits[..., -1], ranked.rows[..., -1] - ranked.hits[..., -1]
    below = ranked.rows - ranked.hits  # negatives up to and with each row
    # Of equal scores, those before the first and those up to the last.
    before = jax.lax.cummax(
        jnp.where(ranked.first, below - ranked.negative, 0), axis=below.ndim - 1
    )
    upto = jnp.where(ranked.last, below, jnp.iinfo(jnp.int32).max)
    upto = jax.lax.cummin(upto, axis=below.ndim - 1, reverse=True)
    # Divided first: in float32 the number of pairs would be rounded more.
    share = _floats(before + upto) / 2 / jnp.maximum(negative, 1)[..., None]
    area = (share * ranked.positive).sum(-1) / jnp.maximum(positive, 1)
    return jnp.where((positive > 0) & (negative > 0), area, jnp.nan)


@jax.jit
def auprc(
    true: Integer[ArrayLike, " N"],
    scores: Float[ArrayLike, "*heads N"],
    weight: Shaped[ArrayLike, "*#heads N"] | None = None,
) -> Float[Array, "*heads"]:
    """Returns the average precision, or 0 where no row is positive.

    It is the sum of precision x gain in recall over the distinct thresholds.

    Args:
        true: 0 or 1.
        scores: Decision values, larger for class 1.
        weight: 0 for rows that do not count.
    """
    ranked = _rank(true, -jnp.asarray(scores), weight)
    # A threshold lies at the last of equal scores.
    precision = _floats(ranked.hits) / jnp.maximum(ranked.rows, 1)
    reached = jax.lax.cummax(jnp.where(ranked.last, ranked.hits, 0), axis=ranked.hits.ndim - 1)
    gain = jnp.diff(reached, axis=-1, prepend=0)
    total = jnp.where(ranked.last, gain * precision, 0).sum(-1)
    return total / jnp.maximum(ranked.hits[..., -1], 1)


class _Ranked(NamedTuple):
    """Rows by rising score; those that do not count stand at the end."""

    positive: Int32[Array, "*heads N"]  # 1 for a row of class 1 that counts
    negative: Int32[Array, "*heads N"]  # 1 for a row of class 0 that counts
    hits: Int32[Array, "*heads N"]  # rows of class 1 up to and with each row
    rows: Int32[Array, "*heads N"]  # rows that count up to and with each row
    first: Bool[Array, "*heads N"]  # whether a row is the first of equal scores
    last: Bool[Array, "*heads N"]  # whether a row is the last of equal scores


def _rank(true: ArrayLike, scores: ArrayLike, weight: ArrayLike | None) -> _Ranked:
    scores = jnp.asarray(scores)
    counts = jnp.ones(scores.shape[-1], bool) if weight is None else jnp.asarray(weight) > 0
    keys = [jnp.broadcast_to(array, scores.shape) for array in (~counts, scores, jnp.asarray(true))]
    absent, scores, positive = jax.lax.sort(keys, num_keys=2)
    present = ~absent
    positive = jnp.where(present & (positive == 1), 1, 0).astype(jnp.int32)
    negative = present.astype(jnp.int32) - positive
    steps = scores[..., 1:] != scores[..., :-1]
    edge = jnp.ones((*scores.shape[:-1], 1), bool)
    return _Ranked(
        positive,
        negative,
        jnp.cumsum(positive, axis=-1, dtype=jnp.int32),
        jnp.cumsum(present, axis=-1, dtype=jnp.int32),
        jnp.concatenate([edge, steps], axis=-1),
        jnp.concatenate([steps, edge], axis=-1),
    )


def _floats(counts: ArrayLike) -> Array:
    return jnp.asarray(counts).astype(jnp.result_type(float))


def _hits(counts: Array) -> Array:
    return jnp.diagonal(counts, axis1=-2, axis2=-1)
