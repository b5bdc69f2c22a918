"""What several families share: stacked layers, convolutions, rotary positions, activations."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from model_ports.attention import attend

# `gelu` is the exact one (erf), as in PyTorch; `gelu_new` and `gelu_fast` are its tanh form.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_fast": lambda x: jax.nn.gelu(x, approximate=True),
}

_FFT_VALUES = 2**26  # of a long convolution's input that are transformed at once


def stack_layers(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """Returns `count` layers as one module whose parameters have a leading axis."""

    @nnx.split_rngs(splits=count)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def create(rngs: nnx.Rngs) -> nnx.Module:
        return make(rngs)

    return create(rngs)


def scan_layers(
    layers: Any, x: Array, apply: Callable[[Any, Array], Array], taps: tuple[int, ...]
) -> tuple[Array, dict[int, Array]]:
    """Runs stacked layers one after the other; compile time does not grow with their number.

    Args:
        layers: The result of `stack_layers`.
        x: Hidden states [B, L, D] that enter the first layer.
        apply: One layer's computation, `apply(layer, x) -> x`.
        taps: Wanted hidden states: 0 is `x` itself, i the output of layer i; others are skipped.

    Returns:
        The last layer's output, and the wanted hidden states by tap.
    """
    inner = [tap for tap in taps if tap > 0]
    states = {0: x} if 0 in taps else {}

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    def step(x: Array, layer: Any) -> tuple[Array, Array | None]:
        x = apply(layer, x)
        return x, x if inner else None

    x, outputs = step(x, layers)
    if outputs is not None:
        states |= {tap: outputs[tap - 1] for tap in inner}
    return x, states


def scan_mixed(
    stacks: Sequence[Any],
    order: Sequence[tuple[int, int]],
    x: Array,
    apply: Callable[[Any, Array], Array],
    taps: tuple[int, ...],
) -> tuple[Array, dict[int, Array]]:
    """Runs layers of several kinds in any order; compile time grows with the kinds only.

    Args:
        stacks: The stacked layers of each kind.
        order: For each layer, its kind and its place in that kind's stack.
        x: Hidden states [B, L, D] that enter the first layer.
        apply: One layer's computation, `apply(layer, x) -> x`, whatever its kind.
        taps: As for `scan_layers`.

    Returns:
        As `scan_layers`.
    """
    inner = [tap for tap in taps if tap > 0]
    states = {0: x} if 0 in taps else {}
    parts = [nnx.split(stack) for stack in stacks]

    def run(kind: int, place: Array, x: Array) -> Array:
        structure, state = parts[kind]
        layer = nnx.merge(structure, jax.tree.map(lambda leaf: leaf[place], state))
        return apply(layer, x)

    branches = [functools.partial(run, kind) for kind in range(len(stacks))]

    def step(x: Array, layer: tuple[Array, Array]) -> tuple[Array, Array | None]:
        x = jax.lax.switch(layer[0], branches, layer[1], x)
        return x, x if inner else None

    kinds, places = (jnp.array(column) for column in zip(*order, strict=True))
    x, outputs = jax.lax.scan(step, x, (kinds, places))
    if outputs is not None:
        states |= {tap: outputs[tap - 1] for tap in inner}
    return x, states


def fast_fft_length(least: int) -> int:
    """The smallest product of twos, threes and fives that is even and at least `least`."""
    odd = (3**i * 5**j for i in range(20) for j in range(14))
    return min(n << max(1, math.ceil(math.log2(least / n))) for n in odd)


def causal_fft_convolution(x: Array, filters: Array) -> Array:
    """y[t] = sum_{s <= t} filters[t - s] x[s] for each channel, by FFT in float32.

    Very long inputs are transformed a group of channels at a time.

    Args:
        x: [B, L, D].
        filters: [L, D].

    Returns:
        float32 [B, L, D].
    """
    batch, length, width = x.shape
    wanted = -(-batch * length * width // _FFT_VALUES)
    groups = next((n for n in range(wanted, width) if width % n == 0), width)
    size = width // groups
    # Over twice the length the circular convolution of the padded arrays is the linear one.
    points = fast_fft_length(2 * length - 1)

    def convolve(start: Array) -> Array:
        part, own = (
            jax.lax.dynamic_slice_in_dim(a, start, size, axis=-1).astype(jnp.float32)
            for a in (x, filters)
        )
        spectrum = jnp.fft.rfft(part, points, axis=1) * jnp.fft.rfft(own, points, axis=0)
        return jnp.fft.irfft(spectrum, points, axis=1)[:, :length]

    if groups == 1:
        return convolve(jnp.zeros((), jnp.int32))
    mixed = jax.lax.map(convolve, size * jnp.arange(groups))
    return jnp.moveaxis(mixed, 0, 2).reshape(x.shape)


def short_causal_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """y[t] = bias + sum_j kernel[:, j] x[t - W + 1 + j] for each channel.

    Args:
        x: [B, L, D].
        kernel: [D, W].
        bias: [D].
    """
    width = kernel.shape[1]
    padded = jnp.pad(x, ((0, 0), (width - 1, 0), (0, 0)))
    taps = (padded[:, j : j + x.shape[1]] * kernel[:, j] for j in range(width))
    return sum(taps, bias)


def linear(
    features_in: int, features_out: int, *, rngs: nnx.Rngs, bias: bool = True, std: float = 0.02
) -> nnx.Linear:
    """A linear layer; random weights are normal with standard deviation `std`."""
    init = nnx.initializers.normal(std)
    return nnx.Linear(features_in, features_out, use_bias=bias, kernel_init=init, rngs=rngs)


def embed(rows: int, features: int, *, rngs: nnx.Rngs, std: float = 0.02) -> nnx.Embed:
    """An embedding table; random weights are normal with standard deviation `std`."""
    table = nnx.Embed(rows, features, embedding_init=nnx.initializers.normal(std), rngs=rngs)
    table.dtype = None  # that of the weights, not the one they had here
    return table


def layer_norm(features: int, epsilon: float, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """PyTorch's LayerNorm: biased variance of the centred values, which float32 needs."""
    return nnx.LayerNorm(features, epsilon=epsilon, use_fast_variance=False, rngs=rngs)


