"""Logistic-regression heads: scikit-learn's objective, all heads of a batch in one compiled fit.

    0.5 ||W||^2 + C sum_i loss(x_i W + b, y_i),   b free

One weight vector for two classes (binomial loss), K for three and more (multinomial loss).
Divided by C n it is the mean loss with penalty ||W||^2 / (2 C n), which is what scikit-learn's
`LogisticRegression(solver='lbfgs')` minimises and what its tolerances refer to.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from probes.lbfgs import Result, Stopping, minimise
from probes.standardise import fold_into_head, standardise

SOLVERS: Mapping[str, Stopping] = {
    # scikit-learn 1.5: tol=1e-4, max_iter=1000, ftol = 64 eps of float64.
    "geneb": Stopping(1e-4, 64 * 2.0**-52, 1000),
    # In whitened coordinates, where a step of 1 is about right in every direction.
    "converged": Stopping(1e-8, 0.0, 20000),
}

# Rows read at a time: they stay in cache between the two products that need them.
_BLOCK = 2048


@functools.partial(jax.jit, static_argnames=("solver", "standardised"))
def fit_heads(
    x: Array,
    y: Array,
    weight: Array,
    strength: Array,
    *,
    solver: str,
    standardised: bool = False,
) -> Result:
    """Fits H heads together; arithmetic is in the dtype of `strength`.

    Args:
        x: Features [N, D] that all heads share, or [H, N, D]; float32 stays float32 in memory.
        y: Targets [N, K'] or [H, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding, [N] or [H, N].
        strength: C of each head [H].
        solver: A name of `SOLVERS`.
        standardised: Fit on features of mean 0 and variance 1 over the rows that count; the head
            is returned for the features as they are, objective and gradient are the fit's.

    Returns:
        The fits, each field with a leading axis H; `x` is the head's [D + 1, K'] flattened, the
        last row its intercepts; `f` is the averaged objective.
    """
    shared = None if x.ndim == 2 else 0
    fit = {"geneb": _fit_from_zero, "converged": _fit_whitened}[solver]
    fits = jax.vmap(fit, in_axes=(shared, shared, shared, 0))
    if not standardised:
        return fits(x, y, weight, strength)
    x, mean, deviation = standardise(x, weight, strength.dtype)
    end = fits(x, y, weight, strength)
    head = end.x.reshape(len(strength), x.shape[-1] + 1, -1)
    head = fold_into_head(head, mean, deviation)
    return end._replace(x=head.reshape(len(strength), -1))


def _fit_from_zero(x: Array, y: Array, weight: Array, strength: Array) -> Result:
    """The harness's fit: raw features, start at zero.

    The iterates are sums of rows, so with fewer rows than features the fit runs on the rows'
    coordinates in an orthonormal basis of their span. L-BFGS takes the same path there; only the
    largest entry of the gradient, its stopping rule, must be asked in the features' own axes.
    """
    penalty = 1 / (strength * jnp.sum(weight))
    width = y.shape[1]
    few = x.shape[0] < x.shape[1]
    if few:
        axes, coordinates = jnp.linalg.qr(x.astype(strength.dtype).T)
        x = coordinates.T

    def objective(flat: Array) -> tuple[Array, Array]:
        f, g = _objective(x, y, weight, penalty, flat.reshape(-1, width))
        return f, g.ravel()

    def unrotated(flat: Array) -> Array:
        head = flat.reshape(-1, width)
        if not few:
            return head
        slope = jnp.matmul(axes, head[:-1], precision=jax.lax.Precision.HIGHEST)
        return jnp.concatenate([slope, head[-1:]])

    def largest(g: Array) -> Array:
        return jnp.max(jnp.abs(unrotated(g)))

    start = jnp.zeros((x.shape[1] + 1) * width, strength.dtype)
    end = minimise(objective, start, SOLVERS["geneb"], largest)
    return end._replace(x=unrotated(end.x).ravel())


def _fit_whitened(x: Array, y: Array, weight: Array, strength: Array) -> Result:
    """The optimum, found in the scaled eigenbasis of the centred features' covariance.

    The loss's curvature is about m X'X / N there, m = (1 - 1/K) / K the variance of a class
    indicator at even odds: dividing each direction by the square root of m variance + penalty
    makes the Hessian about the identity, whatever the features' scales.
    """
    penalty = 1 / (strength * jnp.sum(weight))
    classes = max(y.shape[1], 2)
    curvature = (1 - 1 / classes) / classes
    basis = _eigenbasis(x, weight, strength.dtype)
    diagonal = jnp.append(curvature * basis.variance + penalty, curvature)
    scale = jax.lax.rsqrt(diagonal)[:, None]

    def objective(flat: Array) -> tuple[Array, Array]:
        head = scale * flat.reshape(-1, y.shape[1])
        f, g = _objective(basis.x, y, weight, penalty, head)
        return f, (scale * g).ravel()

    start = jnp.zeros(len(diagonal) * y.shape[1], strength.dtype)
    end = minimise(objective, start, SOLVERS["converged"])
    rotated = scale * end.x.reshape(-1, y.shape[1])
    w = jnp.matmul(basis.directions, rotated[:-1], precision=jax.lax.Precision.HIGHEST)
    head = jnp.concatenate([w, rotated[-1:] - basis.mean @ w])
    f, g = _objective(x, y, weight, penalty, head)
    return end._replace(x=head.ravel(), f=f, gradient_norm=jnp.max(jnp.abs(g)))


class _Basis(NamedTuple):
    """Centred rows in the eigenbasis of their covariance, R = min(N, D) directions."""

    x: Array  # [N, R]
    directions: Array  # [D, R], orthonormal columns; zero where no row reaches
    variance: Array  # [R]
    mean: Array  # [D]


def _eigenbasis(x: Array, weight: Array, dtype: jnp.dtype) -> _Basis:
    """Of the rows that count, each alike: the weights are in the loss alone."""
    multiply = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    present = (weight > 0).astype(dtype)
    rows = jnp.sum(present)
    x = x.astype(dtype)
    mean = multiply(present, x) / rows
    x = (x - mean) * present[:, None]
    if x.shape[0] > x.shape[1]:
        variance, directions = jnp.linalg.eigh(multiply(x.T, x) / rows)
        return _Basis(multiply(x, directions), directions, jnp.maximum(variance, 0), mean)
    variance, left = jnp.linalg.eigh(multiply(x, x.T) / rows)
    reached = variance > jnp.finfo(dtype).eps * len(x) * variance[-1]
    variance = jnp.where(reached, variance, 0)
    length = jnp.sqrt(variance * rows)
    directions = multiply(x.T, left) * jnp.where(reached, 1 / jnp.where(reached, length, 1), 0)
    return _Basis(left * length, directions, variance, mean)


def _objective(
    x: Array, y: Array, weight: Array, penalty: Array, head: Array
) -> tuple[Array, Array]:
    """Averaged objective and its gradient [D + 1, K'] at a head [D + 1, K']."""
    rows = jnp.sum(weight)
    block = _BLOCK if len(x) > _BLOCK and len(x) % _BLOCK == 0 else len(x)

    def add(i: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        x_i, y_i, weight_i = (
            jax.lax.dynamic_slice_in_dim(array, i * block, block) for array in (x, y, weight)
        )
        x_i = x_i.astype(head.dtype)
        loss, residual = row_loss(decision_values(x_i, head), y_i)
        residual = residual * weight_i[:, None]
        slope = jnp.matmul(x_i.T, residual, precision=jax.lax.Precision.HIGHEST)
        gradient = jnp.concatenate([slope, jnp.sum(residual, axis=0)[None]])
        return total[0] + weight_i @ loss, total[1] + gradient

    zero = jnp.zeros((), head.dtype), jnp.zeros_like(head)
    loss, gradient = (
        add(jnp.zeros((), jnp.int32), zero)
        if block == len(x)
        else jax.lax.fori_loop(0, len(x) // block, add, zero)
    )
    w = head[:-1]
    f = loss / rows + 0.5 * penalty * jnp.sum(w * w)
    return f, gradient / rows + jnp.concatenate([penalty * w, jnp.zeros_like(head[-1:])])


def row_loss(z: Array, y: Array) -> tuple[Array, Array]:
    """Loss of each row [N] and its derivative by the decision values [N, K']."""
    if z.shape[1] == 1:
        return (jax.nn.softplus(z) - y * z)[:, 0], jax.nn.sigmoid(z) - y
    return jax.nn.logsumexp(z, axis=1) - jnp.sum(y * z, axis=1), jax.nn.softmax(z, axis=1) - y


@jax.jit
def decision_values(x: Array, head: Array) -> Array:
    """x W + b: [N, D] and [..., D + 1, K'] -> [..., N, K']."""
    product = jnp.matmul(x, head[..., :-1, :], precision=jax.lax.Precision.HIGHEST)
    return product + head[..., -1:, :]


def targets(classes: np.ndarray, count: int) -> np.ndarray:
    """Class numbers [N] as the targets of `fit_heads`, float64 [N, K']."""
    one_hot = np.eye(count)[classes]
    return one_hot[:, 1:] if count == 2 else one_hot
