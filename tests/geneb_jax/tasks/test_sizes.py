import numpy as np

from geneb_jax.benchmark import CUSTOM, GENEB, TaskInfo
from geneb_jax.tasks.sizes import TaskSize, published_sizes, published_tokens, sizes_of
from geneb_jax.tasks.task import Split, Task


def test_each_task_of_the_benchmark_has_its_sizes():
    sizes = published_sizes()
    assert [size.task for size in sizes] == [task.label for task in GENEB.tasks]
    classes = {size.task: size.classes for size in sizes}
    assert min(classes.values()) == 2
    assert (classes["GUE fungi species 20"], classes["GUE virus species 40"]) == (20, 40)
    assert all(size.train > size.classes and size.test > size.classes for size in sizes)


def test_each_task_of_the_benchmark_has_its_tokens():
    found = published_tokens()
    assert list(found) == [task.label for task in GENEB.tasks]
    assert sum(task.counted for task in found.values()) == 52
    virus, tf = found["GUE virus species 40"], found["GUE human tf 4"]
    assert (virus.counted, virus.records, virus.tokens["letters"]) == (False, 9000, 10000)
    assert virus.tokens["6-mers"] == 1 + 1666 + 4
    assert (tf.counted, tf.records, tf.tokens["letters"]) == (True, 20000, 101)
    assert tf.tokens["6-mers"] == 1 + 16 + 5


def test_sizes_of_tasks_that_are_there_are_counted():
    train = Split(["A", "C", "G"], np.array([0, 7, 7]))
    task = Task(TaskInfo("x", "X", CUSTOM, CUSTOM), train, Split(["T"], np.array([0])))
    assert sizes_of([task]) == [TaskSize("X", 3, 1, 2)]
