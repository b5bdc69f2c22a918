"""Convolutions: causal ones, by FFT, as a sum or in blocks; and dilated ones.

Letters of shapes: B batch, L length, D width, W length of a kernel, G groups of channels.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Float32, Int

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


def join_modes(
    far: Float32[Array, "A D K"], near: Float32[Array, "N D K"], length: int
) -> Float32[Array, "L D"]:
    """Returns filters that are sums of exponentials: sum_k far[a, :, k] near[b, :, k] at a N + b.

    The power of an exponential is the product of two, one to a multiple of N and one to less than
    N, so that with N about the root of the length no array of length times modes stands in memory.

    Args:
        far: Powers a N of the K modes of each channel, weighted by their residues; A N is at least
            the length.
        near: Powers 0 .. N - 1.
        length: L, the times 0 .. L - 1.
    """
    filters = jnp.einsum("adk,bdk->abd", far, near, precision=jax.lax.Precision.HIGHEST)
    return filters.reshape(-1, filters.shape[-1])[:length]


def short_causal_convolution(
    x: Float[Array, "B L D"],
    kernel: Float[Array, "D W"],
    bias: Float[Array, " D"] | None = None,
) -> Float[Array, "B L D"]:
    """Computes y[t] = bias + sum_j kernel[:, j] x[t - W + 1 + j] for each channel."""
    width = kernel.shape[1]
    padded = jnp.pad(x, ((0, 0), (width - 1, 0), (0, 0)))
    taps = (padded[:, j : j + x.shape[1]] * kernel[:, j] for j in range(width))
    return sum(taps, jnp.zeros((), x.dtype) if bias is None else bias)


def grouped_causal_convolution(
    x: Float[Array, "B L D"], filters: Float[Array, "G W"]
) -> Float32[Array, "B L D"]:
    """Computes y[t] = sum_{j < W} filters[g, j] x[t - j], where channel c has g = c // (D / G).

    The length is cut into blocks of W tokens. A token sees those of its block and of the one
    before, so that a block's outputs are two products with Toeplitz matrices, which the channels
    of a group share (the two-stage convolution of StripedHyena 2, Ku et al. 2025). The work grows
    with the length, not with its square.
    """
    batch, length, width = x.shape
    groups, taps = filters.shape
    size = min(taps, length)
    count = -(-length // size)
    lag = jnp.arange(size)[:, None] - jnp.arange(size)  # from a column's token to a row's

    def toeplitz(lag: Array) -> Array:
        seen = (lag >= 0) & (lag < taps)
        return jnp.where(seen, filters.astype(jnp.float32)[:, jnp.clip(lag, 0, taps - 1)], 0.0)

    x = jnp.pad(x.astype(jnp.float32), ((0, 0), (0, count * size - length), (0, 0)))
    blocks = x.reshape(batch, count, size, groups, -1)
    exact = functools.partial(jnp.einsum, "gij,bcjgd->bcigd", precision=jax.lax.Precision.HIGHEST)
    y = exact(toeplitz(lag), blocks)
    if count > 1:
        before = jnp.pad(blocks[:, :-1], ((0, 0), (1, 0), *((0, 0),) * 3))
        y += exact(toeplitz(lag + size), before)
    return y.reshape(batch, -1, width)[:, :length]


def dilated_offsets(width: int, dilation: int) -> list[int]:
    """Returns which rows, counted from the one that is computed, a dilated kernel takes.

    They lie around it as PyTorch's padding "same" has them: where they cannot lie evenly, one more
    step is on the right.

    Args:
        width: W, the rows that the kernel takes.
        dilation: Steps from one to the next.
    """
    left = dilation * (width - 1) // 2
    return [dilation * j - left for j in range(width)]


def offset_convolution(
    x: Float[Array, "B L D"],
    kernel: Float[Array, "W _in out"],
    offsets: Int[Array, " W"],
    reach: int,
) -> Float[Array, "B L out"]:
    """Computes y[t] = sum_j x[t + offsets[j]] kernel[j], rows beyond the ends of x being zero.

    The offsets may be traced: layers of different dilations are one program. Sums are float32.

    Args:
        x: Input.
        kernel: A matrix [D, out] for each offset, or [1, D] where each channel is by itself.
        offsets: See `dilated_offsets`.
        reach: A number that no offset exceeds in absolute value; L always is enough.
    """
    length = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    total = jnp.zeros((), jnp.float32)
    for offset, matrix in zip(offsets, kernel, strict=True):
        rows = jax.lax.dynamic_slice_in_dim(padded, reach + offset, length, axis=1)
        if matrix.shape[0] == x.shape[2]:
            total += jnp.matmul(rows, matrix, preferred_element_type=jnp.float32)
        else:
            total += rows.astype(jnp.float32) * matrix
    return total.astype(x.dtype)
