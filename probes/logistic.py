"""Logistic-regression heads: scikit-learn's objective, all heads of a batch in one compiled fit.

    0.5 ||W||^2 + C sum_i loss(x_i W + b, y_i),   b free

One weight vector for two classes (binomial loss), K for three and more (multinomial loss).
Divided by C n it is the mean loss with penalty ||W||^2 / (2 C n), which is what scikit-learn's
`LogisticRegression(solver='lbfgs')` minimises and what its tolerances refer to.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from probes.lbfgs import Result, Stopping, minimise

SOLVERS: Mapping[str, Stopping] = {
    # scikit-learn 1.5: tol=1e-4, max_iter=1000, ftol = 64 eps of float64.
    "geneb": Stopping(1e-4, 64 * 2.0**-52, 1000),
    "converged": Stopping(1e-8, 0.0, 20000),
}


@functools.partial(jax.jit, static_argnames=("stopping",))
def fit_heads(x: Array, y: Array, weight: Array, strength: Array, *, stopping: Stopping) -> Result:
    """Fits H heads together.

    Args:
        x: Features [N, D] that all heads share, or [H, N, D].
        y: Targets [N, K'] or [H, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: 1 for a row that counts, 0 for padding, [N] or [H, N].
        strength: C of each head [H].
        stopping: When a head stops.

    Returns:
        The fits, each field with a leading axis H; `x` is the head's [D + 1, K'] flattened, the
        last row its intercepts; `f` is the averaged objective.
    """
    shared = None if x.ndim == 2 else 0

    def fit(x: Array, y: Array, weight: Array, strength: Array) -> Result:
        rows = jnp.sum(weight)
        penalty = 1 / (strength * rows)

        def objective(flat: Array) -> tuple[Array, Array]:
            head = flat.reshape(x.shape[1] + 1, y.shape[1])
            z = decision_values(x, head)
            loss, residual = _loss(z, y)
            residual = residual * weight[:, None] / rows
            slope = jnp.matmul(x.T, residual, precision=jax.lax.Precision.HIGHEST)
            w = head[:-1]
            f = weight @ loss / rows + 0.5 * penalty * jnp.sum(w * w)
            g = jnp.concatenate([slope + penalty * w, jnp.sum(residual, axis=0)[None]])
            return f, g.ravel()

        return minimise(objective, jnp.zeros((x.shape[1] + 1) * y.shape[1], x.dtype), stopping)

    return jax.vmap(fit, in_axes=(shared, shared, shared, 0))(x, y, weight, strength)


def _loss(z: Array, y: Array) -> tuple[Array, Array]:
    """Loss of each row [N] and its derivative by the decision values [N, K']."""
    if z.shape[1] == 1:
        return (jax.nn.softplus(z) - y * z)[:, 0], jax.nn.sigmoid(z) - y
    return jax.nn.logsumexp(z, axis=1) - jnp.sum(y * z, axis=1), jax.nn.softmax(z, axis=1) - y


@jax.jit
def decision_values(x: Array, head: Array) -> Array:
    """x W + b: [N, D] and [..., D + 1, K'] -> [..., N, K']."""
    product = jnp.matmul(x, head[..., :-1, :], precision=jax.lax.Precision.HIGHEST)
    return product + head[..., -1:, :]


def predict(values: np.ndarray) -> np.ndarray:
    """Class numbers [..., N] from decision values [..., N, K']."""
    if values.shape[-1] == 1:
        return (values[..., 0] > 0).astype(np.int64)
    return np.argmax(values, axis=-1)


def targets(classes: np.ndarray, count: int) -> np.ndarray:
    """Class numbers [N] as the targets of `fit_heads`, float64 [N, K']."""
    one_hot = np.eye(count)[classes]
    return one_hot[:, 1:] if count == 2 else one_hot
