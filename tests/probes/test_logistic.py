import functools
import itertools

import jax
import numpy as np
import pytest
from probe_problems import SEEDS, fit_rows, problem, reference
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.preprocessing import StandardScaler

from probes import Probe, evaluate_task, logistic
from probes.kind import TrainRows
from probes.lbfgs import MEMORY
from probes.linear import decision_values
from probes.logistic import fit_logistic
from probes.loss import targets
from probes.sampling import stratified_folds
from probes.solvers import SOLVERS


def some_slow(rows, fast):
    """Rows of a test's parameters, each of which compiles a program; those not `fast` are slow."""
    return [row if row in fast else pytest.param(*row, marks=pytest.mark.slow) for row in rows]


@pytest.mark.parametrize(
    ("classes", "shots"),
    some_slow(itertools.product((2, 3, 5), (None, 10, 1)), fast=[(2, 1), (2, 10), (3, None)]),
)
def test_heads_are_scikit_learns(classes, shots):
    x, y, x_test, y_test = problem(classes=classes)
    probe = Probe(solver="geneb", strengths=(0.01, 1.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[shots], seeds=SEEDS)
    assert len(heads) == 2 * 2
    for head in heads:
        rows = fit_rows(head, y)
        model = reference(x[rows], y[rows], C=head.C)
        assert abs(head.iterations - model.n_iter_[0]) <= 0.1 * model.n_iter_[0] + 1
        agree = np.mean(head.predictions == model.predict(x_test))
        assert agree >= 0.99
        assert head.MCC == pytest.approx(matthews_corrcoef(y_test, head.predictions))
        assert head.accuracy == pytest.approx(accuracy_score(y_test, head.predictions))
        assert head.macro_F1 == pytest.approx(f1_score(y_test, head.predictions, average="macro"))
        if head.shots is None:
            np.testing.assert_allclose(
                head.scores, model.decision_function(x_test), atol=0.02, rtol=0.02
            )


@pytest.mark.parametrize("classes", [2, 3])
def test_converged_is_the_optimum(classes):
    x, y, x_test, y_test = problem(classes=classes)
    probe = Probe(solver="converged", strengths=(0.1, 10.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(13,))
    for head in heads:
        model = reference(x, y, C=head.C, tol=1e-10, solver="newton-cholesky")
        assert head.converged
        assert head.gradient_norm <= 1e-8
        np.testing.assert_allclose(
            head.scores, model.decision_function(x_test), atol=1e-4, rtol=1e-4
        )
        assert np.mean(head.predictions == model.predict(x_test)) >= 0.999


@pytest.mark.parametrize(
    ("solver", "classes", "shots"),
    some_slow(
        itertools.product(("geneb", "converged"), (2, 3), (None, 10)),
        fast=[("geneb", 2, 10), ("geneb", 3, None), ("converged", 2, None), ("converged", 3, 10)],
    ),
)
def test_standardised_and_balanced_heads_are_scikit_learns(solver, classes, shots):
    x, y, x_test, y_test = problem(classes=classes)
    kept = np.flatnonzero((y != y.min()) | (np.arange(len(y)) % 4 == 0))  # uneven classes
    x, y = x[kept], y[kept]
    x[:, 3] = 2.5  # a constant
    probe = Probe(solver=solver, strengths=(0.1,), standardised=True, class_weights=("balanced",))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[shots], seeds=SEEDS)
    for head in heads:
        rows = fit_rows(head, y)
        scaler = StandardScaler().fit(x[rows].astype(np.float64))
        model = reference(scaler.transform(x[rows]), y[rows], C=0.1, class_weight="balanced",
                          tol=1e-10, solver="newton-cholesky")  # fmt: skip
        expected = model.decision_function(scaler.transform(x_test.astype(np.float64)))
        close = 1e-3 if solver == "converged" else 2e-2
        np.testing.assert_allclose(head.scores, expected, atol=close, rtol=close)


@pytest.mark.parametrize(
    ("solver", "shape", "standardised"),
    [
        ("geneb", (600, 24, 4), False),  # more rows than features
        pytest.param("geneb", (200, 260, 2), True, marks=pytest.mark.slow),  # fewer
        pytest.param("converged", (600, 24, 4), True, marks=pytest.mark.slow),
        pytest.param("converged", (200, 260, 2), True, marks=pytest.mark.slow),
    ],
)
def test_draws_of_shared_rows_are_fitted_together_as_alone(solver, shape, standardised):
    x, y, _, _ = problem(*shape)
    x[:, 3], x[0, 3] = 2.5, 3.5  # a constant where the first row is left out
    numbers = np.unique(y, return_inverse=True)[1]
    weight = 1.0 * (stratified_folds(numbers, 3, 13) != np.arange(3)[:, None])
    weight[1] *= 1 + np.arange(len(y)) % 2  # as class weights may be
    size = 768 if len(x) > shape[1] else len(x)
    t = targets(numbers, shape[2])
    x, t = (np.pad(a, [(0, size - len(a)), (0, 0)]) for a in (x, t))
    weight = np.pad(weight, [(0, 0), (0, size - len(y))])
    strength = np.array([1e-3, 1e-2])
    with jax.enable_x64(True):
        fit = functools.partial(fit_logistic, x, t, solver=solver, standardised=standardised)
        together = fit(weight, strength)
        ends = [fit(of_draw[None], strength) for of_draw in weight]
        alone = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends)
        values = [decision_values(x, end.head.astype(np.float64)) for end in (together, alone)]
    np.testing.assert_allclose(together.objective, alone.objective, rtol=1e-6)
    close = 1e-2 if solver == "geneb" else 1e-6
    for joint, single in zip(*values, strict=True):
        np.testing.assert_allclose(joint, single, atol=close * np.abs(single).max())
    if solver == "geneb" and not standardised:
        np.testing.assert_array_equal(together.iterations, alone.iterations)


