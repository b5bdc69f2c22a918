"""Ridge heads: scikit-learn's `RidgeClassifier`, all strengths from one eigendecomposition.

    0.5 ||W||^2 + C sum_i weight_i ||t_i - x_i W - b||^2,   b free, targets t = +-1

which is ridge regression with alpha = 1 / (2 C). With centred, weighted features X = U S V',

    W = V (S^2 + alpha)^-1 V' X'T  for N > D,   W = X' U (S^2 + alpha)^-1 U' T  otherwise,

so that one decomposition of the smaller of X'X and XX' serves all strengths and classes (the two
forms of google-research/big_vision's few-shot evaluator).
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from probes.blocks import multiply
from probes.draws import Draw, padded_rows
from probes.eigen import eigh
from probes.kind import FittedHeads, Kind
from probes.linear import decision_values
from probes.probe import Probe
from probes.rows import TaskRows
from probes.standardise import fold_into_head, standardise


class Ridge(NamedTuple):
    """Fits of S strengths on R draws.

    Attributes:
        head: W, and b as the last row.
        objective: The objective above divided by C and the sum of weights.
        gradient_norm: Largest absolute entry of its gradient.
    """

    head: Float[Array, "R S D+1 K1"]
    objective: Float[Array, "R S"]
    gradient_norm: Float[Array, "R S"]


def fit_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> FittedHeads:
    """Fits heads of strengths C [S] on R draws of rows; see `kind.Kind`."""
    rows = padded_rows(train, draws)
    with jax.enable_x64(True):
        end = fit_ridge(rows.x, rows.y, rows.weight, strengths, standardised=probe.standardised)
    head, objective, gradient = (np.swapaxes(array, 0, 1) for array in jax.device_get(end))
    none, done = np.zeros(objective.shape, int), np.ones(objective.shape, bool)
    return FittedHeads(head, none, objective, gradient, done)


def compile_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> None:
    """Compiles what `fit_heads` runs; see `kind.Kind`."""
    rows = padded_rows(train, draws)
    with jax.enable_x64(True):
        fit_ridge.lower(
            rows.x, rows.y, rows.weight, strengths, standardised=probe.standardised
        ).compile()


@functools.partial(jax.jit, static_argnames=("standardised",))
def fit_ridge(
    x: Float[Array, "*draws N D"],
    y: Float[Array, "*draws N K1"],
    weight: Float[Array, "R N"],
    strength: Float[Array, " S"],
    *,
    standardised: bool = False,
) -> Ridge:
    """Fits S strengths on each of R draws of rows; arithmetic is in the dtype of `strength`.

    Args:
        x: Features.
        y: Targets, 0 or 1: the second class's indicator (K1 = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding.
        strength: C of each head.
        standardised: See `logistic.fit_logistic`.
    """
    fit = functools.partial(_fit_draw, strength=strength, standardised=standardised)
    if x.ndim == 3:
        return jax.vmap(fit)(x, y, weight)
    # One draw after the other: each centres a copy of the features.
    return jax.lax.map(lambda draw_weight: fit(x, y, draw_weight), weight)


def _fit_draw(
    x: Float[Array, "N D"],
    y: Float[Array, "N K1"],
    weight: Float[Array, " N"],
    strength: Float[Array, " S"],
    *,
    standardised: bool,
) -> Ridge:
    mean, deviation = jnp.zeros(x.shape[1], strength.dtype), jnp.ones(x.shape[1], strength.dtype)
    if standardised:
        x, mean, deviation = standardise(x, weight, strength.dtype)
    x, t = x.astype(strength.dtype), 2 * y.astype(strength.dtype) - 1
    total = jnp.sum(weight)
    x_mean, t_mean = multiply(weight, x) / total, multiply(weight, t) / total
    root = jnp.sqrt(weight)[:, None]
    x_c, t_c = (x - x_mean) * root, (t - t_mean) * root
    alpha = 1 / (2 * strength)
    if x.shape[0] > x.shape[1]:
        squares, v = eigh(multiply(x_c.T, x_c))
        projected = multiply(v.T, multiply(x_c.T, t_c))
        back = v
    else:
        squares, u = eigh(multiply(x_c, x_c.T))
        projected = multiply(u.T, t_c)
        back = multiply(x_c.T, u)
    squares = jnp.maximum(squares, 0)[:, None]

    def solve(alpha: Array) -> tuple[Array, Array, Array]:
        w = multiply(back, projected / (squares + alpha))
        residual = multiply(x_c, w) - t_c
        objective = (jnp.sum(residual**2) + alpha * jnp.sum(w**2)) / total
        gradient = 2 * (multiply(x_c.T, residual) + alpha * w) / total
        head = jnp.concatenate([w, (t_mean - x_mean @ w)[None]])
        return fold_into_head(head, mean, deviation), objective, jnp.max(jnp.abs(gradient))

    return Ridge(*jax.vmap(solve)(alpha))


KIND = Kind(fit_heads, decision_values, compile_heads, solver="closed form")
