import numpy as np
import pytest

from benchmarks.all_tasks import MOST_TRAIN, run
from benchmarks.probes import STRENGTHS
from geneb_jax.tasks.sizes import TaskSize, published_sizes


def test_six_tasks_are_cut():
    assert sum(size.train > MOST_TRAIN for size in published_sizes()) == 6


@pytest.mark.slow
def test_each_pass_fits_the_same_data(capsys):
    run([TaskSize("a", 300, 200, 3)], 16, "converged", 2)
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [["1", "a", "300", "3"], ["2", "a", "300", "3"]]
    first, second = (line.split()[6:] for line in lines)  # iterations and scores
    assert first == second
    scores = np.array(first[-len(STRENGTHS) :], float)
    assert (scores > 0.2).all() and (scores < 1).all()
    assert total.startswith("1 tasks, D = 16, converged")
