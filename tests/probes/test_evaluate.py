import itertools
from dataclasses import replace

import numpy as np
import pytest
from probe_problems import SEEDS, problem, reference
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    roc_auc_score,
)

from probes import Probe, evaluate_task


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


@pytest.mark.parametrize(
    ("kind", "standardised"),
    [
        ("logistic", False),
        ("logistic", True),
        ("ridge", False),
        pytest.param("mlp", True, marks=pytest.mark.slow),
    ],
)
def test_class_weights_together_are_those_alone(kind, standardised):
    x, y, x_test, y_test = problem(classes=3)
    probe = Probe(kind, strengths=(0.01, 1.0), standardised=standardised,
                  class_weights=("none", "balanced"))  # fmt: skip
    options = {"shots": [None, 10], "seeds": SEEDS}
    found = evaluate_task(x, y, x_test, y_test, probes=[probe], **options)
    keys = [(h.shots, h.C, h.class_weight, h.seed) for h in found]
    assert keys == list(itertools.product((None, 10), probe.strengths, probe.class_weights, SEEDS))
    together = dict(zip(keys, found, strict=True))
    for weight in probe.class_weights:
        alone = replace(probe, class_weights=(weight,))
        for head in evaluate_task(x, y, x_test, y_test, probes=[alone], **options):
            other = together[head.shots, head.C, weight, head.seed]
            assert head.iterations == other.iterations
            np.testing.assert_allclose(head.scores, other.scores, atol=1e-4, rtol=1e-4)


def test_areas_stand_where_there_are_two_classes():
    x, y, x_test, y_test = problem(classes=2)
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    truth = y_test == y.max()
    assert head.AUROC == pytest.approx(roc_auc_score(truth, head.scores))
    assert head.AUPRC == pytest.approx(average_precision_score(truth, head.scores))
    x, y, x_test, y_test = problem(classes=3)
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    assert np.isnan(head.AUROC)
    assert np.isnan(head.AUPRC)


@pytest.mark.parametrize("kind", ["logistic", "ridge", "mlp"])
def test_rows_of_which_predictions_alone_are_wanted(kind):
    x, y, x_test, y_test = problem(classes=3)
    asked = {"probes": [Probe(kind)], "shots": [None, 5], "seeds": (13,)}
    alone = evaluate_task(x, y, x_test, y_test, **asked)
    heads = evaluate_task(x, y, x_test, y_test, x_more=x_test[::-1].copy(), **asked)
    for head, other in zip(heads, alone, strict=True):
        assert other.more is None and head.more is not None
        assert head.MCC == other.MCC
        np.testing.assert_array_equal(head.more, head.predictions[::-1])
