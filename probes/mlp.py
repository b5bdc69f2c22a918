"""MLP heads: one hidden layer of 256 ReLU units, the paper's check on the linear probe.

The recipe is scikit-learn's `MLPClassifier(hidden_layer_sizes=(256,), early_stopping=True)` at
its defaults: Adam of step 1e-3, batches of 200, L2 penalty, Glorot's uniform start, a tenth of
train held out; it stops when ten epochs have not improved the held-out accuracy by 1e-4, and the
best epoch's weights count. One thing differs: where fewer than 20 rows would be
held out, none are, and minus the training loss is the score: the accuracy on a handful of rows
would stop a few-shot fit before it has begun.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from probes.blocks import multiply
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
_FEWEST_TOGETHER = 8  # heads; so few go on to the last one's end


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


class _Head(NamedTuple):
    """What a head has of its own."""

    draw: Array  # its place among the draws
    alpha: Array
    key: Array  # of the order of rows


class _Draw(NamedTuple):
    """What a draw has of its own; features and targets stand apart."""

    mean: Array  # [D]
    deviation: Array  # [D]
    trained: Array  # [N], weights of the rows that are trained on
    held_out: Array  # [J]
    judged: Array  # [J], weights of the rows held out


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

    When half of the heads have stopped, the others go on alone, and so on.

    Args:
        x: Features [N, D] that all draws share, or [R, N, D].
        y: Targets [N, K'] or [R, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding [R, N].
        held_out: Numbers of the rows that the early stop is judged on, int [R, J]; N for padding.
        strength: C of each head [S]; the L2 penalty is 1e-4 / C.
        seed: Of start and order, uint32 [R].
        standardised: Train on features of mean 0 and variance 1 over the rows that count.

    Returns:
        The fits, each field with leading axes [S, R].
    """
    draw = jax.vmap(
        functools.partial(_draw, standardised=standardised),
        in_axes=(None if x.ndim == 2 else 0, 0, 0),
    )(x, weight, held_out)
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed)))(seed)  # [R, 2]
    axes = (len(strength), len(seed))
    heads = _Head(
        jnp.tile(jnp.arange(axes[1]), axes[0]),
        jnp.repeat(_ALPHA / strength, axes[1]),
        jnp.tile(keys[:, 0], axes[0]),
    )
    first = jax.vmap(functools.partial(_start, width=x.shape[-1], outputs=y.shape[-1]))(keys[:, 1])
    state = jax.vmap(_first_state)(jax.tree.map(lambda a: a[heads.draw], first))

    taken = jnp.arange(len(heads.draw))
    while True:
        left = len(taken) // 2 if len(taken) > _FEWEST_TOGETHER else 0
        own, some = jax.tree.map(lambda a, taken=taken: a[taken], (heads, state))
        some = jax.lax.while_loop(
            lambda some, left=left: jnp.sum(_running(some)) > left,
            lambda some, own=own: _epoch(x, y, draw, own, some),
            some,
        )
        state = jax.tree.map(lambda a, b, taken=taken: a.at[taken].set(b), state, some)
        if not left:
            break
        taken = jnp.argsort(~_running(state), stable=True)[:left]  # those that go on
    network = Network(draw.mean[heads.draw], draw.deviation[heads.draw], *state.best)
    end = MLP(network, state.epoch, state.objective, state.waited > _PATIENCE)
    return jax.tree.map(lambda a: a.reshape(*axes, *a.shape[1:]), end)


def _draw(x: Array, weight: Array, held_out: Array, *, standardised: bool) -> _Draw:
    mean, deviation = jnp.zeros(x.shape[1], x.dtype), jnp.ones(x.shape[1], x.dtype)
    if standardised:
        _, mean, deviation = standardise(x, weight, x.dtype)
    judged = weight.at[held_out].get(mode="fill", fill_value=0)
    return _Draw(mean, deviation, weight.at[held_out].set(0, mode="drop"), held_out, judged)


def _first_state(weights: tuple[Array, ...]) -> _State:
    none, far = jnp.zeros((), jnp.int32), jnp.array(jnp.inf, weights[0].dtype)
    return _State(weights, optax.adam(_STEP).init(weights), weights, -far, none, none, far)


