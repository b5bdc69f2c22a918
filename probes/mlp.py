"""MLP heads: one hidden layer of 256 ReLU units, the paper's check on the linear probe.

The recipe is scikit-learn's `MLPClassifier(hidden_layer_sizes=(256,), early_stopping=True)` at
its defaults: Adam of step 1e-3, batches of 200, L2 penalty, Glorot's uniform start, a tenth of
train held out; it stops when ten epochs have not improved the held-out accuracy by 1e-4, and the
best epoch's weights count. One thing differs: where fewer than 20 rows would be
held out, none are, and minus the training loss is the score: the accuracy on a handful of rows
would stop a few-shot fit before it has begun.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from probes.logistic import row_loss
from probes.sampling import stratified_carve
from probes.standardise import standardise

UNITS = 256
_HELD_OUT = 0.1
_FEWEST_HELD_OUT = 20
_BATCH = 200
_STEP = 1e-3
_ALPHA = 1e-4  # L2 penalty at C = 1
_EPOCHS = 200
_PATIENCE = 10
_TOLERANCE = 1e-4

_multiply = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


class Network(NamedTuple):
    """Parameters; leading axes are heads.

    Attributes:
        mean, deviation: [D], of the features as given.
        w1, b1: [D, 256] and [256].
        w2, b2: [256, K'] and [K'].
    """

    mean: Array
    deviation: Array
    w1: Array
    b1: Array
    w2: Array
    b2: Array


class MLP(NamedTuple):
    """Fits.

    Attributes:
        network: The best epoch's.
        epochs: Epochs done.
        objective: Mean loss with penalty over the last epoch.
        converged: Whether it stopped before the limit of epochs.
    """

    network: Network
    epochs: Array
    objective: Array
    converged: Array


class _State(NamedTuple):
    weights: tuple[Array, ...]
    adam: optax.OptState
    best: tuple[Array, ...]
    best_score: Array
    waited: Array
    epoch: Array
    objective: Array


@functools.partial(jax.jit, static_argnames=("standardised",))
def fit_mlp(
    x: Array,
    y: Array,
    weight: Array,
    held_out: Array,
    strength: Array,
    seed: Array,
    *,
    standardised: bool = False,
) -> MLP:
    """Trains S strengths on each of R draws of rows together, float32.

    Args:
        x: Features [N, D] that all draws share, or [R, N, D].
        y: Targets [N, K'] or [R, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding [R, N].
        held_out: Rows that the early stop is judged on, bool [R, N].
        strength: C of each head [S]; the L2 penalty is 1e-4 / C.
        seed: Of start and order, uint32 [R].
        standardised: Train on features of mean 0 and variance 1 over the rows that count.

    Returns:
        The fits, each field with leading axes [S, R].
    """
    shared = None if x.ndim == 2 else 0
    fit = functools.partial(_fit, standardised=standardised)
    draws = jax.vmap(fit, in_axes=(shared, shared, 0, 0, None, 0))
    return jax.vmap(draws, in_axes=(None, None, None, None, 0, None))(
        x, y, weight, held_out, strength, seed
    )


def _fit(
    x: Array,
    y: Array,
    weight: Array,
    held_out: Array,
    strength: Array,
    seed: Array,
    *,
    standardised: bool,
) -> MLP:
    rows, width = x.shape
    mean, deviation = jnp.zeros(width, x.dtype), jnp.ones(width, x.dtype)
    if standardised:
        x, mean, deviation = standardise(x, weight, x.dtype)
    trained = jnp.where(held_out, 0, weight)
    judged = jnp.where(held_out, weight, 0)
    batch = min(_BATCH, rows)
    alpha = _ALPHA / strength
    adam = optax.adam(_STEP)

    def loss(weights: tuple[Array, ...], x: Array, y: Array, weight: Array) -> Array:
        total = jnp.maximum(jnp.sum(weight), 1)
        penalty = 0.5 * alpha * sum(jnp.sum(weights[i] ** 2) for i in (0, 2)) / total
        return weight @ row_loss(_outputs(weights, x), y)[0] / total + penalty

    def epoch(state: _State) -> _State:
        noise = jax.random.uniform(jax.random.fold_in(key, state.epoch), (rows,))
        order = jnp.argsort(jnp.where(trained > 0, noise, 2.0))  # rows that do not count last

        def step(i: Array, carry: tuple) -> tuple:
            weights, adam_state, summed = carry
            own = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
            value, slope = jax.value_and_grad(loss)(weights, x[own], y[own], trained[own])
            update, new = adam.update(slope, adam_state, weights)
            counted = jnp.sum(trained[own])
            moved = (optax.apply_updates(weights, update), new)
            kept = jax.tree.map(
                lambda a, b: jnp.where(counted > 0, a, b), moved, (weights, adam_state)
            )
            return *kept, summed + value * counted

        carry = (state.weights, state.adam, jnp.zeros((), x.dtype))
        weights, adam_state, summed = jax.lax.fori_loop(0, -(-rows // batch), step, carry)
        objective = summed / jnp.sum(trained)
        right = _right(_outputs(weights, x), y)
        score = jnp.where(
            jnp.any(judged > 0), judged @ right / jnp.maximum(jnp.sum(judged), 1), -objective
        )
        better = score > state.best_score
        return _State(
            weights,
            adam_state,
            jax.tree.map(lambda a, b: jnp.where(better, a, b), weights, state.best),
            jnp.maximum(score, state.best_score),
            jnp.where(score < state.best_score + _TOLERANCE, state.waited + 1, 0),
            state.epoch + 1,
            objective,
        )

    key, start = jax.random.split(jax.random.key(seed))
    weights = _start(start, width, y.shape[-1], x.dtype)
    none = jnp.zeros((), jnp.int32)
    state = _State(
        weights,
        adam.init(weights),
        weights,
        jnp.array(-jnp.inf, x.dtype),
        none,
        none,
        jnp.array(jnp.inf, x.dtype),
    )
    end = jax.lax.while_loop(
        lambda state: (state.waited <= _PATIENCE) & (state.epoch < _EPOCHS), epoch, state
    )
    return MLP(Network(mean, deviation, *end.best), end.epoch, end.objective, end.epoch < _EPOCHS)


def _start(key: Array, width: int, outputs: int, dtype: jnp.dtype) -> tuple[Array, ...]:
    """Glorot's uniform start, biases too, as scikit-learn draws them."""
    keys = jax.random.split(key, 4)
    shapes = ((width, UNITS), (UNITS,), (UNITS, outputs), (outputs,))
    fans = (width + UNITS, width + UNITS, UNITS + outputs, UNITS + outputs)
    return tuple(
        jax.random.uniform(k, shape, dtype, -((6 / fan) ** 0.5), (6 / fan) ** 0.5)
        for k, shape, fan in zip(keys, shapes, fans, strict=True)
    )


def _outputs(weights: tuple[Array, ...], x: Array) -> Array:
    w1, b1, w2, b2 = weights
    return _multiply(jax.nn.relu(_multiply(x, w1) + b1), w2) + b2


def _right(z: Array, y: Array) -> Array:
    """1 for each row whose class is predicted, float [N]."""
    if z.shape[1] == 1:
        return ((z[:, 0] > 0) == (y[:, 0] > 0.5)).astype(z.dtype)
    return (jnp.argmax(z, axis=1) == jnp.argmax(y, axis=1)).astype(z.dtype)


@jax.jit
def mlp_values(x: Array, network: Network) -> Array:
    """Decision values [S, R, M, K'] of networks with leading axes [S, R] on features [M, D]."""

    def values(own: Network) -> Array:
        return _outputs(own[2:], (x - own.mean) / own.deviation)

    # One head after the other: [M, 256] of all heads together would not fit beside the features.
    axes = network.b2.shape[:2]
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), network)
    found = jax.lax.map(values, flat)
    return found.reshape(*axes, *found.shape[1:])


def mlp_held_out(classes: np.ndarray, seed: int) -> np.ndarray:
    """Rows that the early stop of a fit is judged on, bool [N]; none where they would be few."""
    aside = stratified_carve(classes, _HELD_OUT, seed)
    return aside if aside.sum() >= _FEWEST_HELD_OUT else np.zeros_like(aside)
