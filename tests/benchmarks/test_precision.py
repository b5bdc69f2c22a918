import pytest
from score_rows import table

from benchmarks.precision import differences


def test_differences_are_of_means_over_seeds_and_of_common_tasks():
    def row(task, dtype, seed, mcc):
        return {"task": task, "dtype": dtype, "seed": seed, "MCC": mcc, "regime": "1shot"}

    scores = table(
        row("a", "float32", 1, 0.1),
        row("a", "float32", 2, 0.3),
        row("a", "bfloat16", 1, 0.3),
        row("a", "bfloat16", 2, 0.3),
        row("b", "float32", 1, 0.5),
        row("b", "float32", 2, 0.5),
        row("b", "bfloat16", 1, 0.4),
        row("b", "bfloat16", 2, 0.2),
        row("c", "float32", 1, 0.9),
    )
    (found,) = differences(scores).to_dict("records")
    assert (found["regime"], found["tasks"]) == ("1shot", 2)
    assert found["mean"] == pytest.approx(0.15)
    assert found["largest"] == pytest.approx(0.2)
    assert found["signed"] == pytest.approx(-0.05)
    assert found["seeds"] == pytest.approx(0.1 * 2**0.5 / 2)
