import math
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from model_ports.layers.positions import (
    rotary_table,
    rotate,
    rotate_front,
    scaled_frequencies,
)


def test_linear_scaling_divides_positions():
    found = scaled_frequencies(6, 1000.0, 4.0)
    np.testing.assert_allclose(found, [0.25, 0.025, 0.0025], rtol=1e-6)


def test_llama3_keeps_fast_pairs_and_divides_slow_ones():
    """By hand: with a length of 20 pi pairs turn 10, 1 and 0.1 times; 1 lies between 0.5 and 2."""
    found = scaled_frequencies(6, 1000.0, 8.0, (round(20 * math.pi), 0.5, 2.0))
    assert found[0] == 1.0
    np.testing.assert_allclose(found[2], 0.01 / 8, rtol=1e-6)
    turns = round(20 * math.pi) * 0.1 / (2 * math.pi)
    share = (turns - 0.5) / 1.5
    np.testing.assert_allclose(found[1], 0.1 * (share + (1 - share) / 8), rtol=1e-6)


@pytest.mark.parametrize("low", [1.0, 2.5])
def test_llama3_is_that_of_transformers(low):
    functions = pytest.importorskip("transformers.modeling_rope_utils").ROPE_INIT_FUNCTIONS
    parameters = {
        "rope_theta": 5e5,
        "factor": 8.0,
        "low_freq_factor": low,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = SimpleNamespace(
        rope_parameters=parameters, head_dim=128, standardize_rope_params=lambda: None
    )
    expected, _ = functions["llama3"](config)
    found = scaled_frequencies(128, 5e5, 8.0, (8192, low, 4.0))
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-6)


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize(("fast", "slow", "length"), [(32.0, 1.0, 8192), (4.0, 2.0, 64)])
def test_yarn_is_that_of_transformers(truncate, fast, slow, length):
    functions = pytest.importorskip("transformers.modeling_rope_utils").ROPE_INIT_FUNCTIONS
    parameters = {
        "rope_theta": 5e5,
        "factor": 8.0,
        "beta_fast": fast,
        "beta_slow": slow,
        "truncate": truncate,
        "original_max_position_embeddings": length,
    }
    config = SimpleNamespace(
        rope_parameters=parameters,
        head_dim=128,
        hidden_size=128,
        num_attention_heads=1,
        standardize_rope_params=lambda: None,
    )
    expected, scale = functions["yarn"](config)
    found = scaled_frequencies(128, 5e5, 8.0, ramp=(length, fast, slow, truncate))
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-6)
    cos, sin = rotary_table(3, 128, frequencies=found, scale=scale)
    np.testing.assert_allclose(cos[0], scale, rtol=1e-6)
    np.testing.assert_allclose(cos**2 + sin**2, scale**2, rtol=1e-5)


def test_the_rest_of_a_head_stays_where_its_front_turns():
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 10))
    table = rotary_table(5, 4, 20000.0)
    found = rotate_front(x, table)
    np.testing.assert_array_equal(found[..., 4:], x[..., 4:])
    np.testing.assert_array_equal(found[..., :4], rotate(x[..., :4], table))
