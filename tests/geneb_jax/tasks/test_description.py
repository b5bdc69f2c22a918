import numpy as np

from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.description import describe
from geneb_jax.tasks.task import Split, Task, fingerprint

INFO = TaskInfo("mine", "mine", CUSTOM, CUSTOM)


def test_description_counts_duplicates_within_and_across_splits():
    train = Split(["AC", "ac", "GT", "T"], np.array([0, 0, 1, 1]))
    test = Split(["AC", "CC", "CC"], np.array([0, 1, 1]))
    row = describe(Task(INFO, train, test))
    assert row["duplicates in train"] == 1
    assert row["duplicates in test"] == 1
    assert row["test rows in train"] == 1
    assert (row["min length"], row["median length"], row["max length"]) == (1, 2, 2)
    assert row["train sha256"] == fingerprint(train)


def test_description_counts_sequences_of_two_labels():
    train = Split(["AC", "ac", "GT", "GT", "T"], np.array([0, 1, 1, 1, 0]))
    test = Split(["AC", "GT", "T", "CC", "cc"], np.array([1, 1, 1, 0, 1]))
    row = describe(Task(INFO, train, test))
    assert row["conflicting in train"] == 1  # AC
    assert row["conflicting in test"] == 1  # CC
    assert row["conflicting in train and test"] == 2  # AC and T
