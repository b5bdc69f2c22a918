import numpy as np
import pytest
from scipy import stats

from geneb_jax.uncertainty.other_shots import (
    answer_shots,
    shot_interval,
    shot_replicates,
    shot_test,
)

SCORES = np.random.default_rng(0).normal(0.3, 0.1, (5, 3))


def test_the_interval_is_students():
    low, high = shot_interval(SCORES)
    for m in range(3):
        expected = stats.t.interval(0.95, 4, SCORES[:, m].mean(), stats.sem(SCORES[:, m]))
        assert (low[m], high[m]) == pytest.approx(expected, abs=1e-12)


def test_the_test_is_students_paired():
    expected = [
        stats.ttest_rel(SCORES[:, a], SCORES[:, b]).pvalue for a, b in [(0, 1), (0, 2), (1, 2)]
    ]
    assert shot_test(SCORES).p == pytest.approx(expected, abs=1e-12)


def test_equal_models_are_not_told_apart_and_a_constant_difference_is():
    same = np.stack([SCORES[:, 0], SCORES[:, 0], SCORES[:, 0] + 0.125], axis=1)
    assert shot_test(same).p[0] == 1 and shot_test(same).p[1] < 1e-10


def test_models_that_score_the_same_in_all_draws_are_not_told_apart():
    varies = np.array([0.1, 0.3, 0.2, 0.4, 0.25])
    scores = np.stack([np.full(5, 0.577), np.full(5, 1 / 3), varies], axis=1)
    test = shot_test(scores)
    assert test.p[0] == 1
    assert test.p[1:] == pytest.approx(
        [stats.ttest_rel(scores[:, 0], varies).pvalue, stats.ttest_rel(scores[:, 1], varies).pvalue]
    )


def test_replicates_have_the_same_interval_jointly():
    found = shot_replicates(SCORES, 40_000, np.random.default_rng(1))
    low, high = shot_interval(SCORES)
    ends = np.quantile(found, [0.025, 0.975], axis=0)
    assert ends == pytest.approx(np.stack([low, high]), abs=0.05 * (high - low).max())
    differences = shot_interval(SCORES[:, [0]] - SCORES[:, [1]])
    ends = np.quantile(found[:, 0] - found[:, 1], [0.025, 0.975])
    assert ends == pytest.approx(np.ravel(differences), abs=0.01)


def test_averages_over_tasks_are_one_value_a_seed():
    scores = np.random.default_rng(2).normal(0, 0.1, (6, 2, 3))
    answer = answer_shots(scores, ["a", "b", "a"], np.random.default_rng(3))
    macro = ((scores[..., 0] + scores[..., 2]) / 2 + scores[..., 1]) / 2
    expected = stats.t.interval(0.95, 5, macro[:, 1].mean(), stats.sem(macro[:, 1]))
    assert (answer.macro[0][1], answer.macro[1][1]) == pytest.approx(expected)
    assert answer.pairs.p[0] == pytest.approx(stats.ttest_rel(macro[:, 0], macro[:, 1]).pvalue)


def test_one_seed_has_no_spread():
    with pytest.raises(ValueError, match="1 seeds have no spread"):
        shot_interval(SCORES[:1])
