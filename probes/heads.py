"""Arrays of many heads, which have an axis of heads [H] first."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

Arrays = TypeVar("Arrays")


def take_heads(arrays: Arrays, heads: Int[Array, " some"]) -> Arrays:
    """Returns arrays, a pytree, of the heads of some numbers alone."""
    return jax.tree.map(lambda array: array[heads], arrays)


def put_heads(arrays: Arrays, heads: Int[Array, " some"], new: Arrays) -> Arrays:
    """Returns arrays, a pytree, with new entries for the heads of some numbers."""
    return jax.tree.map(lambda old, new: old.at[heads].set(new), arrays, new)


def where_heads(condition: Bool[Array, " H"], true: Arrays, false: Arrays) -> Arrays:
    """Returns for each head the entries of `true` where the condition holds, else of `false`."""

    def where(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(where, true, false)
