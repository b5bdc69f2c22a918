from types import SimpleNamespace

import numpy as np
import pytest
from score_rows import table

from geneb_jax.scoring.predictions import (
    holds_decision_values,
    predictions_file,
    predictions_folder,
    predictions_path,
    read_predictions,
)

LABELS = np.array([0, 3, 3])
HEADS = [
    SimpleNamespace(predictions=np.array([0, 3, 0]), scores=np.array([-1.0, 1, -2], np.float32)),
    SimpleNamespace(predictions=np.array([3, 3, 3]), scores=np.array([1.0, 1, 2], np.float32)),
]
TASK = SimpleNamespace(test=SimpleNamespace(labels=LABELS))
ROWS = table({"seed": 13}, {"seed": 17, "regime": "10shot"})


@pytest.mark.parametrize("decision_values", [True, False])
def test_what_is_written_is_read(tmp_path, decision_values):
    path = predictions_path(predictions_folder(tmp_path, "a/b"), "task")
    path.parent.mkdir(parents=True)
    content = predictions_file(TASK, HEADS, ROWS, decision_values=decision_values)  # pyright: ignore
    path.write_bytes(content)
    found = read_predictions(path)
    assert found is not None
    assert found.labels.tolist() == [0, 3, 3]
    assert found.predictions.tolist() == [[0, 3, 0], [3, 3, 3]]
    assert found.heads["seed"].tolist() == [13, 17]
    assert found.heads["regime"].tolist() == ["full", "10shot"]
    assert holds_decision_values(path) == decision_values
    with np.load(path) as arrays:
        assert arrays["labels"].dtype == arrays["predictions"].dtype == np.int64
        assert not decision_values or np.array_equal(arrays["scores"], [h.scores for h in HEADS])
    again = predictions_file(TASK, HEADS, ROWS, decision_values=decision_values)  # pyright: ignore
    assert again == content


def test_a_damaged_file_counts_as_missing(tmp_path):
    path = tmp_path / "task.npz"
    assert read_predictions(path) is None and not holds_decision_values(path)
    content = predictions_file(TASK, HEADS, ROWS, decision_values=True)  # pyright: ignore
    path.write_bytes(content[: len(content) // 2])
    assert read_predictions(path) is None and not holds_decision_values(path)
    path.write_bytes(b"no archive")
    assert read_predictions(path) is None


def test_predictions_that_reading_would_refuse_are_no_file():
    rows = ROWS[:1]  # of two heads
    with pytest.raises(ValueError, match=r"could not be read: labels \(3,\), predictions \(2, 3\)"):
        predictions_file(TASK, HEADS, rows, decision_values=False)  # pyright: ignore
