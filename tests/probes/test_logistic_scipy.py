"""A head fitted by SciPy depends on its rows, its strength and nothing else, to the last bit."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from probe_problems import problem
from sklearn.linear_model import LogisticRegression

from probes import SOLVERS, Probe, evaluate_task, host, logistic_scipy
from probes.logistic_scipy import _objective, _Rows

SCIPYS = [name for name, solver in SOLVERS.items() if not solver.optax]
SEEDS = (3, 1, 4, 15, 9)
STRENGTHS = (0.01, 1.0, 100.0)


def heads_by_name(x, y, x_test, y_test, probe, seeds=SEEDS):
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None, 5], seeds=seeds)
    return {(head.shots, head.seed, head.C, head.class_weight): head for head in heads}


def assert_same_bits(one, other):
    for name in ("MCC", "AUROC", "AUPRC", "iterations", "objective", "gradient_norm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    ("solver", "classes", "standardised"), list(itertools.product(SCIPYS, (2, 3), (False, True)))
)
def test_a_head_is_the_same_alone_in_any_order_and_on_any_number_of_threads(
    solver, classes, standardised, monkeypatch
):
    rows = problem(n=700, d=40, classes=classes)
    monkeypatch.setattr(host, "_BLOCK", 8 * 40 * 64)  # several blocks
    probe = Probe(solver=solver, strengths=STRENGTHS, standardised=standardised,
                  class_weights=("none", "balanced"))  # fmt: skip
    together = heads_by_name(*rows, probe)
    turned = replace(probe, strengths=STRENGTHS[::-1], class_weights=("balanced", "none"))
    monkeypatch.setattr(host.os, "cpu_count", lambda: 7)
    host._threads.cache_clear()
    for name, head in heads_by_name(*rows, turned, SEEDS[::-1]).items():
        assert_same_bits(head, together[name])
    for C, weight, seed in ((0.01, "balanced", 1), (100.0, "none", 9)):
        alone = replace(probe, strengths=(C,), class_weights=(weight,))
        for name, head in heads_by_name(*rows, alone, (seed,)).items():
            assert_same_bits(head, together[name])
    host._threads.cache_clear()


def test_draws_of_the_same_rows_share_what_depends_on_features_alone(monkeypatch):
    made = []

    def counted(name):
        real = getattr(logistic_scipy, name)

        def function(x):
            made.append((name, len(x)))
            return real(x)

        return function

    for name in ("_standardise", "_eigenbasis"):
        monkeypatch.setattr(logistic_scipy, name, counted(name))
    x, y, x_test, y_test = problem(n=200)
    probe = Probe(solver="converged", standardised=True, class_weights=("none", "balanced"),
                  selection="folds")  # fmt: skip
    evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(3, 4))
    folds = [(name, 80) for name in ("_standardise", "_eigenbasis")] * 2 * 5
    assert sorted(m for m in made if m[1] < 100) == sorted(folds)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_gradient_is_the_derivative(classes):
    rng = np.random.default_rng(0)
    x, head = rng.normal(size=(50, 4)), rng.normal(size=(classes, 5))
    y = rng.multinomial(1, [1 / 3] * 3, 50).T[:classes].astype(float)
    rows = _Rows(x, y, rng.random(50), np.float64)

    def expected(head):
        z = head[:, :-1] @ x.T + head[:, -1:]
        loss = np.logaddexp(0, z)[0] if classes == 1 else np.logaddexp.reduce(z, axis=0)
        mean = np.average(loss - (y * z).sum(0), weights=rows.weight)
        return mean + 0.5 * 0.3 * np.sum(head[:, :-1] ** 2)

    f, g = _objective(rows, 0.3, head)
    assert f == pytest.approx(expected(head), rel=1e-12)
    for place in np.ndindex(head.shape):
        step = np.zeros_like(head)
        step[place] = 1e-5
        slope = (expected(head + step) - expected(head - step)) / 2e-5
        assert g[place] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_row_with_a_weight_is_so_many_equal_rows(classes):
    rng = np.random.default_rng(classes)
    x, y = rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % classes
    weight = rng.integers(1, 9, 30)
    head = logistic_scipy.fit_weighted(x, y, weight, classes, 0.5, "converged")
    repeated = LogisticRegression(C=0.5, tol=1e-10, max_iter=10000)
    repeated.fit(np.repeat(x.astype(float), weight, axis=0), np.repeat(y, weight))
    columns = slice(None) if classes == 3 else 0
    assert head[:-1, columns].T == pytest.approx(np.squeeze(repeated.coef_), abs=1e-5)
    assert np.ptp(head[-1, columns] - repeated.intercept_) < 1e-5  # one number is free for three


def few_rows(classes, rows=40, width=1000):
    """Overlapping classes of fewer rows than features; some features are far larger."""
    rng = np.random.default_rng(classes)
    y = np.arange(rows) % classes
    x = rng.normal(size=(rows, width)) * np.geomspace(0.05, 5, width)
    x[:, 100:120] += 0.5 * y[:, None]
    return x.astype(np.float32), y


@pytest.mark.parametrize("weighting", [None, "balanced"])
@pytest.mark.parametrize("classes", [2, 3])
def test_fewer_rows_than_features_end_where_scikit_learn_ends(classes, weighting):
    x, y = few_rows(classes)
    x, y = x[4:], y[4:]  # classes of several sizes
    probe = Probe(strengths=(0.001, 0.1), class_weights=(weighting or "none",))
    heads = evaluate_task(x, y, x, y, probes=[probe], shots=[None], seeds=[0])
    for head in heads:
        theirs = LogisticRegression(C=head.C, max_iter=1000, class_weight=weighting)
        theirs.fit(x.astype(np.float64), y)
        assert head.iterations == theirs.n_iter_[0] > 5
        assert head.converged
        values = theirs.decision_function(x.astype(np.float64))
        np.testing.assert_allclose(head.scores, values, rtol=1e-4, atol=1e-5)
        w, b = theirs.coef_, np.atleast_1d(theirs.intercept_)[:, None]
        weight = logistic_scipy.row_weights(y, weighting or "none")
        targets = logistic_scipy.targets(y, classes).T
        rows = _Rows(x.astype(np.float64), targets, weight, np.float64)
        f, g = _objective(rows, 1 / (head.C * weight.sum()), np.concatenate([w, b], 1))
        np.testing.assert_allclose(head.objective, f, rtol=1e-7)
        np.testing.assert_allclose(head.gradient_norm, np.abs(g).max(), rtol=1e-2)
        assert head.gradient_norm <= SOLVERS["geneb"].stopping.gradient


def test_fewer_rows_than_features_stop_at_the_start_where_it_is_flat():
    x, y = np.zeros((4, 9000), np.float32), np.array([0, 1, 0, 1])
    (head,) = evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=[0])
    theirs = LogisticRegression().fit(x, y)
    assert head.iterations == theirs.n_iter_[0] == 0
    assert head.converged
    assert head.gradient_norm == 0
    np.testing.assert_allclose(head.objective, np.log(2))


def test_fewer_rows_than_features_stop_at_the_limit_unconverged(monkeypatch):
    x, y = few_rows(2)
    solver = SOLVERS["geneb"]
    limited = solver._replace(stopping=solver.stopping._replace(iterations=3))
    monkeypatch.setattr(logistic_scipy, "SOLVERS", {"geneb": limited})
    (head,) = evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=[0])
    assert head.iterations == 3
    assert not head.converged
    assert head.gradient_norm > solver.stopping.gradient
