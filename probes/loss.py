"""Targets of classes, and the loss of decision values against them."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64, Integer

_Array = TypeVar("_Array", np.ndarray, Array)


def targets(classes: Integer[np.ndarray, " N"], class_count: int) -> Float64[np.ndarray, "N K1"]:
    """Returns class numbers 0 .. K - 1 as targets.

    Args:
        classes: Class number of each row.
        class_count: K.

    Returns:
        The second class's indicator (K1 = 1) for two classes, else one-hot rows (K1 = K).
    """
    one_hot = np.eye(class_count)[classes]
    return one_hot[:, 1:] if class_count == 2 else one_hot


def row_loss(
    values: Float[_Array, "..."], y: Float[_Array, "..."], axis: int = -1
) -> tuple[Float[_Array, "..."], Float[_Array, "..."]]:
    """Returns the loss of each row, and its derivative by the decision values.

    It is the binomial loss for one column of decision values, the multinomial loss for more.

    Args:
        values: Decision values, NumPy's or JAX's, with K1 entries along `axis`.
        y: Targets, broadcast to the decision values.
        axis: The axis of the columns.

    Returns:
        The loss, without that axis, and the derivative, in the shape of the decision values.
    """
    xp: Any = np if isinstance(values, np.ndarray) else jnp
    if values.shape[axis] == 1:
        e = xp.exp(-xp.abs(values))
        loss = xp.maximum(values, 0) + xp.log1p(e) - y * values
        return xp.squeeze(loss, axis), xp.where(values >= 0, 1, e) / (1 + e) - y
    top = xp.max(values, axis=axis, keepdims=True)
    if xp is jnp:
        top = jax.lax.stop_gradient(top)
    e = xp.exp(values - top)
    total = xp.sum(e, axis=axis, keepdims=True)
    loss = xp.log(total) + top - xp.sum(y * values, axis=axis, keepdims=True)
    return xp.squeeze(loss, axis), e / total - y
