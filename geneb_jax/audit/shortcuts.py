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

Features = tuple[np.ndarray, np.ndarray]


class Side(NamedTuple):
    """The records of a split, N of them.

    Attributes:
        sequences: As texts.
        records: As numbers.
    """

    sequences: Sequence[str]
    records: Records


def _lengths(side: Side) -> np.ndarray:
    return side.records.lengths.astype(float)


def _gc(side: Side) -> np.ndarray:
    bases = side.records.compositions[:, :4]
    return bases[:, 1:3].sum(axis=1) / np.maximum(bases.sum(axis=1), 1)


def _unknown(side: Side) -> np.ndarray:
    return np.array([(s.count("N") + s.count("n")) / len(s) for s in side.sequences])


def _lower(side: Side) -> np.ndarray:
    others = (s.encode("latin-1", "replace").translate(None, _LOWER) for s in side.sequences)
    pairs = zip(side.sequences, others, strict=True)
    return np.array([(len(s) - len(other)) / len(s) for s, other in pairs])


def _position(side: Side) -> np.ndarray:
    return np.arange(len(side.sequences)) / max(len(side.sequences), 1)


def _one_hot(measure: Callable[[Side], np.ndarray]) -> Callable[[Side, Side], Features]:
    def features(train: Side, test: Side) -> Features:
        measured = measure(train), measure(test)
        edges = np.unique(np.quantile(measured[0], np.arange(1, QUANTILES) / QUANTILES))
        bins = np.eye(len(edges) + 1, dtype=np.float32)
        x, x_test = (bins[np.searchsorted(edges, values, "right")] for values in measured)
        return x, x_test

    return features


def _of_both(of_side: Callable[[Side], np.ndarray]) -> Callable[[Side, Side], Features]:
    return lambda train, test: (of_side(train), of_side(test))


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


# What gives the features of train and test, float32 [N, D] and [M, D], by the shortcut's name.
SHORTCUTS: Mapping[str, Callable[[Side, Side], Features]] = {
    "length": _one_hot(_lengths),
    "gc": _one_hot(_gc),
    "unknown": _one_hot(_unknown),
    "lowercase": _one_hot(_lower),
    "position": _one_hot(_position),
    "composition": _of_both(_composition),
    "ends": _of_both(_ends),
}


def shortcut_features(name: str, task: Task) -> Features:
    """Returns a shortcut's features of a task's records, float32 [N, D] of train, [M, D] of test.

    Args:
        name: A name of `SHORTCUTS`.
        task: The task.
    """
    train, test = (Side(s.sequences, encode(s.sequences)) for s in (task.train, task.test))
    return SHORTCUTS[name](train, test)


# Shortcuts that are in the file and not in the record: they show how a file was made.
UNSEEN = ("position",)

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
