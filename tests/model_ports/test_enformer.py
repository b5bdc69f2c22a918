from pathlib import Path

import numpy as np
import pytest

from model_ports.families.enformer import position_features

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("model_id", "tiny", "full"),
    [("enformer-official-rough", 32, 1536), ("space", 33, 1025)],
)
def test_position_features_are_the_originals(model_id, tiny, full):
    with np.load(GOLDEN / model_id / "golden.npz") as arrays:
        np.testing.assert_allclose(
            position_features(tiny, arrays["relpos"].shape[1]), arrays["relpos"], atol=1e-6
        )
        rows = arrays["relpos_full_distances"] + full - 1
        expected = arrays["relpos_full"]
    found = position_features(full, expected.shape[1])[rows]
    np.testing.assert_allclose(found, expected, atol=1e-6)
