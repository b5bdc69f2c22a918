"""Exact products, and sums over rows, a block of them at a time."""

import functools
import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

# Bytes of rows read at a time: on CPUs they stay in cache between the products that need them,
# on others a block is worth its launches.
_BLOCK = {"cpu": 2**23}
_BLOCK_ACCELERATOR = 2**28

_FEWEST = 256  # rows of a block; fewer are slower than what the cache saves

Total = TypeVar("Total")

multiply = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def sum_rows(x: Float[Array, "N D"], weight: Float[Array, " N"]) -> Float[Array, " D"]:
    """Returns the sum of weight_i x_i, in the dtype of the weights."""

    def add(x: Array, weight: Array, total: Array) -> Array:
        return total + multiply(weight, x.astype(weight.dtype))

    return over_blocks(add, (x, weight), jnp.zeros(x.shape[1], weight.dtype))


def block_rows(rows: int, width: int) -> int:
    """Returns how many of some rows of a width are read at a time: a divisor of their number."""
    size = _BLOCK.get(jax.default_backend(), _BLOCK_ACCELERATOR)
    most = 2 ** max(size // (8 * width), _FEWEST).bit_length() // 2  # as float64
    block = math.gcd(rows, most)
    return block if block >= _FEWEST else rows  # an odd number of rows: all at once


def over_blocks(
    add: Callable[..., Total],
    arrays: tuple[Shaped[Array, "N ..."], ...],
    total: Total,
    columns: int = 0,
) -> Total:
    """Passes blocks of rows of the arrays, and the total so far, through `add`.

    Args:
        add: Takes a block of each array and the total, and returns the next total.
        arrays: Features [N, D] first; weights [N] or [N, R] last: blocks after the last row that
            has one above 0 are left out.
        total: The first total.
        columns: Width of the widest product that `add` makes of a block, if it is wider than D.

    Returns:
        The last total.
    """
    rows = len(arrays[0])
    block = block_rows(rows, max(columns, math.prod(arrays[0].shape[1:])))
    if block == rows:
        return add(*arrays, total)
    weighted = jnp.any(arrays[-1].reshape(rows, -1) > 0, axis=1)
    used = jnp.max(jnp.where(weighted, jnp.arange(1, rows + 1), 0))

    def step(i: Array, total: Total) -> Total:
        parts = [jax.lax.dynamic_slice_in_dim(array, i * block, block) for array in arrays]
        return add(*parts, total)

    return jax.lax.fori_loop(0, -(-used // block), step, total)
