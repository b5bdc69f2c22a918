import numpy as np
import pytest
from scipy import stats

from geneb_jax.benchmark import GENEB, LITE, select_tasks
from geneb_jax.presentation.analysis import score_matrix
from geneb_jax.presentation.published import published_results
from geneb_jax.uncertainty.comparing import category_means
from geneb_jax.uncertainty.fewer_tasks import (
    ORDERS,
    Agreement,
    at_random,
    by_representation,
    held_out_agreement,
    one_per_category,
    rank_correlation,
    subset_macro,
)

RNG = np.random.default_rng(0)
CATEGORIES = [task.category for task in GENEB.tasks]


@pytest.fixture(scope="module")
def published():
    return score_matrix(published_results())[[task.id for task in GENEB.tasks]].to_numpy()


def test_the_first_of_a_category_is_closest_to_its_mean():
    # Category a varies most, and its second task is its mean; of b both are as far from the mean.
    scores = np.array([[0.0, 1, 2, 0.5, 0.6], [4, 3, 2, 0.6, 0.5], [0, 0, 0, 0.7, 0.7]])
    order = by_representation(scores, ["a", "a", "a", "b", "b"], RNG)
    centred = scores - scores.mean(0)
    distance = ((centred[:, :3] - centred[:, :3].mean(1)[:, None]) ** 2).sum(0)
    assert order[0] == distance.argmin() == 1
    assert order[1] == 3 and sorted(order) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["chosen", "one per category"])
def test_every_category_gives_a_task_before_any_gives_two(published, name):
    order = ORDERS[name](published, CATEGORIES, np.random.default_rng(3))
    assert sorted(order) == list(range(100))
    assert {CATEGORIES[task] for task in order[:13]} == set(GENEB.categories)
    assert len({CATEGORIES[task] for task in order[13:24]}) == 11  # two have one task


def test_lite_is_what_the_published_scores_choose(published):
    order = by_representation(published, CATEGORIES, RNG)
    assert tuple(GENEB.tasks[task].label for task in order[: len(LITE)]) == LITE
    assert {task.label for task in select_tasks("lite")} == set(LITE)


def test_lite_orders_the_models_as_all_tasks_do(published):
    numbers = np.array([i for i, task in enumerate(GENEB.tasks) if task.label in LITE])
    macro = category_means(published, CATEGORIES).mean(-1)
    rho = stats.spearmanr(subset_macro(published, CATEGORIES, numbers), macro)[0]
    assert rho == pytest.approx(0.995, abs=0.0005)


def test_rank_correlations_are_scipys():
    a, b = RNG.integers(0, 6, (2, 4, 9)).astype(float)
    expected = [stats.spearmanr(x, y)[0] for x, y in zip(a, b, strict=True)]
    assert rank_correlation(a, b) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(rank_correlation(np.ones(5), b[0, :5]))


def test_the_smallest_size_holds_from_there_on():
    decile = np.array([0.90, 0.96, 0.94, 0.95, 0.99])
    found = Agreement(np.array([2, 3, 4, 5, 6]), decile, decile)
    assert found.smallest(0.95) == 5 and found.smallest(0.5) == 2 and found.smallest(1.0) is None


@pytest.mark.slow
def test_halvings_of_the_published_models(published):
    found = {
        name: held_out_agreement(order, published, CATEGORIES, [11, 13, 15, 16])
        for name, order in ORDERS.items()
    }
    # Random 15 tasks alone agree with a median of 0.96; those chosen reach more with 11.
    assert found["random"].median[2] == pytest.approx(0.963, abs=0.006)
    assert found["chosen"].decile[0] >= 0.95 > found["random"].decile[3]
    assert found["chosen"].decile[3] >= 0.98 > found["one per category"].decile[3]
    assert held_out_agreement(at_random, published, CATEGORIES, [100]).decile[0] == 1
    assert one_per_category is ORDERS["one per category"]
