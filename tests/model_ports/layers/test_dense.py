import jax.numpy as jnp
import numpy as np
import pytest

from model_ports.layers.dense import ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_transformers(name):
    torch, activations = (
        pytest.importorskip("torch"),
        pytest.importorskip("transformers.activations"),
    )
    x = np.linspace(-12, 12, 97, dtype=np.float32)
    expected = activations.ACT2FN[name](torch.tensor(x)).numpy()
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(x)), expected, rtol=1e-6, atol=2e-6)
