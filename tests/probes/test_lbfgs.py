import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from probes.lbfgs import minimise
from probes.solvers import Stopping

EPS = np.finfo(float).eps


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrocks(per_head, x, needed):
    return jax.vmap(jax.value_and_grad(rosenbrock))(x)


def badly_scaled(x):
    return jnp.sum(jnp.logspace(-3, 3, x.size) * x**2) + jnp.sum(jnp.cosh(x / 3))


def flat_then_steep(x):
    return jnp.sum(jnp.log1p(x**2) + 0.01 * (x - 3) ** 4)


@pytest.mark.parametrize("function", [rosenbrock, badly_scaled, flat_then_steep])
@pytest.mark.parametrize("size", [2, 7])
def test_takes_the_path_of_scipy(function, size):
    starts = np.random.default_rng(0).normal(size=(4, size)) * 2
    with jax.enable_x64(True):
        objective = jax.value_and_grad(function)
        together = jax.vmap(objective)
        evaluate = jax.jit(objective)
        stopping = Stopping(1e-5, 64 * EPS, 500)
        run = jax.jit(
            lambda x: minimise(lambda per_head, x, needed: together(x), None, x, stopping)
        )
        found = jax.tree.map(np.asarray, run(jnp.asarray(starts)))
        for i, start in enumerate(starts):
            expected = minimize(
                lambda x: [np.asarray(part, np.float64) for part in evaluate(x)],
                start,
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": 500, "maxls": 50, "gtol": 1e-5, "ftol": 64 * EPS},
            )
            assert found.iterations[i] == expected.nit
            np.testing.assert_allclose(found.x[i], expected.x, atol=1e-7, rtol=1e-7)
            assert bool(found.converged[i]) == expected.success


def test_stops_at_the_limit_and_says_so():
    with jax.enable_x64(True):
        start = jnp.array([[-1.2, 1.0]])
        result = minimise(rosenbrocks, None, start, Stopping(1e-10, 0.0, 3))
    assert result.iterations.tolist() == [3]
    assert result.converged.tolist() == [False]


def test_start_at_the_optimum_takes_no_iteration():
    with jax.enable_x64(True):
        result = minimise(rosenbrocks, None, jnp.ones((1, 3)), Stopping(1e-5, 0.0, 10))
    assert result.iterations.tolist() == [0]
    assert result.converged.tolist() == [True]


def test_a_head_takes_the_same_path_alone_and_among_others_that_stop_before_it():
    starts = np.random.default_rng(1).normal(size=(9, 4)) * 3
    starts[4] = 1.0  # stops at once
    scale = 10.0 ** np.arange(-4, 5)

    def objective(scale, x, needed):
        f, g = rosenbrocks(None, x, needed)
        # What is not needed must not be used.
        f, scale = jnp.where(needed, scale * f, jnp.nan), jnp.where(needed, scale, jnp.nan)
        return f, scale[:, None] * g

    with jax.enable_x64(True):
        stopping = Stopping(1e-6, 64 * EPS, 200)
        run = jax.jit(lambda scale, x: minimise(objective, scale, x, stopping))
        together = jax.tree.map(np.asarray, run(scale, starts))
        assert len(set(together.iterations.tolist())) >= 5
        for i in range(len(starts)):
            alone = jax.tree.map(np.asarray, run(scale[i : i + 1], starts[i : i + 1]))
            assert together.iterations[i] == alone.iterations[0]
            assert together.converged[i] == alone.converged[0]
            np.testing.assert_allclose(together.x[i], alone.x[0], rtol=1e-9, atol=1e-9)
