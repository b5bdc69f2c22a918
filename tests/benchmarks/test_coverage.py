import functools

import numpy as np
import pytest

from benchmarks import coverage
from benchmarks.coverage import (
    cells_of,
    equal_pair,
    held,
    macro_of_rows_case,
    pairs_cases,
    rows_case,
    simulate,
    tasks_case,
)
from geneb_jax.benchmark import GENEB
from geneb_jax.uncertainty.comparing import category_means
from probes.metrics import mcc


@pytest.mark.parametrize(("classes", "smallest"), [(2, 0.2), (3, 1 / 3)])
def test_simulated_classifiers_have_their_mcc(classes, smallest):
    cells = cells_of(classes, 0.7, smallest)
    assert cells.sum() == pytest.approx(1) and cells.sum(1)[0] == pytest.approx(smallest)
    assert mcc(cells) == pytest.approx(0.7)


def test_shares_count_the_intervals_that_hold_the_truth():
    def draw(rng):
        value = rng.random()
        return 0.5, (np.array(value - 0.1), np.array(value + 0.1)), (np.zeros(1), np.ones(1))

    ours, plain = held(draw, 2000, 0)
    assert ours.item() == pytest.approx(0.2, abs=0.03) and plain.item() == 1


def test_every_question_is_simulated():
    found = list(simulate(1))
    assert {each.question for each in found} == {"records", "shots", "pairs", "tasks"}
    assert len({(each.question, each.case) for each in found}) == len(found) > 90


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "mcc"), [(19, 0.7), (50, 0.9), (19, 0.98), (50, 0.98), (200, 0.98)]
)
def test_intervals_over_records_cover(rows, mcc):
    ours, plain = held(functools.partial(rows_case, rows, 2, mcc, 0.5), 600, 7)
    assert 0.92 < ours.item() <= 1 and plain.item() < ours.item()


@pytest.mark.slow
@pytest.mark.parametrize("mcc", [0.3, 0.5])
def test_intervals_of_means_over_many_small_tasks_cover(mcc, monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 300)
    categories = [task.category for task in GENEB.tasks]
    case = functools.partial(macro_of_rows_case, 19, categories, mcc, 0.2)
    ours, plain = held(case, 120, 7)
    assert 0.88 < ours.item() < 1 and plain.item() < 0.88


@pytest.mark.slow
def test_intervals_over_tasks_cover():
    ours, plain = held(functools.partial(tasks_case, "normal", 0.4), 300, 7)
    assert 0.91 < ours[-1] < 0.985 and 0.92 < ours.mean() < 0.98
    assert plain.min() == 0 and plain[-1] < 0.85  # categories of one task; macro


def test_equal_pairs_have_one_macro_score():
    scores, categories = equal_pair(1.2, np.random.default_rng(0))
    means = category_means(scores, categories)
    assert scores.shape == (2, 100) and means.shape == (2, 13)
    assert abs(means[0] - means[1]).max() > 0.05


@pytest.mark.slow
def test_sign_flips_leave_equal_pairs_alone_and_wilcoxons_test_does_not():
    wilcoxon, bootstrap = pairs_cases(1.2, 300)
    assert wilcoxon.ours == bootstrap.ours > 0.94
    assert wilcoxon.plain < 0.85
