import numpy as np
import pytest
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.strand import strand_tables
from geneb_jax.scoring.predictions import predictions_path
from geneb_jax.scoring.scores import HEAD_COLUMNS

OF_BENCHMARK, OWN = GENEB.tasks[0], "mine"
# Predictions on four test records, and on their other strands: a quarter and a half of them differ.
GIVEN = np.array([[0, 0, 1, 1]])
TURNED = {OF_BENCHMARK.id: np.array([[0, 1, 1, 1]]), OWN: np.array([[1, 0, 1, 0]])}


@pytest.fixture
def scores(tmp_path):
    rows = table(
        {"task": OF_BENCHMARK.id, "category": OF_BENCHMARK.category},
        {"task": OWN, "category": CUSTOM},
    )
    for task, turned in TURNED.items():
        heads = rows[rows["task"] == task]
        np.savez(
            predictions_path(tmp_path, task), labels=GIVEN[0], predictions=GIVEN, turned=turned,
            **{name: np.array(heads[name].tolist()) for name in HEAD_COLUMNS},
        )  # fmt: skip
    return rows


def test_changed_predictions_of_custom_tasks_are_in_no_average(scores, tmp_path):
    tables = strand_tables(scores, {"kmer-4": tmp_path})
    by_task = tables["strand_tasks"].set_index("task")["changed"]
    assert by_task.to_dict() == {OF_BENCHMARK.id: 0.25, OWN: 0.5}
    (macro,) = tables["strand"].to_dict("records")
    assert macro["macro"] == macro[OF_BENCHMARK.category] == 0.25
    alone = strand_tables(scores[scores["task"] == OWN], {"kmer-4": tmp_path})
    assert set(alone) == {"strand_tasks"}


def test_without_the_other_strand_there_are_no_tables(scores, tmp_path):
    assert strand_tables(scores, {}) == {}
    assert strand_tables(scores, {"kmer-4": tmp_path / "none"}) == {}
