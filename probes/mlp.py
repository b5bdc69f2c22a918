"""MLP heads: one hidden layer of 256 ReLU units, the paper's check on the linear probe.

The recipe is scikit-learn's `MLPClassifier(hidden_layer_sizes=(256,), early_stopping=True)` at
its defaults: Adam of step 1e-3, batches of 200, L2 penalty, Glorot's uniform start, a tenth of
train held out; it stops when ten epochs have not improved the held-out accuracy by 1e-4, and the
best epoch's weights count. One thing differs: where fewer than 20 rows would be
held out, none are, and minus the training loss is the score: the accuracy on a handful of rows
would stop a few-shot fit before it has begun.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Bool, Float, Float32, Int, Int32, Key, UInt32

from probes.blocks import multiply
from probes.draws import Draw, PaddedRows, padded_rows
from probes.heads import put_heads, take_heads, where_heads
from probes.kind import FittedHeads, Kind
from probes.loss import row_loss
from probes.padding import ladder, pad
from probes.probe import Probe
from probes.rows import TaskRows
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
    """Parameters of heads; the leading axes are those of the heads.

    Attributes:
        mean, deviation: What the features are standardised with.
        w1, b1: The hidden layer.
        w2, b2: The outputs.
    """

    mean: Float[Array, "*heads D"]
    deviation: Float[Array, "*heads D"]
    w1: Float[Array, "*heads D 256"]
    b1: Float[Array, "*heads 256"]
    w2: Float[Array, "*heads 256 K1"]
    b2: Float[Array, "*heads K1"]


class MLP(NamedTuple):
    """Fits of S strengths on R draws.

    Attributes:
        network: The parameters of the best epoch.
        epochs: How many epochs were done.
        objective: Mean loss with penalty over the last epoch.
        converged: Whether it stopped before the limit of epochs.
    """

    network: Network
    epochs: Int[Array, "S R"]
    objective: Float[Array, "S R"]
    converged: Bool[Array, "S R"]


class _Draws(NamedTuple):
    """What draws differ in beside features and targets; J rows are held out, or padding."""

    mean: Float[Array, "R D"]
    deviation: Float[Array, "R D"]
    trained: Float[Array, "R N"]  # weights of the rows that are trained on
    held_out: Int[Array, "R J"]  # numbers of the rows that are not; N for padding
    judged: Float[Array, "R J"]  # their weights


class _Heads(NamedTuple):
    """What heads differ in."""

    draw: Int[Array, " H"]  # number of its draw
    alpha: Float[Array, " H"]
    key: Key[Array, " H"]  # of the order of rows


class _State(NamedTuple):
    """State of each head's training."""

    weights: tuple[Float[Array, "H ..."], ...]
    adam: optax.OptState
    best: tuple[Float[Array, "H ..."], ...]
    best_score: Float[Array, " H"]
    waited: Int[Array, " H"]  # epochs without an improvement
    epoch: Int[Array, " H"]
    objective: Float[Array, " H"]


def fit_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> FittedHeads:
    """Fits heads of strengths C [S] on R draws of rows, in float32; see `kind.Kind`."""
    with jax.enable_x64(False):
        arrays = _arrays(train, draws, strengths)
        end = fit_mlp(*arrays, standardised=probe.standardised)
    end = jax.device_get(end)
    unknown = np.full(end.epochs.shape, np.nan)
    return FittedHeads(end.network, end.epochs, end.objective, unknown, end.converged)


def compile_heads(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray, probe: Probe
) -> None:
    """Compiles what `fit_heads` runs; see `kind.Kind`."""
    with jax.enable_x64(False):
        arrays = _arrays(train, draws, strengths)
        fit_mlp.lower(*arrays, standardised=probe.standardised).compile()


def _arrays(
    train: TaskRows, draws: Sequence[Draw], strengths: np.ndarray
) -> tuple[Array | np.ndarray, ...]:
    """Returns the arrays that `fit_mlp` takes, in its order."""
    rows = padded_rows(train, draws)
    x, y, weight = (array.astype(np.float32) for array in (rows.x, rows.y, rows.weight))
    return x, y, weight, _held_out_rows(rows), strengths.astype(np.float32), rows.seeds


