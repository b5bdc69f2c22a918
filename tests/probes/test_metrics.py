import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from probes import metrics

labels = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@given(labels)
def test_scores_are_scikit_learns(pair):
    true, predicted = map(np.array, pair)
    confusion = metrics.confusion_matrix(true, predicted, 5)
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
