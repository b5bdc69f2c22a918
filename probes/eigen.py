"""Eigenvectors of symmetric matrices, by what each platform compiles."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import linalg


def eigh(symmetric: Array) -> tuple[Array, Array]:
    """Returns the eigenvalues [D], rising, and eigenvectors [D, D] of a symmetric matrix.

    What a TPU takes by itself compiled for more than four minutes at 512 x 512 in float64; the
    Jacobi method, which CPUs lack, compiles in seconds. A program that holds this is exported for
    one platform at a time.
    """

    def by_rotations(symmetric: Array) -> tuple[Array, Array]:
        vectors, values = linalg.eigh(symmetric, implementation=linalg.EighImplementation.JACOBI)
        return values, vectors

    def by_default(symmetric: Array) -> tuple[Array, Array]:
        values, vectors = jnp.linalg.eigh(symmetric)
        return values, vectors

    return jax.lax.platform_dependent(symmetric, tpu=by_rotations, default=by_default)
