import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ports.layers.scans import (
    _scan_by_chunk,
    _scan_by_step,
    reverse_records,
    selective_scan,
    state_space_duality,
)


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