def rotary_table(
    length: int, width: int, base: float = 10000.0, frequencies: Array | None = None
) -> tuple[Array, Array]:
    """Cosines and sines of the rotary angles, float32 [length, width / 2].

    Pair j of a head turns by the angle position * base^(-2j / width).

    Args:
        length: Positions 0 .. length - 1.
        width: Head width.
        base: Base of the frequencies.
        frequencies: [width / 2], instead of those of `base`.
    """
    if frequencies is None:
        frequencies = base ** (-jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    angles = jnp.arange(length, dtype=jnp.float32)[:, None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: Array, table: tuple[Array, Array], interleaved: bool = False) -> Array:
    """Rotary position embedding (Su et al. 2021, RoFormer) over the whole head width.

    Args:
        x: Queries or keys [B, L, H, d].
        table: The result of `rotary_table` for L and d.
        interleaved: Whether elements 2j and 2j + 1 form a pair, instead of j and j + d/2.

    Returns:
        The dtype of `x`; the rotation itself is float32.
    """
    cos, sin = (part[:, None, :] for part in table)
    wide = x.astype(jnp.float32)
    if interleaved:
        a, b = wide[..., 0::2], wide[..., 1::2]
        turned = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1).reshape(x.shape)
    else:
        a, b = jnp.split(wide, 2, axis=-1)
        turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return turned.astype(x.dtype)


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of ALiBi (Press et al. 2022), also for head counts that are no power of two.

    For a power of two n they are s, s^2, ..., s^n with s = 2^(-8 / n). Otherwise those of the
    largest power of two p below n, then every other slope of 2p.
    """
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


def symmetric_alibi(length: int, heads: int) -> Array:
    """Bias -slope_h |i - j|, float32 [1, H, L, L]."""
    position = jnp.arange(length, dtype=jnp.float32)
    distance = jnp.abs(position[:, None] - position[None, :])
    return -jnp.array(alibi_slopes(heads))[None, :, None, None] * distance


def split_heads(x: Array, heads: int) -> Array:
    """[B, L, H * d] -> [B, L, H, d], heads in order."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


class SelfAttention(nnx.Module):
    """Multi-head self-attention with biases, rotary on queries and keys where a table is given."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.query = linear(width, width, rngs=rngs)
        self.key = linear(width, width, rngs=rngs)
        self.value = linear(width, width, rngs=rngs)
        self.output = linear(width, width, rngs=rngs)

    def __call__(
        self,
        x: Array,
        mask: Array | None,
        table: tuple[Array, Array] | None = None,
        interleaved: bool = False,
    ) -> Array:
        """Maps [B, L, D] to [B, L, D]; `table` and `interleaved` as for `rotate`."""
        query, key, value = (
            split_heads(project(x), self.heads) for project in (self.query, self.key, self.value)
        )
        if table is not None:
            query, key = rotate(query, table, interleaved), rotate(key, table, interleaved)
        return self.output(attend(query, key, value, mask))
