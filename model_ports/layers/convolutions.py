"""Causal convolutions over a record, long by FFT and short as a sum."""

import math

import jax
import jax.numpy as jnp
from jax import Array

_FFT_VALUES = 2**26  # of a long convolution's input that are transformed at once


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
