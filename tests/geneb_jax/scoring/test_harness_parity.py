"""Real task files with 4-mer frequencies: the optimum, beside scikit-learn run to it."""

import warnings

import numpy as np
import pytest
from shared_data import need
from sklearn.linear_model import LogisticRegression

from geneb_jax.embedding.kmers import kmer_frequencies
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.task import Task
from probes import Probe, evaluate_task

SMALL = 20000  # rows of train + test up to which both solvers are run to convergence


def real_tasks() -> list[Task]:
    folder = need("tasks")
    return [read_task(folder, info) for info in find_tasks(folder).values()]


def features(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return kmer_frequencies(task.train.sequences, 4), kmer_frequencies(task.test.sequences, 4)


def fit(x: np.ndarray, y: np.ndarray, **options) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The harness's scikit-learn 1.5 casts to float64; later versions do not.
        return LogisticRegression(**options).fit(x.astype(np.float64), y)


@pytest.mark.slow
def test_converged_predictions_are_scikit_learns():
    tasks = [t for t in real_tasks() if len(t.train.labels) + len(t.test.labels) <= SMALL]
    equal = []
    for task in tasks:
        x, x_test = features(task)
        heads = evaluate_task(
            x, task.train.labels, x_test, task.test.labels,
            probes=[Probe(solver="converged")], shots=[None], seeds=[13],
        )  # fmt: skip
        expected = fit(x, task.train.labels, tol=1e-8, max_iter=20000).predict(x_test)
        equal.append(heads[0].predictions == expected)
    assert np.mean(np.concatenate(equal)) >= 0.999
