"""Recurrences of state-space models, bounded in memory.

Letters of shapes: B batch, L length, D width, H heads, S states.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Float32, Shaped

_CHUNK = 32  # steps whose states [B, chunk, D, S] are held at once


def selective_scan(
    x: Float[Array, "B L D"],
    dt: Float[Array, "B L D"],
    a: Float[Array, "D S"],
    b: Float[Array, "B L S"],
    c: Float[Array, "B L S"],
) -> Float32[Array, "B L D"]:
    """Runs Mamba's selective scan (Gu and Dao 2023) in float32.

    h_t = exp(dt_t a) h_{t-1} + dt_t b_t x_t,   y_t = sum_s c_t[s] h_t[:, s],   h before 0 is 0.

    The states of the whole length never stand in memory. A CPU goes step by step, which is the
    least work; other devices go chunk by chunk, each an associative scan, which is the fewest
    steps.

    Args:
        x: Input.
        dt: Step sizes, positive.
        a: Rates of decay, negative.
        b: Input weights of each step.
        c: Output weights of each step.

    Returns:
        The outputs y.
    """
    steps = tuple(array.astype(jnp.float32) for array in (x, dt, b, c))
    a = a.astype(jnp.float32)
    return jax.lax.platform_dependent(*steps, a, cpu=_scan_by_step, default=_scan_by_chunk)


def _scan_by_step(x: Array, dt: Array, b: Array, c: Array, a: Array) -> Array:
    # States are [B, S, D], and y a product: wide rows, and a sum that is not fused with the
    # exponentials, which a CPU would compute one by one in a batch of one record.
    a = a.T

    def advance(h: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        x, dt, b, c = step
        h = jnp.exp(dt[:, None] * a) * h + (dt * x)[:, None] * b[..., None]
        return h, jnp.einsum("bnd,bn->bd", h, c, precision=jax.lax.Precision.HIGHEST)

    start = jnp.zeros((len(x), *a.shape), jnp.float32)
    _, y = jax.lax.scan(advance, start, tuple(s.swapaxes(0, 1) for s in (x, dt, b, c)))
    return y.swapaxes(0, 1)


def _scan_by_chunk(x: Array, dt: Array, b: Array, c: Array, a: Array) -> Array:
    batch, length, width = x.shape
    count = -(-length // _CHUNK)
    # A step of size 0 keeps the state: padding to whole chunks changes nothing before it.
    padding = ((0, 0), (0, count * _CHUNK - length), (0, 0))
    steps = [jnp.pad(s, padding) for s in (x, dt, b, c)]
    chunks = [s.reshape(batch, count, _CHUNK, -1).swapaxes(0, 1) for s in steps]

    def combine(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
        return left[0] * right[0], left[1] * right[0] + right[1]

    def advance(h: Array, chunk: list[Array]) -> tuple[Array, Array]:
        x, dt, b, c = chunk
        decay = jnp.exp(dt[..., None] * a)
        gain = (dt * x)[..., None] * b[:, :, None, :]
        decay, states = jax.lax.associative_scan(combine, (decay, gain), axis=1)
        states = states + decay * h[:, None]
        return states[:, -1], jnp.sum(states * c[:, :, None, :], axis=-1)

    start = jnp.zeros((batch, width, a.shape[1]), jnp.float32)
    _, y = jax.lax.scan(advance, start, chunks)
    return y.swapaxes(0, 1).reshape(batch, -1, width)[:, :length]


def state_space_duality(
    x: Float[Array, "B L H D"],
    dt: Float[Array, "B L H"],
    a: Float[Array, " H"],
    b: Float[Array, "B L S"],
    c: Float[Array, "B L S"],
) -> Float32[Array, "B L H D"]:
    """Runs Mamba-2's scan (Dao and Gu 2024) in float32: one decay a head, states of D x S.

    S_t = exp(dt_t a) S_{t-1} + dt_t x_t b_t',   y_t = S_t c_t,   S before 0 is 0.

    Inside a chunk the sum over earlier tokens is a masked matrix product, between chunks the
    state is carried.

    Args:
        x: Input, of H heads of width D.
        dt: Step sizes, positive.
        a: Rates of decay, negative.
        b: Input weights of each step, shared by the heads.
        c: Output weights of each step, shared by the heads.

    Returns:
        The outputs y.
    """
    batch, length, heads, width = x.shape
    count = -(-length // _CHUNK)
    exact = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

    def split(array: Array) -> Array:
        array = array.astype(jnp.float32)
        padding = [(0, 0)] * array.ndim
        padding[1] = (0, count * _CHUNK - length)  # a step of size 0 keeps the state
        array = jnp.pad(array, padding)
        return array.reshape(batch, count, _CHUNK, *array.shape[2:]).swapaxes(0, 1)

    earlier = jnp.tril(jnp.ones((_CHUNK, _CHUNK), bool))[:, :, None]

    def advance(state: Array, chunk: tuple[Array, ...]) -> tuple[Array, Array]:
        x, dt, b, c = chunk
        total = jnp.cumsum(dt * a, axis=1)  # log of the decay since the chunk began
        gap = total[:, :, None] - total[:, None]  # [B, t, u, H]
        decay = jnp.exp(jnp.where(earlier, gap, -jnp.inf))
        weight = exact("btn,bun->btu", c, b)[..., None] * decay * dt[:, None]
        y = exact("btuh,buhd->bthd", weight, x)
        y += exact("bthn,bhdn->bthd", c[:, :, None] * jnp.exp(total)[..., None], state)
        left = jnp.exp(total[:, -1:] - total) * dt
        state = state * jnp.exp(total[:, -1])[..., None, None]
        return state + exact("buhd,bun->bhdn", x * left[..., None], b), y

    start = jnp.zeros((batch, heads, width, b.shape[-1]), jnp.float32)
    _, y = jax.lax.scan(advance, start, tuple(map(split, (x, dt, b, c))))
    return y.swapaxes(0, 1).reshape(batch, -1, heads, width)[:, :length]


def reverse_records(
    x: Shaped[Array, "B L *rest"], mask: Bool[Array, "B L"] | None
) -> Shaped[Array, "B L *rest"]:
    """Reverses the tokens of each record and leaves the padding behind them where it is.

    Args:
        x: Anything by token, such as ids or hidden states.
        mask: True for a record's tokens, which stand on the left; None: all are.
    """
    if mask is None:
        return x[:, ::-1]
    position = jnp.arange(x.shape[1])
    size = jnp.sum(mask, axis=1, keepdims=True)
    index = jnp.where(position < size, size - 1 - position, position)
    index = index.reshape(*index.shape, *(1 for _ in x.shape[2:]))
    return jnp.take_along_axis(x, index, axis=1)
