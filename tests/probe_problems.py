"""Made-up tasks for probes, and scikit-learn's heads on them."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from probes import few_shot_rows

SEEDS = (13, 17)


def problem(n=400, d=24, classes=2, seed=0):
    """Classes that overlap, on features of different scales: x, y, x_test, y_test."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * np.exp(rng.normal(size=d))).astype(np.float32)
    scores = x @ rng.normal(size=(d, classes)) + 4 * rng.normal(size=(n, classes))
    labels = np.array([-7, 3, 4, 10, 11])[scores.argmax(1)]
    return x[::2], labels[::2], x[1::2], labels[1::2]


def xor_problem(n=4000, seed=0):
    """Two classes that no line separates: x, y, x_test, y_test."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=n) > 0).astype(int)
    return x[::2], y[::2], x[1::2], y[1::2]


def reference(x, y, **options):
    """scikit-learn's head."""
    # scikit-learn 1.5, which the harness runs, casts to float64; later versions do not.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=1000, **options).fit(x.astype(np.float64), y)


def fit_rows(head, y):
    """The train rows that a head was fitted on."""
    return slice(None) if head.shots is None else few_shot_rows(y, head.shots, head.seed)


def some_slow(rows, fast):
    """Rows of a test's parameters, each of which compiles a program; those not `fast` are slow."""
    return [row if row in fast else pytest.param(*row, marks=pytest.mark.slow) for row in rows]
