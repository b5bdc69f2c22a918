import numpy as np

from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.description import describe
from geneb_jax.tasks.task import Split, Task, fingerprint

INFO = TaskInfo("mine", "mine", CUSTOM, CUSTOM)


def test_description_has_sizes_classes_lengths_and_fingerprints():
    train = Split(["AC", "ac", "GT", "T"], np.array([0, 0, 1, 1]))
    test = Split(["AC", "CC", "CC"], np.array([0, 1, 1]))
    row = describe(Task(INFO, train, test))
    assert (row["train"], row["test"], row["classes"]) == (4, 3, 2)
    assert (row["smallest class"], row["largest class"]) == (3 / 7, 4 / 7)
    assert (row["min length"], row["median length"], row["max length"]) == (1, 2, 2)
    assert row["train sha256"] == fingerprint(train)
