import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from geneb_jax.uncertainty.comparing import interval
from geneb_jax.uncertainty.other_records import (
    answer_records,
    mcc_of,
    record_replicates,
    record_test,
    upper_limits,
)


def rows(classes, n, wrong, rng):
    """Labels, and heads that guess a share of the rows."""
    true = rng.integers(0, classes, n)
    true[:classes] = np.arange(classes)
    guess = rng.integers(0, classes, (len(wrong), n))
    heads = np.where(rng.random((len(wrong), n)) < np.array(wrong)[:, None], guess, true)
    return true, heads


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_replicates_are_those_of_a_direct_float64_resampling(classes):
    rng = np.random.default_rng(1)
    true, heads = rows(classes, 40, [0.1, 0.4, 0.9], rng)
    found = record_replicates(true, heads, 20, np.random.default_rng(2))
    again = np.random.default_rng(2)
    weights = again.standard_exponential((20, 40), np.float32).astype(np.float64)
    prior = again.standard_gamma(2 / classes**2, (20, classes, classes))
    cells = np.array([(i, j) for i in range(classes) for j in range(classes)])
    for b in range(20):
        for h, head in enumerate(heads):
            # The counts of the prior are rows too, one for each cell of the confusion matrix.
            expected = matthews_corrcoef(
                np.append(true, cells[:, 0]),
                np.append(head, cells[:, 1]),
                sample_weight=np.append(weights[b], prior[b].ravel()),
            )
            assert found[b, h] == pytest.approx(expected, abs=2e-6)


def test_intervals_are_those_of_the_dirichlet_posterior():
    true = np.repeat([0, 0, 1, 1], [40, 5, 8, 27])
    head = np.repeat([0, 1, 0, 1], [40, 5, 8, 27])
    found = record_replicates(true, head[None], 20_000, np.random.default_rng(3))[:, 0]
    cells = np.random.default_rng(4).dirichlet([40.5, 5.5, 8.5, 27.5], 20_000)
    a, b, c, d = cells.T
    direct = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    assert np.array(interval(found)) == pytest.approx(np.array(interval(direct)), abs=0.006)
    assert found.std() == pytest.approx(direct.std(), rel=0.03)


def test_heads_that_predict_alike_are_never_told_apart():
    rng = np.random.default_rng(5)
    true, heads = rows(2, 60, [0.3, 0.3], rng)
    found = record_replicates(true, heads[[0, 1, 0]], 50, rng)
    assert (found[:, 0] == found[:, 2]).all() and (found[:, 0] != found[:, 1]).all()
    p = record_test(found).p
    assert p[1] == 1 and p[0] < 1


def test_labels_need_not_be_class_numbers():
    rng = np.random.default_rng(6)
    true, heads = rows(3, 30, [0.4], rng)
    names = np.array([-5, 7, 100])
    first = record_replicates(true, heads, 5, np.random.default_rng(7))
    assert (
        record_replicates(names[true], names[heads], 5, np.random.default_rng(7)) == first
    ).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_mcc_is_scikit_learns(classes):
    rng = np.random.default_rng(8)
    true, heads = rows(classes, 50, [0, 0.2, 0.7, 1], rng)
    heads = np.concatenate([heads, np.zeros((1, 50), int)])  # one class alone: 0
    expected = [matthews_corrcoef(true, head) for head in heads]
    assert mcc_of(true, heads) == pytest.approx(expected, abs=1e-12)
    assert expected[-1] == 0


def test_limits_are_those_of_the_fewest_errors_that_are_not_refuted():
    true = np.repeat([3, 8], 25)
    head = np.array(true)
    head[0] = 8
    constant = np.full(50, 3)
    three = np.array(true)
    three[:3] = 8
    # One error is met with 2.5 % where its probability is p = 1 - 0.975 ** (1 / 50).
    w = 50 * (1 - 0.975 ** (1 / 50))
    weights = [w, *np.ones(49), 1 - w]
    expected = matthews_corrcoef(np.append(true, 3), np.append(head, 3), sample_weight=weights)
    found = upper_limits(true, np.stack([true, head, constant, three]))
    assert found == pytest.approx([1, expected, -1, -1], abs=1e-12)
    assert 0.998 < expected < 1
    # Two errors of three classes: P(at least 2 of 30 at probability q) = 2.5 %.
    true = np.arange(30) % 3
    head = np.array(true)
    head[:2] = 2, 0
    low, high = 0.0, 0.5
    for _ in range(60):
        q = (low + high) / 2
        above = 1 - (1 - q) ** 30 - 30 * q * (1 - q) ** 29
        low, high = (q, high) if above < 0.025 else (low, q)
    w = 30 * low / 2
    weights = [w, w, *np.ones(28), 1 - w, 1 - w]
    expected = matthews_corrcoef(
        np.append(true, true[:2]), np.append(head, true[:2]), sample_weight=weights
    )
    assert upper_limits(true, head[None])[0] == pytest.approx(expected, abs=1e-9)


def test_an_interval_reaches_the_limit():
    true = np.arange(30) % 2
    heads = np.stack([true, np.append(1 - true[:1], true[1:])])
    found = record_replicates(true, heads, 500, np.random.default_rng(9))
    limits, scores = upper_limits(true, heads)[:, None], mcc_of(true, heads)[:, None]
    answer = answer_records(found[:, :, None], limits, ["a"], scores)
    assert answer.scores is not None
    low, high = answer.scores
    assert high[0, 0] == 1 and 0.7 < low[0, 0] < 0.95 and high[1, 0] == limits[1, 0] < 1


def test_averages_are_of_categories():
    replicates = np.zeros((3, 2, 3), np.float32)
    replicates[:, 0] = [0.1, 0.3, 0.8]  # categories a, a, b: 0.2 and 0.8
    scores = replicates[0].astype(float)
    answer = answer_records(replicates, np.full((2, 3), -1.0), ["a", "a", "b"], scores)
    assert answer.categories[0][0] == pytest.approx([0.2, 0.8])
    assert answer.macro[1] == pytest.approx([0.5, 0])


def test_intervals_of_means_lie_around_the_score_whatever_the_prior_draws_to():
    """A hundred tasks of 16 rows: the prior's draw towards 0 exceeds the interval's width."""
    rng = np.random.default_rng(3)
    true = np.repeat([0, 1], 8)
    replicates, scores = [], []
    for _ in range(100):
        predicted = (true ^ (rng.random(16) > 0.92))[None]
        replicates.append(record_replicates(true, predicted, 200, rng))
        scores.append(mcc_of(true, predicted))
    values = np.stack(scores, axis=-1)
    whole = np.stack(replicates, axis=-1)
    answer = answer_records(whole, np.full((1, 100), -1.0), ["a"] * 100, values)
    low, high = answer.macro
    assert low[0] < values.mean() < high[0]
    assert np.mean([low[0], high[0]]) == pytest.approx(values.mean(), abs=0.005)
    # The width is that of resampled rows: the standard error of a mean of 100 such scores.
    error = values.std(ddof=1) / 10
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * error, rel=0.5)