def test_as_many_draws_are_fitted_together_as_the_state_of_their_heads_allows(monkeypatch):
    shapes = (800, 99), (800, 2), (25, 800)
    rows = TrainRows(*map(np.zeros, shapes), np.zeros(25, np.uint32))
    of_a_draw = 2 * 6 * 2 * MEMORY * 2 * 100 * 8  # 6 strengths, 2 x 100 parameters, two copies
    for room, together in ((100, 25), (25, 25), (24, 13), (9, 9), (8, 7), (1, 1), (0.5, 1)):
        monkeypatch.setattr(logistic, "_STATE_BYTES", int(room * of_a_draw))
        assert logistic._draws_together(rows, 6) == together


@pytest.mark.parametrize("shape", [(64, 16), (16, 64)])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_fits_export_for_every_platform(shape, standardised, platform):
    x = jax.ShapeDtypeStruct(shape, np.float32)
    y, weight = (jax.ShapeDtypeStruct(s, np.float32) for s in ((shape[0], 3), (2, shape[0])))
    strength = jax.ShapeDtypeStruct((4,), np.float32)
    for solver in SOLVERS:
        call = jax.jit(functools.partial(fit_logistic, solver=solver, standardised=standardised))
        exported = jax.export.export(call, platforms=[platform])(x, y, weight, strength)
        assert exported.platforms == (platform,)


@pytest.mark.parametrize(
    ("solver", "classes"),
    some_slow(itertools.product(SOLVERS, (2, 5)), fast=[("geneb", 5), ("converged", 2)]),
)
def test_a_compiled_fit_needs_less_than_three_times_the_memory_of_its_features(solver, classes):
    rows, width = 32768, 256
    with jax.enable_x64(True):
        shapes = [(rows, classes if classes > 2 else 1), (1, rows), (5,)]
        arrays = [jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes]
        x = jax.ShapeDtypeStruct((rows, width), np.float32)
        compiled = fit_logistic.lower(x, *arrays, solver=solver).compile()
    memory = compiled.memory_analysis()
    used = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    assert used <= 3 * rows * width * 4
