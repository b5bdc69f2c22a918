from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.families.striped_hyena import ConvolutionBlock, log_poles
from model_ports.layers import convolutions
from model_ports.layers.convolutions import causal_fft_convolution, short_causal_convolution
from model_ports.layers.scans import (
    _scan_by_chunk,
    _scan_by_step,
    reverse_records,
    selective_scan,
    state_space_duality,
)
from model_ports.loading.planned import family_config

EVO = "evo-1-131k-base"


def recurrence(x, dt, a, b, c):
    """Step by step, in float64."""
    h, y = np.zeros((len(x), *a.shape)), []
    for t in range(x.shape[1]):
        h = np.exp(dt[:, t, :, None] * a) * h
        h += (dt[:, t] * x[:, t])[..., None] * b[:, t, None, :]
        y.append((h * c[:, t, None, :]).sum(-1))
    return np.stack(y, axis=1)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 2048])
def test_selective_scan_is_the_recurrence(length):
    rng = np.random.default_rng(length)
    x, b, c = (rng.normal(size=(2, length, n)) for n in (5, 4, 4))
    dt = rng.uniform(0.001, 1, size=(2, length, 5))
    a = -np.exp(rng.normal(size=(5, 4)))
    expected = recurrence(x, dt, a, b, c)
    arrays = {
        k: jnp.asarray(v, jnp.float32) for k, v in zip("xdbca", (x, dt, b, c, a), strict=True)
    }
    by_step, by_chunk = (scan(*arrays.values()) for scan in (_scan_by_step, _scan_by_chunk))
    found = selective_scan(*(arrays[k] for k in "xdabc"))
    for y in (found, by_step, by_chunk):
        assert y.dtype == jnp.float32
        np.testing.assert_allclose(y, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 31, 32, 33, 2048])
def test_state_space_duality_is_the_recurrence(length):
    rng = np.random.default_rng(length)
    x = rng.normal(size=(2, length, 3, 5))
    b, c = (rng.normal(size=(2, length, 4)) for _ in range(2))
    dt = rng.uniform(0.001, 1, size=(2, length, 3))
    a = -np.exp(rng.normal(size=3))
    found = state_space_duality(*(jnp.asarray(v, jnp.float32) for v in (x, dt, a, b, c)))
    state, expected = np.zeros((2, 3, 5, 4)), []
    for t in range(length):
        state = np.exp(dt[:, t] * a)[..., None, None] * state
        state += (dt[:, t, :, None] * x[:, t])[..., None] * b[:, t, None, None]
        expected.append((state * c[:, t, None, None]).sum(-1))
    expected = np.stack(expected, axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("scan", [_scan_by_step, _scan_by_chunk])
def test_scan_never_holds_the_states_of_the_whole_length(scan):
    shapes = {}
    for length in (1024, 4096):
        arguments = [jnp.zeros((1, length, n)) for n in (64, 64, 16, 16)]
        x, dt, b, c = arguments
        compiled = jax.jit(scan).lower(x, dt, b, c, jnp.zeros((64, 16))).compile()
        shapes[length] = compiled.memory_analysis().temp_size_in_bytes
    assert shapes[4096] < 4096 * 64 * 16 * 4 / 2


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_records_turn_around_in_place(sizes):
    x = np.arange(len(sizes) * 9 * 2).reshape(len(sizes), 9, 2)
    mask = np.arange(9) < np.array(sizes)[:, None]
    found = np.asarray(reverse_records(jnp.asarray(x), jnp.asarray(mask)))
    for row, size in enumerate(sizes):
        np.testing.assert_array_equal(found[row, :size], x[row, :size][::-1])
        np.testing.assert_array_equal(found[row, size:], x[row, size:])
    whole = reverse_records(jnp.asarray(x), None)
    np.testing.assert_array_equal(whole, x[:, ::-1])


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


def modal_block(width, states):
    """A block whose poles forget at once, nothing over 100,000 tokens, and all between."""
    config = family_config(catalog.get(EVO), catalog.get(EVO).config)
    config = replace(config, width=width, inner=8, heads=2, states=states)
    block = ConvolutionBlock(config, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    radius = 1 - np.logspace(-0.1, -6, width * states).reshape(width, states)
    poles = radius * np.exp(1j * rng.uniform(-np.pi, np.pi, (width, states)))
    poles = np.stack([poles.real, poles.imag], -1).astype(np.float32)
    residues = rng.normal(size=(width, states, 2)).astype(np.float32)
    block.poles[...] = jnp.asarray(log_poles(poles))
    block.residues[...] = jnp.asarray(residues)
    poles, residues = (part @ np.array([1, 1j]) for part in (poles, residues))
    return block, poles, residues


def test_modal_long_convolution_is_the_recurrence():
    """Evo's filters and FFT against h_t = pole h_{t-1} + x_t, y_t = Re sum residue h_t."""
    length, width, states = 2048, 8, 4
    block, poles, residues = modal_block(width, states)
    rng = np.random.default_rng(0)
    x, h, expected = rng.normal(size=(2, length, width)), np.zeros((2, width, states)), []
    for t in range(length):
        h = poles * h + x[:, t, :, None]
        expected.append((residues * h).sum(-1).real)
    expected = np.stack(expected, axis=1)
    found = causal_fft_convolution(jnp.asarray(x, jnp.float32), block._filters(length))
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(found - expected) / scale).max() < 1e-5


def test_modal_filters_keep_their_phase_over_the_whole_context():
    length = 131_072
    block, poles, residues = modal_block(4, 8)
    found = np.asarray(block._filters(length))
    for t in (0, 1, 2, 1000, 32_767, 65_536, length - 1):
        expected = (residues * np.exp(t * np.log(poles))).sum(-1).real
        bound = 4e-6 * np.abs(residues).sum(-1)
        assert (np.abs(found[t] - expected) < bound).all(), t


def test_short_convolution_is_the_sum():
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(2, 6, 3)), rng.normal(size=(3, 4)), rng.normal(size=3)
    found = short_causal_convolution(*(jnp.asarray(v, jnp.float32) for v in (x, kernel, bias)))
    padded = np.pad(x, ((0, 0), (3, 0), (0, 0)))
    expected = [bias + sum(kernel[:, j] * padded[:, t + j] for j in range(4)) for t in range(6)]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)
