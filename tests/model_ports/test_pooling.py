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
