"""The eigenbasis of rows' covariance: computed in little memory, applied a block at a time."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import linalg
from jaxtyping import Float

from probes.blocks import block_rows, multiply, over_blocks, sum_rows

_PANELS = 4  # of a covariance's rows, each as long as its last row's part of the lower triangle


class Basis(NamedTuple):
    """B = min(N, D) directions in which centred rows are uncorrelated.

    Attributes:
        x: The centred rows in these directions; None where N > D.
        directions: Orthonormal columns; zero where no row reaches.
        variance: Variance of the rows in each direction.
        mean: The rows' mean.
    """

    x: Float[Array, "N B"] | None
    directions: Float[Array, "D B"]
    variance: Float[Array, " B"]
    mean: Float[Array, " D"]


def eigenbasis(x: Float[Array, "N D"], weight: Float[Array, " N"], dtype: jnp.dtype) -> Basis:
    """Returns the eigenbasis of the covariance of the rows that have a weight above 0.

    The weights say which rows there are and no more: each counts once in the covariance.

    With N > D the directions are rounded to float32. A fit may take them as coordinates all the
    same, as it uses one linear map and its transpose; the rows' covariance in two directions of
    variances v and w is then 1e-7 of the largest variance instead of 0, which matters where v w
    is 1e-14 of its square.

    Args:
        x: Features.
        weight: 0 for rows to be left out, such as padding.
        dtype: Dtype of the arithmetic.
    """
    present = (weight > 0).astype(dtype)
    rows = jnp.sum(present)
    mean = sum_rows(x, present) / rows
    if len(x) > x.shape[1]:
        variance, directions = eigh(_covariance(x, present, mean))
        return Basis(None, directions.astype(jnp.float32), jnp.maximum(variance, 0), mean)
    x = (x.astype(dtype) - mean) * present[:, None]
    variance, left = eigh(multiply(x, x.T) / rows)
    reached = variance > jnp.finfo(dtype).eps * len(x) * variance[-1]
    variance = jnp.where(reached, variance, 0)
    length = jnp.sqrt(variance * rows)
    directions = multiply(x.T, left) * jnp.where(reached, 1 / jnp.where(reached, length, 1), 0)
    return Basis(left * length, directions, variance, mean)


def to_features(
    directions: Float[Array, "D B"] | Float[Array, "H D B"], heads: Float[Array, "*heads B"]
) -> Float[Array, "*heads D"]:
    """Maps vectors of heads from the coordinates of a basis to those of the features.

    Args:
        directions: Of one basis for all heads, or of one for each head (*heads = H K1).
        heads: Vectors in the basis.
    """
    if directions.ndim == 3:
        return multiply(heads, jnp.swapaxes(directions, -1, -2))
    width, reached = directions.shape
    size = block_rows(width, reached)
    flat = heads.reshape(-1, reached)

    def step(i: Array, total: Array) -> Array:
        part = jax.lax.dynamic_slice_in_dim(directions, i * size, size).astype(flat.dtype)
        mapped = multiply(flat, part.T)
        return jax.lax.dynamic_update_slice_in_dim(total, mapped, i * size, axis=1)

    start = jnp.zeros((len(flat), width), flat.dtype)
    return jax.lax.fori_loop(0, width // size, step, start).reshape(*heads.shape[:-1], width)


def to_basis(
    directions: Float[Array, "D B"] | Float[Array, "H D B"], slopes: Float[Array, "*heads D"]
) -> Float[Array, "*heads B"]:
    """Maps gradients of heads with the transpose of `to_features`."""
    if directions.ndim == 3:
        return multiply(slopes, directions)
    width, reached = directions.shape
    size = block_rows(width, reached)
    flat = slopes.reshape(-1, width)

    def step(i: Array, total: Array) -> Array:
        part = jax.lax.dynamic_slice_in_dim(directions, i * size, size).astype(flat.dtype)
        slope = jax.lax.dynamic_slice_in_dim(flat, i * size, size, axis=1)
        return total + multiply(slope, part)

    start = jnp.zeros((len(flat), reached), flat.dtype)
    return jax.lax.fori_loop(0, width // size, step, start).reshape(*slopes.shape[:-1], reached)


def _covariance(x: Array, present: Array, mean: Array) -> Array:
    """Returns the covariance [D, D] of the rows that are present, its lower triangle alone."""
    width, rows = x.shape[1], jnp.sum(present)
    size = width // math.gcd(width, _PANELS)

    def panel(end: int) -> Array:
        def add(x: Array, present: Array, total: Array) -> Array:
            centred = (x[:, :end].astype(mean.dtype) - mean[:end]) * present[:, None]
            return total + multiply(centred[:, -size:].T, centred)

        products = over_blocks(add, (x, present), jnp.zeros((size, end), mean.dtype))
        return jnp.pad(products / rows, [(end - size, width - end), (0, width - end)])

    # The padded panels and their sum are written once, where LAPACK takes them: XLA copies a
    # matrix that is made in any other way.
    return functools.reduce(jnp.add, map(panel, range(size, width + 1, size)))


def eigh(lower: Float[Array, "D D"]) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
    """Returns the eigenvalues, rising, and the eigenvectors, columns, of a symmetric matrix.

    The method that JAX chooses for TPUs compiled for more than four minutes at 512 x 512 in
    float64; the Jacobi method, which CPUs lack, compiles in seconds. A program that holds this is
    exported for one platform at a time.

    Args:
        lower: The matrix; what is above its diagonal is not read.
    """

    def by_rotations(lower: Array) -> tuple[Array, Array]:
        symmetric = jnp.tril(lower) + jnp.tril(lower, -1).T
        vectors, values = linalg.eigh(symmetric, implementation=linalg.EighImplementation.JACOBI)
        return values, vectors

    def by_default(lower: Array) -> tuple[Array, Array]:
        vectors, values = linalg.eigh(lower, symmetrize_input=False)
        return values, vectors

    return jax.lax.platform_dependent(lower, tpu=by_rotations, default=by_default)
