"""Heads fitted by optax are those of `converged` and of scikit-learn's Newton method."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probe_problems import SEEDS, fit_rows, problem, reference, some_slow
from sklearn.preprocessing import StandardScaler

from probes import CLASS_WEIGHTS, Probe, evaluate_task, logistic
from probes.logistic_optax import minimise
from probes.solvers import Stopping

# Classes, features of 120 to 150 rows, whether they are standardised.
SHAPES = some_slow(itertools.product((2, 3), (24, 180), (False, True)), fast=[(2, 24, False)])


def uneven_problem(classes, width):
    """A task whose first class has a quarter of its rows, and which has a constant feature."""
    x, y, x_test, y_test = problem(d=width, classes=classes)
    kept = np.flatnonzero((y != y.min()) | (np.arange(len(y)) % 4 == 0))
    x[:, 3] = x_test[:, 3] = 2.5
    return x[kept], y[kept], x_test, y_test


def heads_of(solver, rows, standardised):
    probe = Probe(solver=solver, strengths=(0.01, 1.0), standardised=standardised,
                  class_weights=CLASS_WEIGHTS)  # fmt: skip
    return evaluate_task(*rows, probes=[probe], shots=[None, 5], seeds=SEEDS)


@pytest.mark.parametrize(("classes", "width", "standardised"), SHAPES)
def test_heads_are_those_of_converged(classes, width, standardised):
    rows = uneven_problem(classes, width)
    found = heads_of("optax", rows, standardised)
    expected = heads_of("converged", rows, standardised)
    assert len(found) == 2 * 2 * 2 * len(SEEDS)
    for head, other in zip(found, expected, strict=True):
        same = ("shots", "seed", "C", "class_weight", "standardised")
        assert [getattr(head, name) for name in same] == [getattr(other, name) for name in same]
        assert (head.solver, head.converged) == ("optax", True)
        assert 0 < head.iterations <= 2 * other.iterations + 2
        assert head.objective == pytest.approx(other.objective, rel=1e-8)
        np.testing.assert_allclose(head.scores, other.scores, atol=1e-4)
        assert head.MCC == pytest.approx(other.MCC, abs=0.03)  # a row near the boundary


@pytest.mark.parametrize(("classes", "width", "standardised"), SHAPES)
def test_heads_are_scikit_learns(classes, width, standardised):
    x, y, x_test, y_test = uneven_problem(classes, width)
    for head in heads_of("optax", (x, y, x_test, y_test), standardised):
        rows = fit_rows(head, y)
        fit, test = x[rows].astype(np.float64), x_test.astype(np.float64)
        if standardised:
            scaler = StandardScaler().fit(fit)
            fit, test = scaler.transform(fit), scaler.transform(test)
        weight = None if head.class_weight == "none" else "balanced"
        model = reference(fit, y[rows], C=head.C, class_weight=weight, tol=1e-10,
                          solver="newton-cholesky")  # fmt: skip
        np.testing.assert_allclose(head.scores, model.decision_function(test), atol=1e-4)


def test_scipy_fits_no_head_of_optax(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("fitted by SciPy")

    monkeypatch.setattr(logistic.logistic_scipy, "fit_logistic", refuse)
    heads_of("optax", uneven_problem(2, 24), False)
    with pytest.raises(AssertionError, match="fitted by SciPy"):
        heads_of("converged", uneven_problem(2, 24), False)


STOPPING = Stopping(1e-10, 0.0, 500)


def run(objective, per_head, x, stopping=STOPPING):
    return jax.jit(lambda *data: minimise(objective, *data, stopping))(per_head, x)


def test_quadratics_of_many_heads_end_at_the_solution_of_their_equations():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 6, 6)) * np.array([0.1, 1, 1, 10])[:, None, None]
    root[1] = 0
    matrix = root @ np.swapaxes(root, 1, 2) + np.eye(6)
    right = rng.normal(size=(4, 6))
    right[2] = 0  # done before it starts

    def objective(per_head, x, needed):
        matrix, right = per_head
        product = jnp.einsum("hij,hj->hi", matrix, x)
        return jnp.sum(x * (0.5 * product - right), axis=1), product - right

    with jax.enable_x64(True):
        end = run(objective, (matrix, right), jnp.zeros((4, 6)))
        alone = run(objective, (matrix[3:], right[3:]), jnp.zeros((1, 6)))
    expected = np.linalg.solve(matrix, right[..., None])[..., 0]
    np.testing.assert_allclose(end.x, expected, atol=1e-9)
    np.testing.assert_allclose(end.f, -0.5 * np.sum(expected * right, axis=1), rtol=1e-12)
    assert end.converged.all()
    assert end.iterations[2] == 0
    assert 0 < end.iterations[1] < end.iterations[3] == alone.iterations[0]


@pytest.mark.parametrize("limit", [3, 500])
def test_stops_at_the_limit_and_says_so(limit):
    def rosenbrock(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    def objective(per_head, x, needed):
        return jax.vmap(jax.value_and_grad(rosenbrock))(x)

    with jax.enable_x64(True):
        end = run(objective, None, jnp.array([[-1.2, 1.0]]), Stopping(1e-8, 0.0, limit))
    assert end.converged.tolist() == [limit == 500]
    if limit == 500:
        np.testing.assert_allclose(end.x, 1, atol=1e-6)
    else:
        assert end.iterations.tolist() == [limit]


def test_a_head_without_a_way_on_stops_where_it_is_and_keeps_no_other_waiting():
    start = np.array([1.0, 2.0, 3.0])
    evaluations = []

    def objective(walled, x, needed):
        jax.debug.callback(evaluations.append, x)
        scale = jnp.array([1.0, 10.0, 100.0])
        f, g = jnp.sum(scale * jnp.cosh(x), axis=1), scale * jnp.sinh(x)
        return jnp.where(walled & jnp.any(x != start, axis=1), jnp.nan, f), g

    def counted(*walled):
        evaluations.clear()
        end = run(objective, np.array(walled), jnp.tile(start, (len(walled), 1)))
        jax.block_until_ready(end)
        jax.effects_barrier()
        return end, len(evaluations) // len(walled)

    with jax.enable_x64(True):
        alone, few = counted(False)
        both, many = counted(False, True)
    assert both.converged.tolist() == [True, False]
    assert both.iterations.tolist() == [alone.iterations[0], 1]
    np.testing.assert_array_equal(both.x[1], start)
    assert both.f[1] == pytest.approx(np.cosh(start) @ [1, 10, 100], rel=1e-14)
    # One search fails after 20 steps, each of which evaluates the next point of both its phases.
    assert many <= few + 2 * 20