def _held_out_rows(rows: PaddedRows) -> Int32[np.ndarray, "R J"]:
    """Draws the rows that the early stop of each draw's fit is judged on; N for padding.

    There are none where they would be few.
    """
    draws = []
    for y, weight, seed in zip(
        np.broadcast_to(rows.y, (len(rows.weight), *rows.y.shape[-2:])),
        rows.weight,
        rows.seeds,
        strict=True,
    ):
        present = np.flatnonzero(weight > 0)
        classes = y[present, 0] if y.shape[1] == 1 else np.argmax(y[present], axis=1)
        aside = present[stratified_carve(classes.astype(int), _HELD_OUT, int(seed))]
        draws.append(aside if len(aside) >= _FEWEST_HELD_OUT else aside[:0])
    most = max(map(len, draws))
    held_out = np.full((len(draws), ladder(most) if most else 0), rows.weight.shape[1], np.int32)
    for numbers, aside in zip(held_out, draws, strict=True):
        numbers[: len(aside)] = aside
    return held_out


@functools.partial(jax.jit, static_argnames=("standardised",))
def fit_mlp(
    x: Float[Array, "*draws N D"],
    y: Float[Array, "*draws N K1"],
    weight: Float[Array, "R N"],
    held_out: Int[Array, "R J"],
    strength: Float[Array, " S"],
    seed: UInt32[Array, " R"],
    *,
    standardised: bool = False,
) -> MLP:
    """Trains S strengths on each of R draws of rows together, float32.

    When half of the heads have stopped, the others go on alone, and so on.

    Args:
        x: Features.
        y: Targets: the second class's indicator (K1 = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding.
        held_out: Numbers of the rows that the early stop is judged on; N for padding.
        strength: C of each head; the L2 penalty is 1e-4 / C.
        seed: Seed of the start and of the order of rows.
        standardised: Train on features of mean 0 and variance 1 over the rows with a weight above
            0, held-out ones included.
    """
    draws = jax.vmap(
        functools.partial(_draw_facts, standardised=standardised),
        in_axes=(None if x.ndim == 2 else 0, 0, 0),
    )(x, weight, held_out)
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed)))(seed)  # [R, 2]
    axes = (len(strength), len(seed))
    heads = _Heads(
        jnp.tile(jnp.arange(axes[1]), axes[0]),
        jnp.repeat(_ALPHA / strength, axes[1]),
        jnp.tile(keys[:, 0], axes[0]),
    )
    first = jax.vmap(functools.partial(_start, width=x.shape[-1], outputs=y.shape[-1]))(keys[:, 1])
    state = jax.vmap(_first_state)(take_heads(first, heads.draw))

    going = jnp.arange(len(heads.draw))  # numbers of the heads that go on
    while True:
        left = len(going) // 2 if len(going) > _FEWEST_TOGETHER else 0
        some_heads, some = take_heads((heads, state), going)
        some = jax.lax.while_loop(
            lambda some, left=left: jnp.sum(_running(some)) > left,
            lambda some, some_heads=some_heads: _epoch(x, y, draws, some_heads, some),
            some,
        )
        state = put_heads(state, going, some)
        if not left:
            break
        going = jnp.argsort(~_running(state), stable=True)[:left]
    network = Network(draws.mean[heads.draw], draws.deviation[heads.draw], *state.best)
    end = MLP(network, state.epoch, state.objective, state.waited > _PATIENCE)
    return jax.tree.map(lambda a: a.reshape(*axes, *a.shape[1:]), end)


def _draw_facts(
    x: Float[Array, "N D"],
    weight: Float[Array, " N"],
    held_out: Int[Array, " J"],
    *,
    standardised: bool,
) -> _Draws:
    """Returns what is to be known of one draw, without the axis R."""
    mean, deviation = jnp.zeros(x.shape[1], x.dtype), jnp.ones(x.shape[1], x.dtype)
    if standardised:
        _, mean, deviation = standardise(x, weight, x.dtype)
    judged = weight.at[held_out].get(mode="fill", fill_value=0)
    return _Draws(mean, deviation, weight.at[held_out].set(0, mode="drop"), held_out, judged)


def _first_state(weights: tuple[Array, ...]) -> _State:
    """Returns the state before training of one head, without the axis H."""
    none, far = jnp.zeros((), jnp.int32), jnp.array(jnp.inf, weights[0].dtype)
    return _State(weights, optax.adam(_STEP).init(weights), weights, -far, none, none, far)


def _running(state: _State) -> Array:
    return (state.waited <= _PATIENCE) & (state.epoch < _EPOCHS)


