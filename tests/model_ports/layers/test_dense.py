import jax.numpy as jnp
import numpy as np
import pytest

from model_ports.layers.dense import ACTIVATIONS, OuterEpsilonNorm


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_transformers(name):
    torch, activations = (
        pytest.importorskip("torch"),
        pytest.importorskip("transformers.activations"),
    )
    x = np.linspace(-12, 12, 97, dtype=np.float32)
    expected = activations.ACT2FN[name](torch.tensor(x)).numpy()
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(x)), expected, rtol=1e-6, atol=2e-6)


def test_the_epsilon_of_a_root_mean_square_norm_may_stand_outside_the_root():
    rng = np.random.default_rng(0)
    x, scale, epsilon = rng.normal(size=(2, 5, 8)) * 1e-2, rng.normal(size=8), 1e-2
    norm = OuterEpsilonNorm(8, epsilon)
    norm.scale[...] = jnp.asarray(scale, jnp.float32)
    root = np.sqrt((x**2).mean(-1, keepdims=True))
    found = norm(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, scale * x / (root + epsilon), rtol=2e-6)
