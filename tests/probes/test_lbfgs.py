import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from probes.lbfgs import Stopping, minimise

EPS = np.finfo(float).eps


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


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
        evaluate = jax.jit(objective)
        run = jax.jit(jax.vmap(lambda x: minimise(objective, x, Stopping(1e-5, 64 * EPS, 500))))
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
        objective = jax.value_and_grad(rosenbrock)
        result = minimise(objective, jnp.array([-1.2, 1.0]), Stopping(1e-10, 0.0, 3))
    assert int(result.iterations) == 3
    assert not bool(result.converged)


def test_start_at_the_optimum_takes_no_iteration():
    with jax.enable_x64(True):
        result = minimise(jax.value_and_grad(rosenbrock), jnp.ones(3), Stopping(1e-5, 0.0, 10))
    assert int(result.iterations) == 0
    assert bool(result.converged)
