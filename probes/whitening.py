"""What every engine means by fits in whitened coordinates, where the Hessian is about the identity.

The loss's curvature is about m X'X / N in the eigenbasis of the features' covariance: dividing each
direction by the square root of m variance + penalty makes it one, whatever the features' scales.
"""

import numpy as np
from jax import Array
from jaxtyping import Bool, Float

_LARGEST_EXCESS = 1e-3  # of the objective, for a fit of float32 products to count as converged


def curvature(columns: int) -> float:
    """Returns m = (1 - 1/K) / K, the variance of the indicator of one of K classes at even odds.

    Args:
        columns: Columns of decision values, K1.
    """
    classes = max(columns, 2)
    return (1 - 1 / classes) / classes


def is_near_optimum(
    f: Float[Array | np.ndarray, "*heads"] | float,
    squares: Float[Array | np.ndarray, "*heads"] | float,
    penalty: Float[Array | np.ndarray, "*heads"] | float,
) -> Bool[Array | np.ndarray | np.bool_, "*heads"] | bool:
    """Says of fits of float32 products whether their objectives are within 0.1 % of the optima.

    A function of curvature m or more exceeds its minimum by at most |g|^2 / (2 m). Of the weights m
    is the penalty; of intercepts, a class's variance, which is more.

    Args:
        f: Objectives.
        squares: |g|^2, the squared lengths of their gradients on features.
        penalty: 1 / (C n) of each head.
    """
    return squares / (2 * penalty) <= _LARGEST_EXCESS * f
