"""The gradient of the averaged objective is its derivative, however the rows are shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes.objective import HeadRows, averaged_objective

N, D, K1, R, S = 12, 3, 3, 2, 2
H = S * R
DRAW = np.tile(np.arange(R), S)


def made_rows(layout):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(R, N, D)), np.eye(K1)[rng.integers(0, K1, (R, N))].swapaxes(1, 2)
    weight = rng.integers(0, 3, (R, N)).astype(float)
    if layout == "of each head":
        return HeadRows(*(jnp.asarray(array[DRAW]) for array in (x, y, weight)))
    scaling = None
    if layout == "scaled":
        scaling = jnp.asarray(rng.normal(size=(R, D))), jnp.asarray(1 + rng.random((R, D)))
    return HeadRows(*map(jnp.asarray, (x[0], y[0], weight)), scaling, jnp.asarray(DRAW))


@pytest.mark.parametrize("layout", ["shared", "scaled", "of each head"])
def test_the_gradient_is_the_derivative_and_heads_not_needed_do_not_matter(layout):
    with jax.enable_x64(True):
        rows, penalty = made_rows(layout), jnp.linspace(0.1, 1, H)
        head = jnp.asarray(np.random.default_rng(1).normal(size=(H, K1, D + 1)))
        call = jax.jit(functools.partial(averaged_objective, rows, penalty))
        f, g = call(head)
        for h in range(H):
            x = rows.x[h] if layout == "of each head" else rows.x
            if layout == "scaled":
                mean, deviation = (array[DRAW[h]] for array in rows.scaling)
                x = (x - mean) / deviation
            y = rows.y[h] if layout == "of each head" else rows.y
            weight = rows.weight[h if layout == "of each head" else DRAW[h]]

            def expected(head, x=x, y=y, weight=weight, h=h):
                z = head[:, :-1] @ x.T + head[:, -1:]
                loss = jax.nn.logsumexp(z, axis=0) - jnp.sum(y * z, axis=0)
                mean = weight @ loss / weight.sum()
                return mean + 0.5 * penalty[h] * jnp.sum(head[:, :-1] ** 2)

            value, slope = jax.value_and_grad(expected)(head[h])
            np.testing.assert_allclose(f[h], value, rtol=1e-12)
            np.testing.assert_allclose(g[h], slope, atol=1e-12)
        needed = jnp.array([False, True, False, True])
        some_f, some_g = call(head, needed=needed)
        np.testing.assert_allclose(some_f[needed], f[needed], rtol=1e-12)
        np.testing.assert_allclose(some_g[needed], g[needed], atol=1e-12)
