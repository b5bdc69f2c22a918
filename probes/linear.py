"""Decision values of linear heads."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from probes.blocks import multiply


@jax.jit
def decision_values(
    x: Float[Array, "M D"], heads: Float[Array, "S R D+1 K1"]
) -> Float[Array, "S R M K1"]:
    """Returns x W + b of every head, from one product of all heads side by side."""
    side_by_side = jnp.moveaxis(heads, 2, 0)  # [D + 1, S, R, K1]
    flat = side_by_side.reshape(len(side_by_side), -1)
    values = multiply(x.astype(heads.dtype), flat[:-1]) + flat[-1:]
    return jnp.moveaxis(values.reshape(len(x), *side_by_side.shape[1:]), 0, 2)
