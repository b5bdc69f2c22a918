import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model_ports import layers
from model_ports.layers import attend, fast_fft_length, symmetric_alibi


@pytest.mark.parametrize(
    ("causal", "masked", "limited", "biased"), list(itertools.product([False, True], repeat=4))
)
def test_attention_in_blocks_of_queries_is_attention(monkeypatch, causal, masked, limited, biased):
    batch, length, heads, groups = 2, 13, 4, 2
    rng = np.random.default_rng(0)
    query = jnp.asarray(rng.normal(size=(batch, length, heads, 6)), jnp.float32)
    key, value = (
        jnp.asarray(rng.normal(size=(batch, length, groups, 6)), jnp.float32) for _ in range(2)
    )
    mask = np.arange(length) < np.array([[9], [length]])
    allowed = rng.random((length, length)) < 0.7
    allowed[:, 0] = True
    bias = symmetric_alibi(length, heads)
    seen = (mask if masked else np.ones_like(mask))[:, None, None] & (
        allowed if limited else np.ones_like(allowed)
    )
    expected = jax.nn.dot_product_attention(
        query, key, value, bias=bias if biased else None, mask=jnp.asarray(seen), is_causal=causal
    ).reshape(batch, length, -1)

    def run(query, key, value):
        return attend(
            query,
            key,
            value,
            jnp.asarray(mask) if masked else None,
            causal=causal,
            allowed=jnp.asarray(allowed) if limited else None,
            bias=bias if biased else None,
        )

    whole = run(query, key, value)
    monkeypatch.setattr(layers, "_CPU_SCORES", 5 * batch * heads * length)  # 5, 5 and 3 queries
    blocks = run(query, key, value)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(blocks, expected, atol=1e-6)


def test_scores_of_all_pairs_never_stand_in_memory():
    def scratch(length):
        parts = jax.ShapeDtypeStruct((1, length, 8, 16), jnp.float32)
        attention = jax.jit(lambda q, k, v: attend(q, k, v, None, causal=True))
        compiled = attention.lower(parts, parts, parts).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # Four bytes a score of all pairs would be 2 GiB, and grow 16 times.
    assert scratch(8192) < 2**28
    assert scratch(8192) < 5 * scratch(2048)


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
