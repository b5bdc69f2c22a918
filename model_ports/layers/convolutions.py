"""Causal convolutions of each channel: long ones by FFT, short ones as a sum.

Letters of shapes: B batch, L length, D width, W length of a short kernel.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Float32

_FFT_VALUES = 2**26  # values of a long convolution's input that are transformed at once


def fast_fft_length(least: int) -> int:
    """Returns the smallest even product of twos, threes and fives that is at least `least`."""
    odd = (3**i * 5**j for i in range(20) for j in range(14))
    return min(n << max(1, math.ceil(math.log2(least / n))) for n in odd)


def causal_fft_convolution(
    x: Float[Array, "B L D"], filters: Float[Array, "L D"]
) -> Float32[Array, "B L D"]:
    """Computes y[t] = sum_{s <= t} filters[t - s] x[s] for each channel, by FFT in float32.

    Very long inputs are transformed a group of channels at a time.
    """
    batch, length, width = x.shape
    wanted = -(-batch * length * width // _FFT_VALUES)
    groups = next((n for n in range(wanted, width) if width % n == 0), width)
    size = width // groups
    # Over twice the length the circular convolution of the padded arrays is the linear one.
    points = fast_fft_length(2 * length - 1)

    def convolve(start: Array) -> Array:
        channels, kernels = (
            jax.lax.dynamic_slice_in_dim(a, start, size, axis=-1).astype(jnp.float32)
            for a in (x, filters)
        )
        spectrum = jnp.fft.rfft(channels, points, axis=1) * jnp.fft.rfft(kernels, points, axis=0)
        return jnp.fft.irfft(spectrum, points, axis=1)[:, :length]

    if groups == 1:
        return convolve(jnp.zeros((), jnp.int32))
    mixed = jax.lax.map(convolve, size * jnp.arange(groups))
    return jnp.moveaxis(mixed, 0, 2).reshape(x.shape)


def short_causal_convolution(
    x: Float[Array, "B L D"], kernel: Float[Array, "D W"], bias: Float[Array, " D"]
) -> Float[Array, "B L D"]:
    """Computes y[t] = bias + sum_j kernel[:, j] x[t - W + 1 + j] for each channel."""
    width = kernel.shape[1]
    padded = jnp.pad(x, ((0, 0), (width - 1, 0), (0, 0)))
    taps = (padded[:, j : j + x.shape[1]] * kernel[:, j] for j in range(width))
    return sum(taps, bias)
