import jax
import jax.numpy as jnp
import numpy as np

from probes.blocks import block_rows, sum_rows


def test_rows_are_summed_block_by_block_up_to_the_last_that_has_a_weight():
    rows, width = 4096, 512
    assert rows // block_rows(rows, width) > 1
    x = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    x[3000:] = np.nan  # beyond the last block that is read
    weight = 1.0 * (np.arange(rows) < 1500)
    with jax.enable_x64(True):
        summed = jax.jit(sum_rows)(jnp.asarray(x), jnp.asarray(weight))
    assert summed.dtype == np.float64
    np.testing.assert_allclose(summed, x[:1500].astype(np.float64).sum(0), rtol=1e-9)


def test_an_odd_number_of_rows_is_read_at_once():
    assert block_rows(10**6 + 1, 512) == 10**6 + 1
