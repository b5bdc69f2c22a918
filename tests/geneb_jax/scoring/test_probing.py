from types import SimpleNamespace

import numpy as np
import pytest
from score_rows import table

from geneb_jax.scoring.cells import Cell
from geneb_jax.scoring.predictions import predictions_file, read_predictions
from geneb_jax.scoring.probing import Probed, keep

LABELS = np.array([0, 1, 1])
TASK = SimpleNamespace(test=SimpleNamespace(labels=LABELS))


def probed(C):
    """One head that says 0 at C = 1, and 1 at others."""
    rows = table({"C": C, "MCC": 0.0})
    head = SimpleNamespace(predictions=np.full(3, int(C != 1)))
    return Probed(rows, predictions_file(TASK, [head], rows, decision_values=False))  # pyright: ignore


@pytest.mark.parametrize(("weights", "left"), [("same", [10.0, 1.0]), ("others", [10.0])])
def test_predictions_stand_beside_those_of_other_heads(tmp_path, weights, left):
    path, predictions = tmp_path / "cell.json", tmp_path / "task.npz"
    keep(probed(1.0), Cell(path, {"model": {"weights": "same"}, "task": "rows"}), predictions)
    cell = Cell(path, {"model": {"weights": weights}, "task": "rows"})
    keep(probed(10.0), cell, predictions)
    found = read_predictions(predictions)
    assert found is not None and found.heads["C"].tolist() == left
    assert found.predictions[:, 0].tolist() == [1, 0][: len(left)]
    assert sorted(cell.read()["C"]) == sorted(left)
