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
    with_earlier_heads,
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


@pytest.mark.parametrize("decision_values", [True, False])
def test_heads_of_an_earlier_file_are_kept_beside_new_ones(tmp_path, decision_values):
    path = tmp_path / "task.npz"

    def file(rows, heads=HEADS, task=TASK, values=decision_values):
        return predictions_file(task, heads, rows, decision_values=values)  # pyright: ignore

    earlier, other_C = file(ROWS), table({"seed": 13, "C": 10.0}, {"seed": 13})
    path.write_bytes(earlier)
    new = file(other_C, HEADS[::-1])
    path.write_bytes(with_earlier_heads(new, path))
    found = read_predictions(path)
    assert found is not None
    # The head of seed 13 in both is that of the new file, and what it lacks comes last.
    assert found.heads["C"].tolist() == [10.0, 1.0, 1.0]
    assert found.heads["regime"].tolist() == ["full", "full", "10shot"]
    assert found.predictions.tolist() == [[3, 3, 3], [0, 3, 0], [3, 3, 3]]
    assert holds_decision_values(path) == decision_values
    with np.load(path) as arrays:
        assert not decision_values or arrays["scores"].shape == (3, 3)
    assert with_earlier_heads(file(ROWS), path) != file(ROWS)  # that of C = 10 stays
    others = SimpleNamespace(test=SimpleNamespace(labels=np.array([0, 0, 3])))
    for unlike in (file(ROWS, task=others), file(ROWS, values=not decision_values), b"no archive"):
        path.write_bytes(unlike)
        assert with_earlier_heads(new, path) == new
