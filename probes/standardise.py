"""Standardised features on the rows of a fit, and the head for the features as given."""

import jax.numpy as jnp
from jax import Array


def standardise(x: Array, weight: Array, dtype: jnp.dtype) -> tuple[Array, Array, Array]:
    """Standardises features over the rows that count.

    Args:
        x: [..., N, D].
        weight: 0 for padding, [..., N]; the others count alike, as in scikit-learn's
            `StandardScaler`.
        dtype: Of the arithmetic.

    Returns:
        The features in the dtype of `x`, 0 in padding; their mean and standard deviation
        [..., D], the latter 1 where a feature is constant.
    """
    present = (weight > 0).astype(dtype)[..., None]
    rows = jnp.sum(present, axis=-2)
    wide = x.astype(dtype)
    mean = jnp.sum(wide * present, axis=-2) / rows
    centred = (wide - mean[..., None, :]) * present
    deviation = jnp.sqrt(jnp.sum(centred**2, axis=-2) / rows)
    # What rounding leaves of a constant is no variance.
    constant = deviation <= 10 * jnp.finfo(x.dtype).eps * jnp.abs(mean)
    deviation = jnp.where(constant, 1, deviation)
    return (centred / deviation[..., None, :]).astype(x.dtype), mean, deviation


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
