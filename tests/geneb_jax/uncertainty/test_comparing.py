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
    in_order,
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


def test_pairs_in_another_order_are_those_of_models_in_that_order():
    rng = np.random.default_rng(2)
    replicates, p = rng.integers(0, 9, (50, 4)).astype(float), rng.random(6)
    order = [2, 0, 3, 1]  # the models from the first place on
    places = np.argsort(order)
    found = in_order(compare(replicates, PairTest(p, 0.1)), places)
    of_pair = dict(zip(itertools.combinations(range(4), 2), p, strict=True))
    p_again = [of_pair[min(a, b), max(a, b)] for a, b in itertools.combinations(order, 2)]
    expected = compare(replicates[:, order], PairTest(np.array(p_again), 0.1))
    assert [order[i] for i in expected.first] == found.first.tolist()
    assert [order[i] for i in expected.second] == found.second.tolist()
    for name in ("low", "high", "superiority", "p", "holm"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    assert found.attainable == 0.1


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


def test_groups_by_hand():
    scores = np.array([0.1, 0.4, 0.3, 0.2])  # in order: 1, 2, 3, 0
    assert groups(scores, pairs_of(4, set())) == [[1, 2, 3, 0]]
    assert groups(scores, pairs_of(4, {(0, 1)})) == [[1, 2, 3], [2, 3, 0]]
    every = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert groups(scores, pairs_of(4, every)) == [[1], [2], [3], [0]]
    # 1 and 3 stand on both sides of 2, which is told from both: they share a group all the same.
    assert groups(scores, pairs_of(4, {(1, 2), (2, 3), (0, 2)})) == [[1, 3, 0], [2]]
    # A ring of four, 1 - 2 - 3 - 0 - 1: no three are alike, and every pair is a group.
    ring = groups(scores, pairs_of(4, {(1, 3), (0, 2)}))
    assert ring == [[1, 2], [1, 0], [2, 3], [3, 0]]
    assert groups(np.zeros(1), pairs_of(1, set())) == [[0]]


def test_models_share_a_group_exactly_where_they_are_not_told_apart():
    rng = np.random.default_rng(2)
    for share in np.linspace(0, 1, 60):
        scores = rng.random(9)
        every = list(itertools.combinations(range(9), 2))
        apart = {pair for pair in every if rng.random() < share}
        found = groups(scores, pairs_of(9, apart))
        assert {model for group in found for model in group} == set(range(9))
        for a, b in every:
            together = any(a in group and b in group for group in found)
            assert together == ((a, b) not in apart)
        assert not any(set(one) <= set(other) for one, other in itertools.permutations(found, 2))
        assert all(sorted(group, key=lambda m: -scores[m]) == group for group in found)


def test_better_and_worse_are_counted():
    better, worse = better_and_worse(np.array([0.1, 0.9, 0.5]), pairs_of(3, {(0, 1), (0, 2)}))
    assert better.tolist() == [2, 0, 0] and worse.tolist() == [0, 1, 1]


def test_category_means_keep_the_order_of_tasks():
    scores = np.array([[1.0, 2, 6], [0, 4, 0]])
    assert category_means(scores, ["z", "a", "z"]).tolist() == [[3.5, 2], [0, 4]]
