import numpy as np
import pytest
from scipy import stats

from geneb_jax.uncertainty.other_tasks import answer_tasks, category_replicates, task_test

CATEGORIES = ["b"] * 12 + ["a"] * 3 + ["c"] + ["d"] * 2


def drawn(scores, count=4000, categories=CATEGORIES):
    return dict(category_replicates(scores, categories, count, np.random.default_rng(1)))


def test_small_categories_draw_from_all_and_large_ones_from_their_own():
    scores = np.random.default_rng(0).normal(0, 1, (1, 18))
    replicates = drawn(scores, 40_000)
    assert list(replicates) == ["b", "a", "c", "d"]
    values = {"b": scores[0, :12], "a": scores[0, 12:15], "d": scores[0, 16:]}
    # v / (v - 2) is the variance of Student's t, here with 11 degrees of freedom.
    own = values["b"].var(ddof=1) / 12 * 11 / 9
    assert replicates["b"].var() == pytest.approx(own, rel=0.05)
    assert replicates["b"].mean() == pytest.approx(values["b"].mean(), abs=0.01)
    # The one task of c: a category of two tasks or more, a task of it, and a spread known from
    # three categories.
    rng = np.random.default_rng(2)
    direct = []
    for _ in range(20_000):
        of_category = values["bad"[rng.integers(3)]]
        n = len(of_category)
        residual = (rng.choice(of_category) - of_category.mean()) * np.sqrt(n / (n - 1))
        direct.append(scores[0, 15] + residual * np.sqrt(2 / rng.chisquare(2)))
    assert stats.ks_2samp(replicates["c"][:, 0], direct)[0] < 0.015


def test_models_are_drawn_together():
    scores = np.random.default_rng(4).normal(0, 1, (2, 18))
    both = np.concatenate([scores, scores[:1] - scores[1:]])
    for values in drawn(both).values():
        assert values[:, 0] - values[:, 1] == pytest.approx(values[:, 2], abs=1e-12)


def test_equal_tasks_leave_no_doubt():
    scores = np.full((1, 18), 0.25)
    for values in drawn(scores, 10).values():
        assert values == pytest.approx(0.25, abs=1e-15)


@pytest.mark.parametrize(
    ("categories", "found"),
    [
        ("abc", "3 .* are none"),
        ("aab", "3 .* is 1"),
        ("aabbc", "3 .* are 2"),
        ("a" * 9, "2 .* is 1"),
    ],
)
def test_too_few_categories_of_two_tasks_have_no_interval(categories, found):
    words = found.replace(" .* ", " categories with two tasks or more are needed, and here ")
    with pytest.raises(ValueError, match=f"too few tasks: {words}"):
        answer_tasks(np.zeros((2, len(categories))), list(categories), np.random.default_rng(0))


def test_the_fewest_categories_have_an_interval_that_says_something():
    scores = np.random.default_rng(3).normal(0.3, 0.05, (1, 36))
    for categories in ("aabbcc", "a" * 18 + "b" * 18):
        of_tasks = scores[:, : len(categories)]
        answer = answer_tasks(of_tasks, list(categories), np.random.default_rng(0))
        low, high = (float(end[0]) for end in answer.macro)
        assert 0 < low < of_tasks.mean() < high < 0.6


FEW = ["a"] * 6 + ["b"] * 2 + ["c"]


def weighted_sum(x, y, axis):
    weights = 1 / np.array([3 * FEW.count(name) for name in FEW])
    return ((x - y) * weights).sum(axis)


def test_all_flips_are_scipys_permutations():
    scores = np.random.default_rng(5).normal([[0.0], [0.4], [0.6]], 1, (3, 9))
    found = task_test(scores, FEW, 2**9, np.random.default_rng(0))
    assert found.attainable == 2 / 2**9
    for i, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
        expected = stats.permutation_test(
            (scores[a], scores[b]), weighted_sum, permutation_type="samples", vectorized=True,
            n_resamples=2**20, alternative="two-sided",
        )  # fmt: skip
        assert found.p[i] == pytest.approx(expected.pvalue, abs=1e-12)


def test_random_flips_are_close_to_all():
    scores = np.random.default_rng(6).normal([[0.0], [0.5]], 1, (2, 18))
    every = task_test(scores, CATEGORIES, 2**18, np.random.default_rng(0))
    some = task_test(scores, CATEGORIES, 20_000, np.random.default_rng(0))
    assert some.attainable == 1 / 20_001
    assert some.p[0] == pytest.approx(every.p[0], abs=0.01)


def test_few_tasks_cannot_reach_a_small_p():
    scores = np.stack([np.zeros(4), np.ones(4)])
    found = task_test(scores, ["a", "a", "b", "b"], 1000, np.random.default_rng(0))
    assert found.p[0] == found.attainable == 2 / 16
