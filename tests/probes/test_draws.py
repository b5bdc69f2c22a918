import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from probes.draws import row_weights


@pytest.mark.parametrize("classes", [[0, 1, 1, 1, 0], [2, 2, 2, 0, 4, 4]])
def test_row_weights_are_scikit_learns(classes):
    classes = np.array(classes)
    assert row_weights(classes, "none").tolist() == [1] * len(classes)
    expected = compute_sample_weight("balanced", classes)
    np.testing.assert_allclose(row_weights(classes, "balanced"), expected, rtol=1e-12)
