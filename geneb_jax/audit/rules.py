"""No-model rules: answers that need the train records and no knowledge of what they are.

A rule says a class of the records that it covers; elsewhere it says the class that it says least
often on train, the smallest of several. Where classes are balanced and a rule covers one of them,
this choice alone moves its MCC from 0 to 1: its range over all choices stands beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geneb_jax.audit.copies import Votes
from probes.metrics import confusion_matrix, mcc

NOT_COVERED = -1

# What each rule says, in words.
MEANINGS: Mapping[str, str] = {
    "copy": "the label of its copies in train",
    "twin": "the label of its shuffle twins in train",
    "opposite_twin": "the opposite of the label of its shuffle twins in train",
    "nearest": "the label of the nearest train record",
}


class Said(NamedTuple):
    """The class numbers that a rule says, int64 [records]; -1 where it does not cover them.

    Attributes:
        train: Of train records, each from the others.
        test: Of test records.
    """

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Rule:
    """How well something that is no model does on a task.

    Attributes:
        name: A name of `MEANINGS`, or of a shortcut (see `shortcuts`).
        train_MCC: On train records that it did not see: what it is chosen by.
        MCC: On the test records.
        coverage: Share of the test records that it covers.
        accuracy: Share of the covered ones that it gets right; NaN where there are none.
        lowest_MCC: With that class elsewhere that gives the lowest MCC on test.
        highest_MCC: With that which gives the highest. A shortcut covers all: these are its MCC.
    """

    name: str
    train_MCC: float
    MCC: float
    coverage: float
    accuracy: float
    lowest_MCC: float
    highest_MCC: float


def said_by_votes(copies: Votes, twins: Votes) -> Mapping[str, Said]:
    """Returns what rules say that ask copies and shuffle twins; ties go to the smaller label.

    These are 'copy' and 'twin', the label of most of them, and in tasks of two classes
    'opposite_twin', the other one.
    """
    said = {"copy": _majority(copies), "twin": _majority(twins)}
    if copies.test.shape[1] == 2:
        opposite = (np.where(s == NOT_COVERED, NOT_COVERED, 1 - s) for s in said["twin"])
        said["opposite_twin"] = Said(*opposite)
    return said


def _majority(votes: Votes) -> Said:
    return Said(*(np.where(v.any(axis=1), v.argmax(axis=1), NOT_COVERED) for v in votes))


def judge(
    name: str, said: Said, train_classes: np.ndarray, test_classes: np.ndarray, of: int
) -> Rule:
    """Returns how well a rule does.

    Args:
        name: Its name.
        said: What it says of train and test records.
        train_classes: Class numbers of these train records, int64 [n].
        test_classes: Of the test records, int64 [M].
        of: How many classes there are.
    """
    known = np.unique(train_classes)
    often = np.bincount(said.train[said.train >= 0], minlength=of)[known]
    elsewhere = int(known[often.argmin()])
    covered = said.test >= 0
    choices = [_mcc(said.test, test_classes, int(choice), of) for choice in known]
    right = said.test[covered] == test_classes[covered]
    return Rule(
        name,
        _mcc(said.train, train_classes, elsewhere, of),
        _mcc(said.test, test_classes, elsewhere, of),
        float(covered.mean()),
        float(right.mean()) if covered.any() else float("nan"),
        min(choices),
        max(choices),
    )


def _mcc(said: np.ndarray, classes: np.ndarray, elsewhere: int, of: int) -> float:
    filled = np.where(said == NOT_COVERED, elsewhere, said)
    return float(mcc(confusion_matrix(classes, filled, of)))
