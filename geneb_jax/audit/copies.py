"""Copies and shuffle twins: records that say the same, and records that count the same."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from geneb_jax.audit.records import Records, copy_keys, encode
from geneb_jax.tasks.task import Task

# Dinucleotides AA, AC .. TT by number, and those that they are on the other strand.
_PAIRS = np.arange(16)
_TURNED = 15 - _PAIRS.reshape(4, 4).T.ravel()
# Of a record's length and counts of dinucleotides.
_FACTORS = np.random.default_rng(0).integers(0, 2**64, 17, np.uint64) | np.uint64(1)


class Groups(NamedTuple):
    """Records of train and test in groups.

    Attributes:
        train: The group of each train record, int64 [N] of 0 .. G - 1.
        test: That of each test record, int64 [M].
    """

    train: np.ndarray
    test: np.ndarray


def copy_groups(task: Task, train: Records, test: Records) -> Groups:
    """Returns groups of equal records, on either strand; see `records.copy_keys`.

    Copies have one composition on either strand: texts are read of records alone whose composition
    another has too.

    Args:
        task: The task.
        train: Its train records as numbers.
        test: Its test records as numbers.
    """
    keys = np.concatenate([_strandless_keys(records) for records in (train, test)])
    shared = np.flatnonzero(_repeated(keys))
    cut = len(train)
    texts = [
        task.train.sequences[i] if i < cut else task.test.sequences[i - cut]
        for i in shared.tolist()
    ]
    keys[shared] = copy_keys(texts).view(np.uint64)
    return _grouped(keys[:cut], keys[cut:])


def twin_groups(train: Records, test: Records) -> Groups:
    """Returns groups of records with the same length and the same 16 counts of dinucleotides."""
    return _grouped(*(_composition_keys(records, _PAIRS) for records in (train, test)))


def _composition_keys(records: Records, pairs: np.ndarray) -> np.ndarray:
    """Returns a number of each record's length and its counts of dinucleotides, uint64 [N].

    It is their sum with random odd factors: of ten million records two that differ have the same
    with a probability below 1e-3.

    Args:
        records: N records.
        pairs: The dinucleotides in the order of the factors, int64 [16].
    """
    counted = np.column_stack([records.lengths, records.compositions[:, 4 + pairs]])
    return counted.astype(np.uint64) @ _FACTORS


def _strandless_keys(records: Records) -> np.ndarray:
    """Returns `_composition_keys` that are those of the reverse complement, uint64 [N]."""
    return np.minimum(*(_composition_keys(records, pairs) for pairs in (_PAIRS, _TURNED)))


def _repeated(keys: np.ndarray) -> np.ndarray:
    """Returns which of N integers stand more than once, bool [N]."""
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return np.zeros(len(keys), bool)
    return np.take(repeated, np.searchsorted(repeated, keys), mode="clip") == keys


def _grouped(train: np.ndarray, test: np.ndarray) -> Groups:
    numbers = np.unique(np.concatenate([train, test]), return_inverse=True)[1].ravel()
    return Groups(numbers[: len(train)], numbers[len(train) :])


def label_counts(groups: np.ndarray, classes: np.ndarray, size: int, of: int) -> np.ndarray:
    """Counts the records of each group and class, int64 [size, of].

    Args:
        groups: The group of each record, int64 [N] of 0 .. size - 1.
        classes: Its class number, int64 [N] of 0 .. of - 1.
        size: How many groups there are.
        of: How many classes there are.
    """
    return np.bincount(groups * of + classes, minlength=size * of).reshape(size, of)


class Votes(NamedTuple):
    """How many train records of each class are like a record, int64 [records, K].

    Attributes:
        train: Of each train record, itself left out.
        test: Of each test record.
    """

    train: np.ndarray
    test: np.ndarray


def copy_votes(groups: Groups, classes: np.ndarray, of: int) -> Votes:
    """Returns the classes of each record's copies in train.

    Args:
        groups: See `copy_groups`.
        classes: Class number of each train record, int64 [N].
        of: How many classes there are, K.
    """
    size = int(max(groups.train.max(initial=-1), groups.test.max(initial=-1))) + 1
    counts = label_counts(groups.train, classes, size, of)
    return Votes(counts[groups.train] - np.eye(of, dtype=np.int64)[classes], counts[groups.test])


def twin_votes(twins: Groups, copies: Groups, classes: np.ndarray, of: int) -> Votes:
    """Returns the classes of each record's shuffle twins in train; of copies there are none.

    A record that has a copy in train has no twins here, so that what copies say is not said twice.

    Args:
        twins: See `twin_groups`.
        copies: See `copy_groups`.
        classes: Class number of each train record, int64 [N].
        of: How many classes there are, K.
    """
    votes, copied = copy_votes(twins, classes, of), copy_votes(copies, classes, of)
    train, test = (
        of_twins * ~of_copies.any(axis=1, keepdims=True)
        for of_twins, of_copies in zip(votes, copied, strict=True)
    )
    return Votes(train, test)


def pair_agreement(votes: np.ndarray, classes: np.ndarray) -> tuple[int, int]:
    """Counts the pairs of a record and one that is like it, and those with the same label.

    Args:
        votes: See `Votes`, int64 [n, K].
        classes: Class number of each of the n records; -1: a label that train lacks.

    Returns:
        Pairs with the same label, and all pairs.
    """
    known = np.flatnonzero(classes >= 0)
    same = votes[known, classes[known]].sum()
    return int(same), int(votes.sum())


def duplicates(groups: np.ndarray) -> int:
    """Returns how many records are further copies of one that stands in the same split."""
    return len(groups) - len(np.unique(groups))


def conflicts(groups: np.ndarray, labels: np.ndarray) -> int:
    """Returns how many groups hold records of different labels."""
    of, classes = np.unique(labels, return_inverse=True)
    pairs = np.unique(groups * len(of) + classes)
    return int((np.unique(pairs // max(len(of), 1), return_counts=True)[1] > 1).sum())


def describe_copies(task: Task) -> dict[str, Any]:
    """Counts a task's copies, as a table's row; see `records.copy_keys` for what a copy is.

    Returns:
        Records that repeat another of the same split, test records with a copy in train, and
        records of which rows differ in label: in train, in test, and among those in both.
    """
    groups = copy_groups(task, encode(task.train.sequences), encode(task.test.sequences))
    shared = np.intersect1d(groups.train, groups.test)
    kept = [np.isin(group, shared) for group in groups]
    labels = task.train.labels, task.test.labels
    both = [np.concatenate([g[k] for g, k in zip(each, kept, strict=True)])
            for each in (groups, labels)]  # fmt: skip
    return {
        "duplicates in train": duplicates(groups.train),
        "duplicates in test": duplicates(groups.test),
        "test rows in train": int(kept[1].sum()),
        "conflicting in train": conflicts(groups.train, labels[0]),
        "conflicting in test": conflicts(groups.test, labels[1]),
        "conflicting in train and test": conflicts(*both),
    }


class TaskKeys(NamedTuple):
    """What finds a task's records in other tasks.

    Attributes:
        task: The task's id.
        keys: `records.copy_keys` of train and of test.
        labels: Labels of train and of test.
    """

    task: str
    keys: tuple[np.ndarray, np.ndarray]
    labels: tuple[np.ndarray, np.ndarray]


def task_keys(task: Task) -> TaskKeys:
    """Returns what finds a task's records in other tasks."""
    splits = task.train, task.test
    train, test = (copy_keys(split.sequences) for split in splits)
    return TaskKeys(task.info.id, (train, test), (task.train.labels, task.test.labels))


