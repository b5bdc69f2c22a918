import numpy as np

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


def test_all_tasks_are_fitted_in_each_pass(capsys):
    run([Size("a", 300, 200, 2), Size("b", 400, 200, 3)], 16, "converged", 2)
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        [number, *rest] for number in "12" for rest in (["a", "300", "2"], ["b", "400", "3"])
    ]
    for line in lines:
        scores = np.array(line.split()[-len(STRENGTHS) :], float)
        assert (scores > 0.2).all() and (scores < 1).all()
    # The passes are of the same data.
    assert [line.split()[6:] for line in lines[:2]] == [line.split()[6:] for line in lines[2:]]
    assert total.startswith("2 tasks, D = 16, converged")
