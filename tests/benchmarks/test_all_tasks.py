import numpy as np
import pytest

from benchmarks.all_tasks import MOST_TRAIN, Size, run, task_sizes
from benchmarks.probes import STRENGTHS
from geneb_jax.benchmark import GENEB


def test_each_task_of_the_benchmark_has_its_sizes():
    sizes = task_sizes()
    assert [size.task for size in sizes] == [task.label for task in GENEB.tasks]
    classes = {size.task: size.classes for size in sizes}
    assert min(classes.values()) == 2
    assert (classes["GUE fungi species 20"], classes["GUE virus species 40"]) == (20, 40)
    for size in sizes:
        assert size.train > size.classes and size.test > size.classes
    assert sum(size.train > MOST_TRAIN for size in sizes) == 6


@pytest.mark.slow
def test_each_pass_fits_the_same_data(capsys):
    run([Size("a", 300, 200, 3)], 16, "converged", 2)
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [["1", "a", "300", "3"], ["2", "a", "300", "3"]]
    first, second = (line.split()[6:] for line in lines)  # iterations and scores
    assert first == second
    scores = np.array(first[-len(STRENGTHS) :], float)
    assert (scores > 0.2).all() and (scores < 1).all()
    assert total.startswith("1 tasks, D = 16, converged")
