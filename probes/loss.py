"""Targets of classes, and the loss of decision values against them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64, Integer


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
    values: Float[Array, "..."], y: Float[Array, "..."], axis: int = -1
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Returns the loss of each row, and its derivative by the decision values.

    It is the binomial loss for one column of decision values, the multinomial loss for more.

    Args:
        values: Decision values, with K1 entries along `axis`.
        y: Targets, broadcast to the decision values.
        axis: The axis of the columns.

    Returns:
        The loss, without that axis, and the derivative, in the shape of the decision values.
    """
    if values.shape[axis] == 1:
        e = jnp.exp(-jnp.abs(values))
        loss = jnp.maximum(values, 0) + jnp.log1p(e) - y * values
        return jnp.squeeze(loss, axis), jnp.where(values >= 0, 1, e) / (1 + e) - y
    top = jax.lax.stop_gradient(jnp.max(values, axis=axis, keepdims=True))
    e = jnp.exp(values - top)
    total = jnp.sum(e, axis=axis, keepdims=True)
    loss = jnp.log(total) + top - jnp.sum(y * values, axis=axis, keepdims=True)
    return jnp.squeeze(loss, axis), e / total - y
