import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model_ports.layers import convolutions
from model_ports.layers.convolutions import (
    causal_fft_convolution,
    dilated_offsets,
    fast_fft_length,
    grouped_causal_convolution,
    join_modes,
    offset_convolution,
    short_causal_convolution,
)


def test_fast_fft_lengths_are_the_next_even_ones_without_large_primes():
    def rest(n):
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n

    for least in (1, 2, 13, 15, 16, 17, 1999, 10_005):
        expected = next(n for n in range(least, 2 * least + 2) if n % 2 == 0 and rest(n) == 1)
        assert fast_fft_length(least) == expected
    assert fast_fft_length(1_999_999) == 2_000_000


@pytest.mark.parametrize("length", [1, 7, 2048])
def test_long_convolution_is_the_sum(length):
    rng = np.random.default_rng(length)
    x, filters = rng.normal(size=(2, length, 3)), rng.normal(size=(length, 3))
    expected = np.stack(
        [[np.convolve(x[i, :, d], filters[:, d])[:length] for d in range(3)] for i in range(2)]
    ).swapaxes(1, 2)
    found = causal_fft_convolution(jnp.asarray(x, jnp.float32), jnp.asarray(filters, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_long_convolution_over_channel_groups_is_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    x, filters = rng.normal(size=(2, 33, 12)), rng.normal(size=(33, 12))
    whole = causal_fft_convolution(jnp.asarray(x), jnp.asarray(filters))
    monkeypatch.setattr(convolutions, "_FFT_VALUES", x.size // 5)  # 5 does not divide 12: 6 groups
    parts = causal_fft_convolution(jnp.asarray(x), jnp.asarray(filters))
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_short_convolution_is_the_sum():
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(2, 6, 3)), rng.normal(size=(3, 4)), rng.normal(size=3)
    found = short_causal_convolution(*(jnp.asarray(v, jnp.float32) for v in (x, kernel, bias)))
    padded = np.pad(x, ((0, 0), (3, 0), (0, 0)))
    expected = [bias + sum(kernel[:, j] * padded[:, t + j] for j in range(4)) for t in range(6)]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("width", "dilation", "offsets"),
    [
        (1, 7, [0]),
        (3, 2, [-2, 0, 2]),
        (4, 1, [-1, 0, 1, 2]),
        (2, 3, [-1, 2]),
        (4, 3, [-4, -1, 2, 5]),
    ],
)
def test_taps_lie_around_the_row_as_pytorch_pads(width, dilation, offsets):
    assert dilated_offsets(width, dilation) == offsets


@pytest.mark.parametrize("depthwise", [False, True])
def test_offset_convolution_is_the_sum_over_the_rows_that_are_there(depthwise):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 3)), rng.normal(size=(3, 1 if depthwise else 3, 3))
    offsets = [-2, 0, 6]  # the last lies beyond the end for every row
    expected = np.zeros_like(x)
    for t in range(6):
        for j, offset in enumerate(offsets):
            if 0 <= t + offset < 6:
                row = x[:, t + offset]
                expected[:, t] += row * kernel[j, 0] if depthwise else row @ kernel[j]
    arrays = (jnp.asarray(v, jnp.float32) for v in (x, kernel))
    with jax.default_matmul_precision("highest"):
        found = offset_convolution(*arrays, jnp.array(offsets), 6)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("length", "taps"), [(1, 4), (3, 4), (4, 4), (11, 4), (300, 130)])
def test_a_convolution_in_blocks_is_the_sum(length, taps):
    """Lengths below, at and above a block's, whole blocks and not; neighbours share a filter."""
    rng = np.random.default_rng(length)
    x, filters = rng.normal(size=(2, length, 6)), rng.normal(size=(3, taps))
    expected = np.stack(
        [[np.convolve(x[i, :, c], filters[c // 2])[:length] for c in range(6)] for i in range(2)]
    ).swapaxes(1, 2)
    arrays = (jnp.asarray(array, jnp.float32) for array in (x, filters))
    found = jax.jit(grouped_causal_convolution)(*arrays)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_joined_modes_are_sums_of_powers():
    poles, residues = np.array([[0.9, 0.5], [0.99, -0.3]]), np.array([[1.0, 2.0], [-1.0, 0.5]])
    steps = np.arange(4)[:, None, None]
    far, near = residues * poles ** (4 * steps), poles**steps
    found = join_modes(jnp.asarray(far, jnp.float32), jnp.asarray(near, jnp.float32), 14)
    expected = (residues * poles ** np.arange(14)[:, None, None]).sum(-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
