import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model_ports.pooling import POOLINGS

STATES = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]], bool)


def rows(i):
    return STATES[i][MASK[i]]


EXPECTED = {
    "mean": [rows(i).mean(0) for i in range(3)],
    "mean-all-rows": STATES.mean(1),
    "max": [rows(i).max(0) for i in range(3)],
    "first": [rows(i)[0] for i in range(3)],
    "last": [rows(i)[-1] for i in range(3)],
    "penultimate": [STATES[0, 3], STATES[1, 1], STATES[2, 1]],
}


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_poolings_are_what_they_say(name, dtype):
    states = jnp.asarray(STATES, dtype)
    found = POOLINGS[name](states, jnp.asarray(MASK))
    assert found.dtype == jnp.float32
    tolerance = 1e-6 if dtype == "float32" else 0.02
    np.testing.assert_allclose(found, np.stack(EXPECTED[name]), atol=tolerance)


@pytest.mark.parametrize("length", [2**16, 2**16 + 1, 2**17, 2**18 - 5])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_mean_of_a_long_record_counts_each_row_once(length, dtype):
    rng = np.random.default_rng(length)
    states = jnp.asarray(rng.normal(1, 1, (2, length, 3)), dtype)
    mask = rng.random((2, length)) < np.array([[0.5], [1.1]])
    expected = [
        np.asarray(row, np.float64)[seen].mean(0) for row, seen in zip(states, mask, strict=True)
    ]
    found = jax.jit(POOLINGS["mean"])(states, mask)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
