"""Real task files with 4-mer frequencies, beside scikit-learn run as GENEB's harness runs it."""

import warnings

import numpy as np
import pytest
from shared_data import need
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

from geneb_jax.benchmark import GENEB
from geneb_jax.kmer import kmer_frequencies
from geneb_jax.tasks import Task, find_tasks, read_task
from probes import Probe, evaluate_task, few_shot_rows

SHOTS = (None, 10, 1)
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
def test_scores_are_the_harness_scores():
    differences = []
    for task in real_tasks():
        x, x_test = features(task)
        y, y_test = task.train.labels, task.test.labels
        heads = evaluate_task(
            x, y, x_test, y_test, probes=[Probe()], shots=SHOTS, seeds=GENEB.seeds
        )
        for shots in SHOTS:
            ours = [head.MCC for head in heads if head.shots == shots]
            theirs = []
            for seed in GENEB.seeds if shots else GENEB.seeds[:1]:
                rows = few_shot_rows(y, shots, seed) if shots else slice(None)
                predicted = fit(x[rows], y[rows], max_iter=1000).predict(x_test)
                theirs.append(matthews_corrcoef(y_test, predicted))
            differences.append(abs(np.mean(ours) - np.mean(theirs)))
    assert len(differences) >= 3
    assert np.mean(differences) <= 0.001
    assert np.max(differences) <= 0.01


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
