"""Features of mean 0 and variance 1 over the rows of a fit, and heads for the raw features."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from probes.blocks import multiply, over_blocks, sum_rows


def standardise(
    x: Float[Array, "N D"], weight: Float[Array, " N"], dtype: jnp.dtype
) -> tuple[Float[Array, "N D"], Float[Array, " D"], Float[Array, " D"]]:
    """Standardises features over the rows that have a weight above 0.

    Args:
        x: Features.
        weight: 0 for rows to be left out, such as padding; each of the others counts once, as in
            scikit-learn's `StandardScaler`.
        dtype: Dtype of the arithmetic.

    Returns:
        The standardised features in the dtype of `x`, 0 in rows left out; the mean and the
        standard deviation of each feature, the latter 1 where a feature is constant.
    """
    present = (weight > 0).astype(dtype)
    rows = jnp.sum(present)
    mean = sum_rows(x, present) / rows

    def add_squares(x: Array, present: Array, total: Array) -> Array:
        return total + multiply(present, (x.astype(dtype) - mean) ** 2)

    squares = over_blocks(add_squares, (x, present), jnp.zeros_like(mean))
    deviation = jnp.sqrt(squares / rows)
    deviation = jnp.where(is_constant(mean, deviation, x.dtype), 1, deviation)
    features = (x.astype(dtype) - mean) * present[:, None] / deviation
    return features.astype(x.dtype), mean, deviation


def standardise_draws(
    x: Float[Array, "N D"], weight: Float[Array, "R N"], dtype: jnp.dtype
) -> tuple[
    Float[Array, "N D"],
    tuple[Float[Array, " D"], Float[Array, " D"]],
    tuple[Float[Array, "R D"], Float[Array, "R D"]],
]:
    """Standardises features that draws share over the rows that are in any of the draws.

    Args:
        x: Features.
        weight: Weights of each draw, 0 for rows that it lacks.
        dtype: Dtype of the arithmetic.

    Returns:
        The standardised features in the dtype of `x`, 0 in rows that all draws lack; the mean and
        the standard deviation of each feature over the rows in any draw; and the mean and the
        standard deviation that each standardised feature has in each draw, the latter 1 where the
        feature is constant there.
    """
    features, mean, deviation = standardise(x, jnp.max(weight, axis=0), dtype)
    present = (weight > 0).astype(dtype)

    def add(x: Array, present: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        x = x.astype(dtype)
        return total[0] + multiply(present.T, x), total[1] + multiply(present.T, x * x)

    zero = jnp.zeros((len(weight), x.shape[1]), dtype)
    sums, squares = over_blocks(add, (features, present.T), (zero, zero), len(weight))
    rows = jnp.sum(present, axis=1, keepdims=True)
    draw_mean = sums / rows
    draw_deviation = jnp.sqrt(jnp.maximum(squares / rows - draw_mean**2, 0))
    constant = is_constant(mean + deviation * draw_mean, deviation * draw_deviation, x.dtype)
    return features, (mean, deviation), (draw_mean, jnp.where(constant, 1, draw_deviation))


def is_constant(
    mean: Float[Array | np.ndarray, "..."],
    deviation: Float[Array | np.ndarray, "..."],
    dtype: jnp.dtype,
) -> Bool[Array | np.ndarray, "..."]:
    """Returns where a deviation is no more than what rounding to `dtype` makes of a constant."""
    return deviation <= 10 * jnp.finfo(dtype).eps * abs(mean)


def fold_into_head(
    head: Float[Array, "*heads D1 K1"],
    mean: Float[Array, "*#heads D"],
    deviation: Float[Array, "*#heads D"],
) -> Float[Array, "*heads D1 K1"]:
    """Returns the heads that give on raw features what `head` gives on standardised ones.

    (x - m) / s W + b = x (W / s) + (b - m W / s)

    Args:
        head: W, and b as the last row; D1 = D + 1.
        mean: m, subtracted from the raw features.
        deviation: s, by which they were divided then.
    """
    w = head[..., :-1, :] / deviation[..., None]
    shift = jnp.sum(mean[..., None] * w, axis=-2, keepdims=True)
    return jnp.concatenate([w, head[..., -1:, :] - shift], axis=-2)