def _running(state: _State) -> Array:
    return (state.waited <= _PATIENCE) & (state.epoch < _EPOCHS)


def _epoch(x: Array, y: Array, draw: _Draw, heads: _Head, state: _State) -> _State:
    """One epoch of the heads [H] that run; the others stay as they are."""

    def rows(number: Array, places: Array) -> tuple[Array, Array]:
        """Features, scaled, and targets of rows of a draw; places without a row give the last."""
        own_x, own_y = (
            (x[places], y[places]) if x.ndim == 2 else (x[number, places], y[number, places])
        )
        return (own_x - draw.mean[number]) / draw.deviation[number], own_y

    def train(head: _Head, state: _State) -> tuple[tuple[Array, ...], optax.OptState, Array]:
        trained = draw.trained[head.draw]
        batch = min(_BATCH, len(trained))
        noise = jax.random.uniform(jax.random.fold_in(head.key, state.epoch), trained.shape)
        # Rows that do not count come last, and behind them places without a row.
        order = jnp.argsort(jnp.where(trained > 0, noise, 2.0))
        order = jnp.append(order, jnp.full(batch, len(trained)))

        def step(i: Array, carry: tuple) -> tuple:
            weights, adam, summed = carry
            own = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
            weight = trained.at[own].get(mode="fill", fill_value=0)
            value, slope = jax.value_and_grad(_loss)(
                weights, *rows(head.draw, own), weight, head.alpha
            )
            update, adam = optax.adam(_STEP).update(slope, adam, weights)
            weights = optax.apply_updates(weights, update)
            return weights, adam, summed + value * jnp.sum(weight)

        steps = -(-jnp.sum(trained > 0) // batch)
        carry = (state.weights, state.adam, jnp.zeros((), x.dtype))
        weights, adam, summed = jax.lax.fori_loop(0, steps, step, carry)
        return weights, adam, summed / jnp.sum(trained)

    def judge(head: tuple[Array, tuple[Array, ...], Array]) -> Array:
        number, weights, objective = head
        judged = draw.judged[number]
        own_x, own_y = rows(number, draw.held_out[number])
        right = judged @ _right(_outputs(weights, own_x), own_y)
        return jnp.where(jnp.any(judged > 0), right / jnp.maximum(jnp.sum(judged), 1), -objective)

    def select(condition: Array, new: Any, old: Any) -> Any:
        def pick(a: Array, b: Array) -> Array:
            return jnp.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

        return jax.tree.map(pick, new, old)

    weights, adam, objective = jax.vmap(train)(heads, state)
    # One head after the other: the held-out rows of all together would not fit.
    score = jax.lax.map(judge, (heads.draw, weights, objective))
    new = _State(
        weights,
        adam,
        select(score > state.best_score, weights, state.best),
        jnp.maximum(score, state.best_score),
        jnp.where(score < state.best_score + _TOLERANCE, state.waited + 1, 0),
        state.epoch + 1,
        objective,
    )
    return select(_running(state), new, state)


def _loss(weights: tuple[Array, ...], x: Array, y: Array, weight: Array, alpha: Array) -> Array:
    total = jnp.maximum(jnp.sum(weight), 1)
    penalty = 0.5 * alpha * sum(jnp.sum(weights[i] ** 2) for i in (0, 2)) / total
    return weight @ row_loss(_outputs(weights, x), y)[0] / total + penalty


def _start(key: Array, width: int, outputs: int) -> tuple[Array, ...]:
    """Glorot's uniform start, biases too, as scikit-learn draws them."""
    keys = jax.random.split(key, 4)
    shapes = ((width, UNITS), (UNITS,), (UNITS, outputs), (outputs,))
    fans = (width + UNITS, width + UNITS, UNITS + outputs, UNITS + outputs)
    return tuple(
        jax.random.uniform(k, shape, jnp.float32, -((6 / fan) ** 0.5), (6 / fan) ** 0.5)
        for k, shape, fan in zip(keys, shapes, fans, strict=True)
    )


def _outputs(weights: tuple[Array, ...], x: Array) -> Array:
    w1, b1, w2, b2 = weights
    return multiply(jax.nn.relu(multiply(x, w1) + b1), w2) + b2


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