def _epoch(x: Array, y: Array, draws: _Draws, heads: _Heads, state: _State) -> _State:
    """Trains heads that run for one epoch; the others stay as they are."""

    def rows_of(draw: Array, numbers: Array) -> tuple[Array, Array]:
        """Returns standardised features and targets of rows of a draw; beyond N, of the last."""
        rows = numbers if x.ndim == 2 else (draw, numbers)
        return (x[rows] - draws.mean[draw]) / draws.deviation[draw], y[rows]

    def train(head: _Heads, state: _State) -> tuple[tuple[Array, ...], optax.OptState, Array]:
        trained = draws.trained[head.draw]
        batch = min(_BATCH, len(trained))
        noise = jax.random.uniform(jax.random.fold_in(head.key, state.epoch), trained.shape)
        # Rows that are not trained on come last, and behind them numbers without a row.
        order = jnp.argsort(jnp.where(trained > 0, noise, 2.0))
        order = jnp.append(order, jnp.full(batch, len(trained)))

        def step(i: Array, carry: tuple) -> tuple:
            weights, adam, summed = carry
            numbers = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
            weight = trained.at[numbers].get(mode="fill", fill_value=0)
            value, slope = jax.value_and_grad(_loss)(
                weights, *rows_of(head.draw, numbers), weight, head.alpha
            )
            update, adam = optax.adam(_STEP).update(slope, adam, weights)
            weights = optax.apply_updates(weights, update)
            return weights, adam, summed + value * jnp.sum(weight)

        steps = -(-jnp.sum(trained > 0) // batch)
        carry = (state.weights, state.adam, jnp.zeros((), x.dtype))
        weights, adam, summed = jax.lax.fori_loop(0, steps, step, carry)
        return weights, adam, summed / jnp.sum(trained)

    def judge(head: tuple[Array, tuple[Array, ...], Array]) -> Array:
        """Returns the held-out accuracy of a head, or minus its objective where none are held."""
        draw, weights, objective = head
        judged = draws.judged[draw]
        features, targets = rows_of(draw, draws.held_out[draw])
        right = judged @ _right(_outputs(weights, features), targets)
        return jnp.where(jnp.any(judged > 0), right / jnp.maximum(jnp.sum(judged), 1), -objective)

    weights, adam, objective = jax.vmap(train)(heads, state)
    # One head after the other: the held-out rows of all together would not fit.
    score = jax.lax.map(judge, (heads.draw, weights, objective))
    new = _State(
        weights,
        adam,
        where_heads(score > state.best_score, weights, state.best),
        jnp.maximum(score, state.best_score),
        jnp.where(score < state.best_score + _TOLERANCE, state.waited + 1, 0),
        state.epoch + 1,
        objective,
    )
    return where_heads(_running(state), new, state)


def _loss(weights: tuple[Array, ...], x: Array, y: Array, weight: Array, alpha: Array) -> Array:
    """Returns the mean loss with penalty of a batch of rows."""
    total = jnp.maximum(jnp.sum(weight), 1)
    penalty = 0.5 * alpha * sum(jnp.sum(weights[i] ** 2) for i in (0, 2)) / total
    return weight @ row_loss(_outputs(weights, x), y)[0] / total + penalty


def _start(key: Array, width: int, outputs: int) -> tuple[Array, ...]:
    """Draws Glorot's uniform start, for the biases too, as scikit-learn does."""
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
    """Returns 1 for each row whose class is predicted, else 0, float [N]."""
    if z.shape[1] == 1:
        return ((z[:, 0] > 0) == (y[:, 0] > 0.5)).astype(z.dtype)
    return (jnp.argmax(z, axis=1) == jnp.argmax(y, axis=1)).astype(z.dtype)


def decision_values(
    x: Float32[np.ndarray, "M D"], network: Network
) -> Float32[np.ndarray, "S R M K1"]:
    """Returns the decision values of networks with the leading axes [S, R], in float32."""
    with jax.enable_x64(False):
        values = mlp_values(pad(x, ladder(len(x))), network)
    return jax.device_get(values)[:, :, : len(x)]


@jax.jit
def mlp_values(x: Float[Array, "M D"], network: Network) -> Float[Array, "S R M K1"]:
    """Returns the decision values of networks with the leading axes [S, R]; traceable."""

    def values(network: Network) -> Array:
        return _outputs(network[2:], (x - network.mean) / network.deviation)

    # One head after the other: [M, 256] of all heads together would not fit beside the features.
    axes = network.b2.shape[:2]
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), network)
    of_heads = jax.lax.map(values, flat)
    return of_heads.reshape(*axes, *of_heads.shape[1:])


KIND = Kind(fit_heads, decision_values, compile_heads, solver="adam", seeded=True)
