"""Shortcuts: features of a record that say nothing of what its letters mean.

The usual probe on one of them shows how far a task is answered by it. A measure is given one-hot,
in the 32 quantiles of train: of the raw number a linear probe makes much less.
"""

from collections.abc import Callable, Mapping

import numpy as np

from geneb_jax.audit.records import compositions, encode
from geneb_jax.tasks.task import Split, Task

QUANTILES = 32
_LETTERS = 10  # letters of each end

Features = tuple[np.ndarray, np.ndarray]


def _lengths(split: Split) -> np.ndarray:
    return np.array([len(sequence) for sequence in split.sequences], float)


def _gc(split: Split) -> np.ndarray:
    bases = compositions(encode(split.sequences))[:, :4]
    return bases[:, 1:3].sum(axis=1) / np.maximum(bases.sum(axis=1), 1)


def _unknown(split: Split) -> np.ndarray:
    return np.array([(s.count("N") + s.count("n")) / len(s) for s in split.sequences])


def _lower(split: Split) -> np.ndarray:
    return np.array([sum(map(str.islower, s)) / len(s) for s in split.sequences])


def _position(split: Split) -> np.ndarray:
    return np.arange(len(split.sequences)) / max(len(split.sequences), 1)


def _one_hot(measure: Callable[[Split], np.ndarray]) -> Callable[[Task], Features]:
    def features(task: Task) -> Features:
        train, test = measure(task.train), measure(task.test)
        edges = np.unique(np.quantile(train, np.arange(1, QUANTILES) / QUANTILES))
        bins = np.eye(len(edges) + 1, dtype=np.float32)
        x, x_test = (bins[np.searchsorted(edges, values, "right")] for values in (train, test))
        return x, x_test

    return features


def _of_both(of_split: Callable[[Split], np.ndarray]) -> Callable[[Task], Features]:
    return lambda task: (of_split(task.train), of_split(task.test))


def _composition(split: Split) -> np.ndarray:
    return compositions(encode(split.sequences)).astype(np.float32)


def _ends(split: Split) -> np.ndarray:
    """Returns the bases of the first and the last ten letters, float32 [N, 80]."""
    records = encode(split.sequences)
    steps = np.arange(_LETTERS)
    from_first = records.starts[:, None] + steps
    from_last = (records.starts + records.lengths)[:, None] - _LETTERS + steps
    there = steps < records.lengths[:, None]
    first = np.where(there, records.codes[np.where(there, from_first, 0)], 4)
    last = np.where(there[:, ::-1], records.codes[np.where(there[:, ::-1], from_last, 0)], 4)
    bases = np.eye(5, 4, dtype=np.float32)  # a letter that is no base, or none, is nowhere
    return bases[np.concatenate([first, last], axis=1)].reshape(len(records), 2 * _LETTERS * 4)


# What gives the features of train and test, float32 [N, D] and [M, D], by the shortcut's name.
SHORTCUTS: Mapping[str, Callable[[Task], Features]] = {
    "length": _one_hot(_lengths),
    "gc": _one_hot(_gc),
    "unknown": _one_hot(_unknown),
    "lowercase": _one_hot(_lower),
    "position": _one_hot(_position),
    "composition": _of_both(_composition),
    "ends": _of_both(_ends),
}

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
