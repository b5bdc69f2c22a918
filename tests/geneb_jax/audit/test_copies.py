import numpy as np
import slow_audit as brute
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.audit.copies import (
    copies_across,
    copy_groups,
    copy_votes,
    describe_copies,
    pair_agreement,
    task_keys,
    twin_groups,
    twin_votes,
)
from geneb_jax.audit.records import encode
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.task import Split, Task

ROWS = st.lists(st.tuples(st.text("ACGTac", min_size=1, max_size=4), st.integers(0, 2)),
                min_size=1, max_size=8)  # fmt: skip


def task(train, test, name="mine"):
    splits = [Split([s for s, _ in rows], np.array([y for _, y in rows])) for rows in (train, test)]
    return Task(TaskInfo(name, name, CUSTOM, CUSTOM), *splits)


def votes(train, text, are_like, without=None):
    found = np.zeros(3, int)
    for i, (other, label) in enumerate(train):
        found[label] += i != without and are_like(text, other)
    return found.tolist()


@given(ROWS, ROWS)
def test_votes_are_the_labels_of_copies_and_of_twins(train, test):
    made = task(train, test)
    sides = encode(made.train.sequences), encode(made.test.sequences)
    copies, twins, labels = copy_groups(made, *sides), twin_groups(*sides), made.train.labels
    by_copies, by_twins = copy_votes(copies, labels, 3), twin_votes(twins, copies, labels, 3)
    for rows, split in ((train, "train"), (test, "test")):
        for i, (text, _) in enumerate(rows):
            without = i if split == "train" else None
            of_copies = votes(train, text, brute.are_copies, without)
            of_twins = votes(train, text, brute.are_twins, without)
            assert getattr(by_copies, split)[i].tolist() == of_copies
            assert getattr(by_twins, split)[i].tolist() == ([0] * 3 if any(of_copies) else of_twins)


def test_agreement_counts_pairs():
    # One with two twins of its label and one of another; one whose label train lacks.
    assert pair_agreement(np.array([[2, 1], [0, 3]]), np.array([0, -1])) == (2, 6)


def test_a_description_counts_copies_within_and_across_splits():
    train = [("AC", 0), ("ac", 0), ("GT", 1), ("T", 1)]  # GT is AC on the other strand
    found = describe_copies(task(train, [("AC", 0), ("CC", 1), ("GG", 0)]))
    assert found["duplicates in train"] == 2
    assert found["duplicates in test"] == 1
    assert found["test rows in train"] == 1
    assert found["conflicting in train"] == 1  # AC
    assert found["conflicting in test"] == 1  # CC
    assert found["conflicting in train and test"] == 1  # AC


@given(ROWS, ROWS, ROWS, ROWS)
def test_copies_in_other_tasks_are_counted(train, test, other_train, other_test):
    tasks = [task(train, test, "a"), task(other_train, other_test, "b")]
    found = {(r["task"], r["other_task"], r["split"]): (r["copies"], r["same_label"])
             for r in copies_across([task_keys(each) for each in tasks])}  # fmt: skip
    wanted = {}
    for of, name, others, other in ((test, "a", (other_train, other_test), "b"),
                                    (other_test, "b", (train, test), "a")):  # fmt: skip
        for split, rows in zip(("train", "test"), others, strict=True):
            like = [[y == label for s, y in rows if brute.are_copies(s, text)]
                    for text, label in of]  # fmt: skip
            if any(like):
                wanted[name, other, split] = (sum(map(bool, like)), sum(map(any, like)))
    assert found == wanted
