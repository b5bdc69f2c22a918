import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes.blocks import block_rows
from probes.eigen import eigenbasis, to_basis, to_features

WIDTH = 2048  # more than one block of a square basis


def test_heads_and_slopes_pass_through_the_basis_block_by_block():
    assert block_rows(WIDTH, WIDTH) < WIDTH
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(WIDTH, WIDTH)).astype(np.float32)
    heads = rng.normal(size=(2, 3, WIDTH))
    exact = directions.astype(np.float64)
    with jax.enable_x64(True):
        directions, heads = jnp.asarray(directions), jnp.asarray(heads)
        np.testing.assert_allclose(to_features(directions, heads), heads @ exact.T, atol=1e-9)
        for slopes in (heads, -jnp.abs(heads)):  # those of a block may all be negative
            np.testing.assert_allclose(to_basis(directions, slopes), slopes @ exact, atol=1e-9)
            of_each_head = jnp.stack([exact] * 2)
            np.testing.assert_allclose(to_basis(of_each_head, slopes), slopes @ exact, atol=1e-9)
        np.testing.assert_allclose(to_features(of_each_head, heads), heads @ exact.T, atol=1e-9)


@pytest.mark.parametrize("shape", [(300, 24), (300, 21), (20, 30)])
def test_rows_are_uncorrelated_in_their_eigenbasis(shape):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1]))).astype(np.float32)
    weight = np.append(np.ones(shape[0] - 5), np.zeros(5))  # padding does not count
    with jax.enable_x64(True):
        basis = eigenbasis(jnp.asarray(x), jnp.asarray(weight), np.dtype("float64"))
    rows = x[:-5].astype(np.float64)
    covariance = np.cov(rows.T, bias=True)
    np.testing.assert_allclose(basis.mean, rows.mean(0), atol=1e-12)
    directions, variance = np.asarray(basis.directions, np.float64), np.asarray(basis.variance)
    largest = variance.max()
    found = directions.T @ covariance @ directions
    np.testing.assert_allclose(found, np.diag(variance), atol=1e-6 * largest)
    rank = min(shape[1], len(rows) - 1)
    expected = np.sort(np.linalg.eigvalsh(covariance))[-rank:]
    np.testing.assert_allclose(np.sort(variance)[-rank:], expected, atol=1e-9 * largest)
