import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from probes import Probe, evaluate_task, few_shot_rows

SEEDS = (13, 17)


def problem(n=400, d=24, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * np.exp(rng.normal(size=d))).astype(np.float32)
    scores = x @ rng.normal(size=(d, classes)) + 4 * rng.normal(size=(n, classes))
    labels = np.array([-7, 3, 4, 10, 11])[scores.argmax(1)]
    return x[::2], labels[::2], x[1::2], labels[1::2]


def reference(x, y, **options):
    # scikit-learn 1.5, which the harness runs, casts to float64; later versions do not.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=1000, **options).fit(x.astype(np.float64), y)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_heads_are_scikit_learns(classes):
    x, y, x_test, y_test = problem(classes=classes)
    probe = Probe("geneb", (0.01, 1.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None, 10, 1], seeds=SEEDS)
    assert len(heads) == 2 * 3 * 2
    for head in heads:
        rows = slice(None) if head.shots is None else few_shot_rows(y, head.shots, head.seed)
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
    probe = Probe("converged", (0.1, 10.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(13,))
    for head in heads:
        model = reference(x, y, C=head.C, tol=1e-10, solver="newton-cholesky")
        assert head.converged
        assert head.gradient_norm <= 1e-8
        np.testing.assert_allclose(
            head.scores, model.decision_function(x_test), atol=1e-4, rtol=1e-4
        )
        assert np.mean(head.predictions == model.predict(x_test)) >= 0.999


def test_full_fit_is_reported_for_every_seed_and_runs_repeat_exactly():
    x, y, x_test, y_test = problem()
    runs = [
        evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None, 5], seeds=SEEDS)
        for _ in range(2)
    ]
    full = [head for head in runs[0] if head.shots is None]
    assert [head.seed for head in full] == list(SEEDS)
    assert full[0].objective == full[1].objective
    for a, b in zip(*runs, strict=True):
        assert (a.MCC, a.objective, a.gradient_norm) == (b.MCC, b.objective, b.gradient_norm)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_padding_to_the_ladder_changes_nothing():
    x, y, x_test, y_test = problem(n=162)  # 81 rows: padded to 96
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    model = reference(x, y)
    np.testing.assert_allclose(head.scores, model.decision_function(x_test), atol=1e-3, rtol=1e-3)


def test_fewer_rows_than_shots_and_classes_absent_from_test():
    x, y, x_test, y_test = problem(classes=3)
    kept = y_test != np.unique(y)[2]
    heads = evaluate_task(
        x[:30], y[:30], x_test[kept], y_test[kept], probes=[Probe()], shots=[1000], seeds=SEEDS
    )
    model = reference(x[:30], y[:30])
    for head in heads:
        assert np.mean(head.predictions == model.predict(x_test[kept])) >= 0.99
        expected = f1_score(y_test[kept], head.predictions, average="macro", zero_division=0)
        assert head.macro_F1 == pytest.approx(expected)


def test_constant_features_predict_the_larger_class():
    x = np.zeros((50, 4), np.float32)
    y = np.repeat([0, 1], [40, 10])
    (head,) = evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=(13,))
    assert set(head.predictions.tolist()) == {0}
    assert (head.MCC, head.accuracy) == (0.0, 0.8)


def test_impossible_tasks_are_named():
    x = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match=r"class \[5\] alone"):
        evaluate_task(x, np.full(4, 5), x, np.full(4, 5), probes=[Probe()], shots=[1], seeds=(1,))
    with pytest.raises(ValueError, match=r"train lacks: \[9\]"):
        evaluate_task(
            x,
            np.array([0, 1, 0, 1]),
            x,
            np.array([0, 1, 9, 1]),
            probes=[Probe()],
            shots=[1],
            seeds=(1,),
        )
