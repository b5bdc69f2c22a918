"""Logistic heads are scikit-learn's, whichever engine fits them."""

import itertools

import numpy as np
import pytest
from probe_problems import SEEDS, fit_rows, problem, reference, some_slow
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.preprocessing import StandardScaler

from probes import SOLVERS, Probe, evaluate_task, logistic
from probes.draws import Draw
from probes.rows import TaskRows

ENGINES = ("scipy", "compiled")
BOTH = [name for name, solver in SOLVERS.items() if not solver.optax]  # solvers of both engines


@pytest.fixture
def engine(request, monkeypatch):
    """Lets one engine fit everything."""
    compiled = request.param == "compiled"
    monkeypatch.setattr(logistic, "is_compiled", lambda train, draws: compiled)
    return request.param


@pytest.mark.parametrize(
    ("engine", "classes", "shots"),
    some_slow(
        itertools.product(ENGINES, (2, 3, 5), (None, 10, 1)),
        fast=[
            *itertools.product(("scipy",), (2, 3, 5), (None, 10, 1)),
            ("compiled", 2, None),
        ],
    ),
    indirect=["engine"],
)
def test_heads_are_scikit_learns(engine, classes, shots):
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


@pytest.mark.parametrize(
    "engine", ["scipy", pytest.param("compiled", marks=pytest.mark.slow)], indirect=True
)
@pytest.mark.parametrize("classes", [2, 3])
def test_converged_is_the_optimum(engine, classes):
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
    ("engine", "solver", "classes", "shots"),
    some_slow(
        itertools.product(ENGINES, ("geneb", "converged"), (2, 3), (None, 10)),
        fast=[
            *itertools.product(("scipy",), ("geneb", "converged"), (2, 3), (None, 10)),
            ("compiled", "converged", 2, None),
        ],
    ),
    indirect=["engine"],
)
def test_standardised_and_balanced_heads_are_scikit_learns(engine, solver, classes, shots):
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
    ("solver", "classes", "width", "standardised"),
    some_slow(
        itertools.product(BOTH, (2, 4), (24, 300), (False, True)),
        fast=[("geneb", 4, 24, False)],
    ),
)
def test_engines_give_the_same_heads(solver, classes, width, standardised, monkeypatch):
    x, y, x_test, y_test = problem(d=width, classes=classes)
    probe = Probe(solver=solver, strengths=(1e-3, 0.1), standardised=standardised,
                  class_weights=("none", "balanced"))  # fmt: skip
    found = []
    for compiled in (False, True):
        monkeypatch.setattr(logistic, "is_compiled", lambda train, draws, it=compiled: it)
        options = {"probes": [probe], "shots": [None, 5], "seeds": SEEDS}
        found.append(evaluate_task(x, y, x_test, y_test, **options))
    for one, other in zip(*found, strict=True):
        assert (one.shots, one.seed, one.C) == (other.shots, other.seed, other.C)
        assert one.objective == pytest.approx(other.objective, rel=1e-5)
        assert abs(one.iterations - other.iterations) <= 0.1 * other.iterations + 1
        close = 0.02 * np.abs(other.scores).max()
        np.testing.assert_allclose(one.scores, other.scores, atol=close)


def test_the_engine_depends_on_the_sizes_of_the_rows_alone():
    def compiled(rows, width, classes, drawn, whole):
        train = TaskRows(np.zeros((rows, width), np.float32), np.arange(rows) % classes, classes)
        return logistic.is_compiled(train, [Draw(np.arange(drawn), 1, whole, "none")])

    assert not compiled(8191, 1024, 2, 8191, whole=True)
    assert compiled(8192, 1024, 2, 8192, whole=True)
    assert compiled(8192, 1024, 2, 6553, whole=True)  # a fold of it
    assert compiled(2731, 1024, 3, 2731, whole=True)  # three columns
    assert not compiled(8192, 1024, 2, 20, whole=False)
    assert compiled(9000, 1024, 2, 8192, whole=False)