def copies_across(tasks: Sequence[TaskKeys]) -> list[dict[str, Any]]:
    """Counts test records that stand in a split of another task.

    Returns:
        One row a task, other task and split of it with a copy: task, other_task, split (train or
        test), copies (test records of the task), same_label (those with a copy that has the same
        label; whether labels of two tasks mean the same is for the reader to say).
    """
    if not tasks:
        return []
    keys = np.concatenate([each for task in tasks for each in task.keys])
    labels = np.concatenate([each for task in tasks for each in task.labels])
    sizes = [len(each) for task in tasks for each in task.keys]
    split = np.repeat(np.arange(len(sizes)), sizes)
    kept = np.flatnonzero(_repeated(keys))
    split, keys, labels = split[kept], keys[kept], labels[kept]
    records, classes = (np.unique(each, return_inverse=True)[1] for each in (keys, labels))
    labelled = np.unique(records * len(labels) + classes, return_inverse=True)[1]
    found = _found(split, records, len(sizes))
    same = _found(split, labelled, len(sizes))
    return [
        {
            "task": tasks[of // 2].task,
            "other_task": tasks[other // 2].task,
            "split": ("train", "test")[other % 2],
            "copies": int(found[of, other]),
            "same_label": int(same[of, other]),
        }
        for of in range(1, len(sizes), 2)
        for other in np.flatnonzero(found[of]).tolist()
        if other // 2 != of // 2
    ]


def _found(split: np.ndarray, keys: np.ndarray, splits: int) -> np.ndarray:
    """Counts the rows of each split whose keys stand in each split, int64 [splits, splits]."""
    counts = scipy.sparse.csr_array(
        (np.ones(len(keys), np.int64), (split, keys)), shape=(splits, int(keys.max(initial=-1)) + 1)
    )
    counts.sum_duplicates()
    there = counts.copy()
    there.data[:] = 1
    return (counts @ there.T).toarray()
