import pytest

from benchmarks.all_tasks import COLUMNS, MOST_TRAIN, run
from benchmarks.rows import Rows, read_rows
from geneb_jax.tasks.sizes import TaskSize, published_sizes


def test_six_tasks_are_cut():
    assert sum(size.train > MOST_TRAIN for size in published_sizes()) == 6


@pytest.mark.slow
def test_each_pass_fits_the_same_data(tmp_path):
    out = tmp_path / "rows.jsonl"
    run([TaskSize("a", 300, 200, 3)], 16, "converged", 2, Rows(COLUMNS, out))
    first, first_sum, second, second_sum = read_rows(out)
    assert [(row["pass"], row["task"]) for row in (first, second)] == [(1, "a"), (2, "a")]
    assert (first["n"], first["K"], first["D"], first["solver"]) == (300, 3, 16, "converged")
    assert first["iterations"] == second["iterations"] and first["MCC"] == second["MCC"]
    assert len(first["MCC"]) == 5 and all(0.2 < score < 1 for score in first["MCC"])
    assert (first_sum["task"], second_sum["seconds"]) == ("all", second["seconds"])
