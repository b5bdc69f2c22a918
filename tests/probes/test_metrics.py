import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)

from probes import metrics

labels = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@given(labels)
def test_scores_are_scikit_learns(pair):
    true, predicted = map(np.array, pair)
    confusion = metrics.confusion_matrix(true, predicted, 5)
    assert confusion.sum() == len(true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert metrics.mcc(confusion) == pytest.approx(
            matthews_corrcoef(true, predicted), abs=1e-12
        )
        assert metrics.accuracy(confusion) == pytest.approx(accuracy_score(true, predicted))
        assert metrics.macro_f1(confusion) == pytest.approx(
            f1_score(true, predicted, average="macro", zero_division=0)
        )


def test_leading_axes_are_kept():
    true = np.array([0, 1, 1, 0])
    predicted = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    confusion = metrics.confusion_matrix(true, predicted, 2)
    assert confusion.shape == (3, 2, 2)
    assert metrics.mcc(confusion).tolist() == [1.0, -1.0, 0.0]


@given(labels)
def test_balanced_accuracy_is_scikit_learns(pair):
    true, predicted = map(np.array, pair)
    confusion = metrics.confusion_matrix(true, predicted, 5)
    assert confusion.sum() == len(true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = balanced_accuracy_score(true, predicted)
    assert metrics.balanced_accuracy(confusion) == pytest.approx(expected)


ranked = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 1), min_size=n, max_size=n),
        # Few distinct values: ties.
        st.lists(st.integers(-3, 3).map(float), min_size=n, max_size=n),
    )
)


@given(ranked)
def test_areas_are_scikit_learns(pair):
    true, scores = map(np.array, pair)
    auroc, auprc = metrics.area_metrics(true, scores).values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(set(true.tolist())) == 2:
            assert auroc == pytest.approx(roc_auc_score(true, scores))
        else:
            assert np.isnan(auroc)
        assert auprc == pytest.approx(average_precision_score(true, scores))


def test_areas_of_several_heads_at_once():
    rng = np.random.default_rng(0)
    true, scores = rng.integers(0, 2, 50), rng.normal(size=(2, 3, 50)).round(1)
    found, alone = metrics.area_metrics(true, scores), metrics.area_metrics(true, scores[1, 2])
    for name in metrics.AREAS:
        assert found[name].shape == (2, 3)
        assert found[name][1, 2] == alone[name]


def test_scores_of_several_classes_from_decision_values():
    rng = np.random.default_rng(0)
    true, values = rng.integers(0, 4, 80), rng.normal(size=(2, 3, 80, 4))
    found = metrics.score(values, true)
    predicted = values[1, 2].argmax(-1)
    assert found["MCC"].shape == (2, 3)
    assert found["MCC"][1, 2] == pytest.approx(matthews_corrcoef(true, predicted))
    assert np.isnan(found["AUROC"]).all()
