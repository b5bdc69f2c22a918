"""Standardised features on the rows of a fit, and the head for the features as given."""

import jax.numpy as jnp
from jax import Array

from probes.blocks import multiply, over_blocks, sum_rows


def standardise(x: Array, weight: Array, dtype: jnp.dtype) -> tuple[Array, Array, Array]:
    """Standardises features over the rows that count.

    Args:
        x: [N, D].
        weight: 0 for padding, [N]; the others count alike, as in scikit-learn's
            `StandardScaler`.
        dtype: Of the arithmetic.

    Returns:
        The features in the dtype of `x`, 0 in padding; their mean and standard deviation [D],
        the latter 1 where a feature is constant.
    """
    present = (weight > 0).astype(dtype)
    rows = jnp.sum(present)
    mean = sum_rows(x, present) / rows

    def add_squares(x: Array, present: Array, total: Array) -> Array:
        return total + multiply(present, (x.astype(dtype) - mean) ** 2)

    squares = over_blocks(add_squares, (x, present), jnp.zeros_like(mean))
    deviation = jnp.sqrt(squares / rows)
    deviation = jnp.where(_constant(mean, deviation, x.dtype), 1, deviation)
    features = (x.astype(dtype) - mean) * present[:, None] / deviation
    return features.astype(x.dtype), mean, deviation


def standardise_draws(
    x: Array, weight: Array, dtype: jnp.dtype
) -> tuple[Array, tuple[Array, Array], tuple[Array, Array]]:
    """Standardises features that draws share over the rows that count in any of them.

    Args:
        x: [N, D].
        weight: [R, N], 0 for rows that a draw lacks.
        dtype: Of the arithmetic.

    Returns:
        The features in the dtype of `x`, 0 in rows that all lack; their mean and standard
        deviation [D]; the mean and standard deviation [R, D] that these features have in each
        draw, the latter 1 where they are constant there.
    """
    features, mean, deviation = standardise(x, jnp.max(weight, axis=0), dtype)
    present = (weight > 0).astype(dtype)

    def add(x: Array, present: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        x = x.astype(dtype)
        return total[0] + multiply(present.T, x), total[1] + multiply(present.T, x * x)

    zero = jnp.zeros((len(weight), x.shape[1]), dtype)
    sums, squares = over_blocks(add, (features, present.T), (zero, zero), len(weight))
    rows = jnp.sum(present, axis=1, keepdims=True)
    own = sums / rows
    spread = jnp.sqrt(jnp.maximum(squares / rows - own**2, 0))
    constant = _constant(mean + deviation * own, deviation * spread, x.dtype)
    return features, (mean, deviation), (own, jnp.where(constant, 1, spread))


def _constant(mean: Array, deviation: Array, dtype: jnp.dtype) -> Array:
    """Whether a deviation is what rounding to `dtype` leaves of a constant."""
    return deviation <= 10 * jnp.finfo(dtype).eps * jnp.abs(mean)


def fold_into_head(head: Array, mean: Array, deviation: Array) -> Array:
    """Returns the head that gives on raw features what `head` gives on standardised ones.

    (x - m) / s W + b = x (W / s) + (b - m W / s)

    Args:
        head: [..., D + 1, K'], the last row its intercepts.
        mean: m, [..., D].
        deviation: s, [..., D].
    """
    w = head[..., :-1, :] / deviation[..., None]
    shift = jnp.sum(mean[..., None] * w, axis=-2, keepdims=True)
    return jnp.concatenate([w, head[..., -1:, :] - shift], axis=-2)
