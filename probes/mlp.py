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


@functools.partial(jax.jit, static_argnames=("standardised", "together"))
def fit_mlp(
    x: Array,
    y: Array,
    weight: Array,
    held_out: Array,
    strength: Array,
    seed: Array,
    *,
    standardised: bool = False,
    together: bool = True,
) -> MLP:
    """Trains S strengths on each of R draws of rows, float32.

    Args:
        x: Features [N, D] that all draws share, or [R, N, D].
        y: Targets [N, K'] or [R, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding [R, N].
        held_out: Numbers of the rows that the early stop is judged on, int [R, J]; N for padding.
        strength: C of each head [S]; the L2 penalty is 1e-4 / C.
        seed: Of start and order, uint32 [R].
        standardised: Train on features of mean 0 and variance 1 over the rows that count.
        together: Advance all heads until the last has stopped, which fills an accelerator; else
            one head after the other, each for its own epochs, which is faster on a CPU.

    Returns:
        The fits, each field with leading axes [S, R].
    """
    draws, strengths = len(seed), len(strength)
    fit = functools.partial(_fit, standardised=standardised)

    def fit_head(head: tuple[Array, Array]) -> MLP:
        C, r = head
        own_x, own_y = (x, y) if x.ndim == 2 else (x[r], y[r])
        return fit(own_x, own_y, weight[r], held_out[r], C, seed[r])

    heads = jnp.repeat(strength, draws), jnp.tile(jnp.arange(draws), strengths)
    end = jax.vmap(fit_head)(heads) if together else jax.lax.map(fit_head, heads)
    return jax.tree.map(lambda a: a.reshape(strengths, draws, *a.shape[1:]), end)


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
        _, mean, deviation = standardise(x, weight, x.dtype)
    judged = weight.at[held_out].get(mode="fill", fill_value=0)  # [J]
    trained = weight.at[held_out].set(0, mode="drop")
    used = jnp.sum(trained > 0)
    batch = min(_BATCH, rows)
    alpha = _ALPHA / strength
    adam = optax.adam(_STEP)

    def loss(weights: tuple[Array, ...], x: Array, y: Array, weight: Array) -> Array:
        total = jnp.maximum(jnp.sum(weight), 1)
        penalty = 0.5 * alpha * sum(jnp.sum(weights[i] ** 2) for i in (0, 2)) / total
        return weight @ row_loss(_outputs(weights, x), y)[0] / total + penalty

    def epoch(state: _State) -> _State:
        noise = jax.random.uniform(jax.random.fold_in(key, state.epoch), (rows,))
        # Rows that do not count come last, and behind them places without a row.
        order = jnp.argsort(jnp.where(trained > 0, noise, 2.0))
        order = jnp.append(order, jnp.full(batch, rows))

        def step(i: Array, carry: tuple) -> tuple:
            weights, adam_state, summed = carry
            own = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
            x_own = (x[own] - mean) / deviation
            weight_own = trained.at[own].get(mode="fill", fill_value=0)
            value, slope = jax.value_and_grad(loss)(weights, x_own, y[own], weight_own)
            update, adam_state = adam.update(slope, adam_state, weights)
            weights = optax.apply_updates(weights, update)
            return weights, adam_state, summed + value * jnp.sum(weight_own)

        carry = (state.weights, state.adam, jnp.zeros((), x.dtype))
        weights, adam_state, summed = jax.lax.fori_loop(0, -(-used // batch), step, carry)
        objective = summed / jnp.sum(trained)
        right = _right(_outputs(weights, x_judged), y_judged)
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

    x_judged = (x.at[held_out].get(mode="fill", fill_value=0) - mean) / deviation
    y_judged = y.at[held_out].get(mode="fill", fill_value=0)
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
