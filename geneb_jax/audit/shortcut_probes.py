"""How well the protocol's probe does on a shortcut, on train records held out and on test.

Records of the same features and label are one row of the fit that counts as often: of a measure in
32 bins a fit of two classes has 64 rows at most. SciPy fits on the host whatever the sizes, since a
program compiled for one shortcut of one task costs more than all other fits of an audit.
"""

from typing import NamedTuple

import numpy as np

from geneb_jax.audit.rules import Rule
from geneb_jax.audit.shortcuts import Features
from probes import Probe
from probes.linear import decision_values
from probes.logistic_scipy import fit_weighted
from probes.metrics import accuracy, mcc, predict
from probes.sampling import stratified_carve

_HELD_OUT = 0.15  # share of train by which shortcuts are chosen
_SEED = 0
_PROBE = Probe()


class _Cells(NamedTuple):
    """Some records by their row of features and their class: the pairs that occur.

    Attributes:
        row: The row of features of each, int64 [P], rising.
        classes: Its class number, int64 [P].
        size: How many records have it, int64 [P].
    """

    row: np.ndarray
    classes: np.ndarray
    size: np.ndarray


def judge_shortcut(
    name: str, features: Features, train_classes: np.ndarray, test_classes: np.ndarray
) -> Rule:
    """Returns how well the protocol's probe does on a shortcut's features.

    Args:
        name: A name of `shortcuts.SHORTCUTS`.
        features: Of train and test records.
        train_classes: Class number of each train record, int64 [N].
        test_classes: Class number of each test record, int64 [M].
    """
    held_out = stratified_carve(train_classes, _HELD_OUT, _SEED)
    fitted, carved = (
        _cells(features.train[rows], train_classes[rows]) for rows in (~held_out, held_out)
    )
    on_train, _ = _probe(features.rows, fitted, carved)
    train, test = _cells(features.train, train_classes), _cells(features.test, test_classes)
    MCC, right = _probe(features.rows, train, test)
    return Rule(name, on_train, MCC, 1.0, right, MCC, MCC)


def _cells(row: np.ndarray, classes: np.ndarray) -> _Cells:
    of = int(classes.max(initial=0)) + 1
    counts = np.bincount(row * of + classes)
    cells = np.flatnonzero(counts)
    return _Cells(*np.divmod(cells, of), counts[cells])


def _probe(rows: np.ndarray, fitted: _Cells, asked: _Cells) -> tuple[float, float]:
    """Returns MCC and accuracy of the protocol's probe of some records on others.

    Records of a class that none of the fitted has do not count. 0 and NaN where features or labels
    are constant, or nothing is left to be scored.
    """
    labels, classes = np.unique(fitted.classes, return_inverse=True)
    asked = _Cells(*(values[np.isin(asked.classes, labels)] for values in asked))
    x = rows[fitted.row]
    if not len(asked.row) or len(labels) < 2 or (x == x[:1]).all():
        return 0.0, float("nan")
    (C,) = _PROBE.strengths
    head = fit_weighted(x, classes, fitted.size, len(labels), C, _PROBE.solver)
    (values,) = decision_values(rows[asked.row], head[None, None])[0]
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    true = np.searchsorted(labels, asked.classes)
    np.add.at(confusion, (true, predict(values)), asked.size)
    return float(mcc(confusion)), float(accuracy(confusion))
