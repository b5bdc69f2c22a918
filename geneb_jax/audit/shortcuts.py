"""Shortcuts: features of a record that say nothing of what its letters mean.

The usual probe on one of them shows how far a task is answered by it. A measure is given one-hot,
in the 32 quantiles of train: of the raw number a linear probe makes much less.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from geneb_jax.audit.records import Records, encode
from geneb_jax.tasks.task import Task

QUANTILES = 32
_LETTERS = 10  # letters of each end
_LOWER = string.ascii_lowercase.encode()


class Side(NamedTuple):
    """The records of a split, N of them.

    Attributes:
        sequences: As texts.
        records: As numbers.
    """

    sequences: Sequence[str]
    records: Records


class Features(NamedTuple):
    """What a shortcut says of each record: one of R rows of features, which records may share.

    Attributes:
        rows: float32 [R, D].
        train: The row of each train record, int64 [N].
        test: The row of each test record, int64 [M].
    """

    rows: np.ndarray
    train: np.ndarray
    test: np.ndarray


def _lengths(side: Side) -> np.ndarray:
    return side.records.lengths.astype(float)


def _gc(side: Side) -> np.ndarray:
    bases = side.records.compositions[:, :4]
    return bases[:, 1:3].sum(axis=1) / np.maximum(bases.sum(axis=1), 1)


def _unknown(side: Side) -> np.ndarray:
    shares = np.zeros(len(side.sequences))
    bases = side.records.compositions[:, :4].sum(axis=1)
    for i in np.flatnonzero(bases < side.records.lengths).tolist():
        text = side.sequences[i]
        shares[i] = (text.count("N") + text.count("n")) / len(text)
    return shares


def _lower(side: Side) -> np.ndarray:
    shares = np.zeros(len(side.sequences))
    for i, text in enumerate(side.sequences):
        if not text.isupper():
            others = text.encode("latin-1", "replace").translate(None, _LOWER)
            shares[i] = (len(text) - len(others)) / len(text)
    return shares


def _position(side: Side) -> np.ndarray:
    return np.arange(len(side.sequences)) / max(len(side.sequences), 1)


def _one_hot(measure: Callable[[Side], np.ndarray]) -> Callable[[Side, Side], Features]:
    def features(train: Side, test: Side) -> Features:
        measured = measure(train), measure(test)
        edges = np.unique(np.quantile(measured[0], np.arange(1, QUANTILES) / QUANTILES))
        bins = np.eye(len(edges) + 1, dtype=np.float32)
        return Features(bins, *(np.searchsorted(edges, values, "right") for values in measured))

    return features


def _of_each(of_side: Callable[[Side], np.ndarray]) -> Callable[[Side, Side], Features]:
    def features(train: Side, test: Side) -> Features:
        rows = np.concatenate([of_side(train), of_side(test)])
        numbers = np.arange(len(rows))
        return Features(rows, *np.split(numbers, [len(train.sequences)]))

    return features


def _composition(side: Side) -> np.ndarray:
    return side.records.compositions.astype(np.float32)


def _ends(side: Side) -> np.ndarray:
    """Returns the bases of the first and the last ten letters, float32 [N, 80]."""
    records = side.records
    steps = np.arange(_LETTERS)
    from_first = records.starts[:, None] + steps
    from_last = (records.starts + records.lengths)[:, None] - _LETTERS + steps
    there = steps < records.lengths[:, None]
    first = np.where(there, records.codes[np.where(there, from_first, 0)], 4)
    last = np.where(there[:, ::-1], records.codes[np.where(there[:, ::-1], from_last, 0)], 4)
    bases = np.eye(5, 4, dtype=np.float32)  # a letter that is no base, or none, is nowhere
    return bases[np.concatenate([first, last], axis=1)].reshape(len(records), 2 * _LETTERS * 4)


# What gives the features of train and test, by the shortcut's name.
SHORTCUTS: Mapping[str, Callable[[Side, Side], Features]] = {
    "length": _one_hot(_lengths),
    "gc": _one_hot(_gc),
    "unknown": _one_hot(_unknown),
    "lowercase": _one_hot(_lower),
    "position": _one_hot(_position),
    "composition": _of_each(_composition),
    "ends": _of_each(_ends),
}


def shortcut_features(name: str, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Returns a shortcut's features of a task's records, float32 [N, D] of train, [M, D] of test.

    Args:
        name: A name of `SHORTCUTS`.
        task: The task.
    """
    train, test = (Side(s.sequences, encode(s.sequences)) for s in (task.train, task.test))
    features = SHORTCUTS[name](train, test)
    return features.rows[features.train], features.rows[features.test]


# Shortcuts that are in the file and not in the record: they show how a file was made.
UNSEEN = ("position",)

# Shortcuts that are the same for a record and its reverse complement.
STRANDLESS = ("length", "gc", "unknown", "lowercase", "position")

# What each shortcut is, in words.
MEANINGS: Mapping[str, str] = {
    "length": "the record's length",
    "gc": "the share of G and C among its bases",
    "unknown": "the share of N among its letters",
    "lowercase": "the share of lower-case letters",
    "position": "its position in its split",
    "composition": "the counts of its bases and dinucleotides",
    "ends": "its first and last ten letters",
}
