import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.task import (
    Split,
    Task,
    content_digest,
    fingerprint,
    prepare_task,
    subsample_train,
)

INFO = TaskInfo("mine", "mine", CUSTOM, CUSTOM)


def example(labels, sequences=None):
    labels = np.array(labels)
    split = Split(sequences or ["ACGT"] * len(labels), labels)
    return Task(INFO, split, split)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=300), st.integers(4, 400))
def test_subsample_keeps_the_classes_shares(labels, limit):
    task = example(labels, [str(i) for i in range(len(labels))])
    small = subsample_train(task, limit)
    assert small.test is task.test
    if len(labels) <= limit:
        assert small is task
        return
    assert small.max_train == limit
    kept = [int(name) for name in small.train.sequences]
    assert kept == sorted(set(kept))
    assert small.train.labels.tolist() == [labels[row] for row in kept]
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        wanted = max(1, round(count * limit / len(labels)))
        assert np.sum(small.train.labels == label) == wanted
    assert content_digest(small) == content_digest(subsample_train(task, limit))


def test_fingerprint_is_of_labels_and_sequences_as_they_are():
    split = Split(["ggt", "ACG"], np.array([-1, 20]))
    assert fingerprint(split) == hashlib.sha256(b"-1\tggt\n20\tACG\n").hexdigest()
    others = [
        Split(["GGT", "ACG"], np.array([-1, 20])),
        Split(["ggt", "ACG"], np.array([-1, 2])),
        Split(["ACG", "ggt"], np.array([20, -1])),
    ]
    assert len({fingerprint(each) for each in (split, *others)}) == 4


@pytest.mark.parametrize(
    ("letters", "prepared"),
    [
        ("as-is", ["acgunU-*é", "ACGU"]),
        ("upper", ["ACGUNU-*é", "ACGU"]),
        ("dna", ["ACGTNT-*é", "ACGT"]),
    ],
)
def test_what_follows_is_of_the_prepared_records(letters, prepared):
    task = example([0, 1], ["acgunU-*é", "ACGU"])
    found = prepare_task(task, letters)
    assert found.train.sequences == found.test.sequences == prepared
    assert content_digest(found) == content_digest(example([0, 1], prepared))
    assert found.letters == letters


def test_a_task_without_a_letter_to_change_stays_as_it_is():
    task = example([0, 1], ["ACGTN", "GG"])
    assert prepare_task(task, "dna") is task
    assert task.letters == "as-is"


def test_content_digest_sees_order_labels_and_case():
    one = example([0, 1], ["AC", "GT"])
    others = [
        example([1, 0], ["AC", "GT"]),
        example([0, 1], ["GT", "AC"]),
        example([0, 1], ["ac", "GT"]),
    ]
    assert len({content_digest(task) for task in (one, *others)}) == 4
