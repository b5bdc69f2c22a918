import itertools

import numpy as np
import pytest
from scipy import stats

from geneb_jax.uncertainty.comparing import (
    Pairs,
    PairTest,
    better_and_worse,
    category_means,
    compare,
    groups,
    holm,
    interval,
    rank_interval,
    ranks,
)


def pairs_of(models, apart):
    """Pairs of which some, by their models, are told apart."""
    first, second = np.triu_indices(models, 1)
    p = np.array([0.001 if (a, b) in apart else 1.0 for a, b in zip(first, second, strict=True)])
    nothing = np.zeros(len(first))
    return Pairs(first, second, nothing, nothing, nothing, p, p, 0.0)


def test_the_probability_of_superiority_is_that_of_brute_force():
    replicates = np.random.default_rng(0).integers(0, 4, (50, 4)).astype(float)
    found = compare(replicates, PairTest(np.ones(6), 0.0))
    for i, (a, b) in enumerate(itertools.combinations(range(4), 2)):
        wins = sum(
            1 if row[a] > row[b] else 0.5 if row[a] == row[b] else 0 for row in replicates.tolist()
        )
        assert found.superiority[i] == wins / 50
        low, high = interval(replicates[:, a] - replicates[:, b])
        assert (found.low[i], found.high[i]) == (low, high)
        assert (found.first[i], found.second[i]) == (a, b)


def test_the_probability_of_superiority_of_normal_scores():
    replicates = np.random.default_rng(1).normal([0.5, 0.3], [0.1, 0.2], (200_000, 2))
    expected = stats.norm.cdf(0.2 / np.hypot(0.1, 0.2))
    assert compare(replicates, PairTest(np.ones(1), 0.0)).superiority[0] == pytest.approx(
        expected, abs=0.004
    )


def test_holm_by_hand():
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, 0.5; none below the one before it.
    assert holm(np.array([0.02, 0.5, 0.01, 0.03])) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm(np.array([0.9, 0.6])) == pytest.approx([1, 1])


def test_ranks_share_and_are_rounded_outwards():
    assert ranks(np.array([0.5, 0.9, 0.5])).tolist() == [2.5, 1, 2.5]
    replicates = np.array([[3.0, 2, 1], [3, 2, 2]])
    low, high = rank_interval(replicates)
    assert low.tolist() == [1, 2, 2] and high.tolist() == [1, 3, 3]


def test_groups_are_runs_of_neighbours():
    scores = np.array([0.1, 0.4, 0.3, 0.2])  # in order: 1, 2, 3, 0
    assert groups(scores, pairs_of(4, set())) == [[1, 2, 3, 0]]
    assert groups(scores, pairs_of(4, {(0, 1)})) == [[1, 2, 3], [2, 3, 0]]
    every = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert groups(scores, pairs_of(4, every)) == [[1], [2], [3], [0]]
    # 1 and 3 stand on both sides of 2, which is told from both.
    assert groups(scores, pairs_of(4, {(1, 2), (2, 3), (0, 2)})) == [[1], [2], [3, 0]]


def test_no_run_has_two_that_are_told_apart_and_none_is_part_of_another():
    rng = np.random.default_rng(2)
    for _ in range(50):
        scores, apart = rng.random(8), set()
        for pair in itertools.combinations(range(8), 2):
            if rng.random() < 0.3:
                apart.add(pair)
        found = groups(scores, pairs_of(8, apart))
        assert {model for run in found for model in run} == set(range(8))
        for run in found:
            assert not apart.intersection(itertools.combinations(sorted(run), 2))
            assert not any(set(run) < set(other) for other in found)


def test_better_and_worse_are_counted():
    better, worse = better_and_worse(np.array([0.1, 0.9, 0.5]), pairs_of(3, {(0, 1), (0, 2)}))
    assert better.tolist() == [2, 0, 0] and worse.tolist() == [0, 1, 1]


def test_category_means_keep_the_order_of_tasks():
    scores = np.array([[1.0, 2, 6], [0, 4, 0]])
    assert category_means(scores, ["z", "a", "z"]).tolist() == [[3.5, 2], [0, 4]]
