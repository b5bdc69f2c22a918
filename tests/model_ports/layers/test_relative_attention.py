import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from model_ports.layers import relative_attention
from model_ports.layers.relative_attention import RelativeAttention


@pytest.mark.parametrize("scores", [2**26, 700, 1])
def test_logits_are_of_content_and_distance(monkeypatch, scores):
    """Against the formula in float64, with all heads at once, two at a time and one by one."""
    monkeypatch.setattr(relative_attention, "_SCORES", scores)
    heads, length, features = 4, 9, 6
    layer = RelativeAttention(
        8, heads, key_width=3, value_width=5, features=features, rngs=nnx.Rngs(0)
    )
    rng = np.random.default_rng(0)
    for bias in (layer.content_bias, layer.position_bias):
        bias[...] = rng.normal(size=(heads, 3)).astype(np.float32)
    x = rng.normal(size=(2, length, 8)).astype(np.float32)
    table = rng.normal(size=(2 * length - 1, features)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        found = layer(jnp.asarray(x), table)

    kernel = {
        name: np.asarray(getattr(layer, name).kernel[...], np.float64)
        for name in ("query", "key", "value", "relative", "output")
    }
    q = (x @ kernel["query"]).reshape(2, length, heads, 3) * 3**-0.5
    k, v = ((x @ kernel[n]).reshape(2, length, heads, -1) for n in ("key", "value"))
    r = (table @ kernel["relative"]).reshape(-1, heads, 3)
    u, w = (np.asarray(b[...], np.float64) for b in (layer.content_bias, layer.position_bias))
    expected = np.zeros((2, length, heads, 5))
    for b, i, h in np.ndindex(2, length, heads):
        logits = np.array(
            [
                (q[b, i, h] + u[h]) @ k[b, j, h] + (q[b, i, h] + w[h]) @ r[j - i + length - 1, h]
                for j in range(length)
            ]
        )
        weight = np.exp(logits - logits.max())
        expected[b, i, h] = weight @ v[b, :, h] / weight.sum()
    expected = expected.reshape(2, length, -1) @ kernel["output"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
