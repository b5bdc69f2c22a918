import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from geneb_jax.uncertainty.comparing import interval
from geneb_jax.uncertainty.other_records import (
    answer_records,
    jackknife_variance,
    mcc_of,
    record_replicates,
    record_test,
    replicates_of_means,
    row_effects,
    upper_limits,
    weights_of,
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
    shares = (1.0, 0.25)
    found = record_replicates(true, heads, 20, np.random.default_rng(2), shares)
    again = np.random.default_rng(2)
    weights = again.standard_exponential((20, 40), np.float32).astype(np.float64)
    cells = np.array([(i, j) for i in range(classes) for j in range(classes)])
    for of_share, share in zip(found, shares, strict=True):
        prior = again.standard_gamma(share * 2 / classes**2, (20, classes, classes))
        for b in range(20):
            for h, head in enumerate(heads):
                # The counts of the prior are rows too, one for each cell of the confusion matrix.
                expected = matthews_corrcoef(
                    np.append(true, cells[:, 0]),
                    np.append(head, cells[:, 1]),
                    sample_weight=np.append(weights[b], prior[b].ravel()),
                )
                assert of_share[b, h] == pytest.approx(expected, abs=2e-6)


def test_replicates_are_zero_where_a_speck_of_the_prior_alone_stands_for_a_class():
    true = np.arange(30) % 2
    heads = np.stack([np.ones(30, int), true])
    (found,) = record_replicates(true, heads, 300, np.random.default_rng(2), (1e-9,))
    assert (found[:, 0] == 0).mean() > 0.99
    assert found[:, 1] == pytest.approx(1, abs=1e-5)


def test_intervals_are_those_of_the_dirichlet_posterior():
    true = np.repeat([0, 0, 1, 1], [40, 5, 8, 27])
    head = np.repeat([0, 1, 0, 1], [40, 5, 8, 27])
    found = record_replicates(true, head[None], 20_000, np.random.default_rng(3))[0, :, 0]
    cells = np.random.default_rng(4).dirichlet([40.5, 5.5, 8.5, 27.5], 20_000)
    a, b, c, d = cells.T
    direct = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    assert np.array(interval(found)) == pytest.approx(np.array(interval(direct)), abs=0.006)
    assert found.std() == pytest.approx(direct.std(), rel=0.03)


def test_heads_that_predict_alike_are_never_told_apart():
    rng = np.random.default_rng(5)
    true, heads = rows(2, 60, [0.3, 0.3], rng)
    (found,) = record_replicates(true, heads[[0, 1, 0]], 50, rng)
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


@pytest.mark.parametrize("classes", [2, 4])
def test_the_jackknife_is_that_of_scikit_learns_scores_without_each_row(classes):
    rng = np.random.default_rng(4)
    true, heads = rows(classes, 25, [0, 0.2, 0.8], rng)
    heads = np.concatenate([heads, np.zeros((1, 25), int)])
    heads[-1, 0] = 1  # without this row one class alone is predicted, and MCC is 0
    without = np.array([
        [matthews_corrcoef(np.delete(true, i), np.delete(head, i)) for head in heads]
        for i in range(25)
    ])  # fmt: skip
    effects = row_effects(true * 7 - 3, heads * 7 - 3)
    scores = [matthews_corrcoef(true, head) for head in heads]
    assert effects == pytest.approx(without - scores, abs=1e-7)
    expected = 24 / 25 * ((without - without.mean(0)) ** 2).sum(0)
    assert jackknife_variance(effects) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert expected[0] == 0 < expected[1]


def test_weights_are_those_of_means_of_category_means():
    weights = weights_of(["b", "a", "a"])
    assert weights.categories.tolist() == [[1, 0], [0, 0.5], [0, 0.5]]
    assert weights.macro.tolist() == [0.5, 0.25, 0.25]
    assert weights.shares.tolist() == [[1, 1, 0.5], [1, 0.5, 0.25], [1, 0.5, 0.25]]


def test_replicates_of_means_have_the_jackknifes_variance_or_more():
    rng = np.random.default_rng(5)
    drawn = rng.normal([[0.1, 0.3, 0.5]], 0.02, (400, 1, 3)).astype(np.float32)
    weights = np.array([0.5, 0.25, 0.25])
    plain = drawn.astype(np.float64) @ weights
    for variances in ([0.01, 0.02, 0.03], [1e-6, 1e-6, 1e-6]):
        found = replicates_of_means(drawn, np.array([variances]), weights)
        wanted = sum(w * w * v for w, v in zip(weights, variances, strict=True))
        assert found.var() == pytest.approx(max(wanted, plain.var()), rel=1e-9)
        assert found.mean() == pytest.approx(plain.mean(), abs=1e-9)
        assert np.corrcoef(found[:, 0], plain[:, 0])[0, 1] == pytest.approx(1)


def facts(true, heads, rng, shares=(1.0, 1.0, 1.0), count=500):
    """What `answer_records` asks of a task on which every head is a model."""
    return (
        record_replicates(true, heads, count, rng, shares),
        jackknife_variance(row_effects(true, heads)),
        upper_limits(true, heads),
        mcc_of(true, heads),
    )


def test_an_interval_reaches_the_limit():
    true = np.arange(30) % 2
    heads = np.stack([true, np.append(1 - true[:1], true[1:])])
    found = facts(true, heads, np.random.default_rng(9))
    answer = answer_records(*(each[..., None] for each in found), weights_of(["a"]))
    assert answer.scores is not None
    low, high = answer.scores
    assert high[0, 0] == 1 and 0.7 < low[0, 0] < 0.95 and high[1, 0] == found[2][1] < 1
    # A mean of scores without an error reaches it too, though every replicate lies below.
    assert answer.macro[1][0] == answer.categories[1][0, 0] == 1 > answer.replicates[:, 0].max()


def test_averages_are_of_categories():
    replicates = np.zeros((3, 3, 2, 3), np.float32)
    replicates[:, :, 0] = [0.1, 0.3, 0.8]  # categories a, a, b: 0.2 and 0.8
    scores, nothing = replicates[0, 0].astype(float), np.zeros((2, 3))
    weights = weights_of(["a", "a", "b"])
    answer = answer_records(replicates, nothing, nothing - 1, scores, weights)
    assert answer.categories[0][0] == pytest.approx([0.2, 0.8])
    assert answer.macro[1] == pytest.approx([0.5, 0])


def test_intervals_of_a_mean_are_as_wide_as_resampled_rows_say():
    """A hundred tasks of 16 rows: whole priors would draw it further than it is wide."""
    rng = np.random.default_rng(3)
    true = np.repeat([0, 1], 8)
    weights = weights_of(["a"] * 100)
    found = []
    for shares in weights.shares:
        predicted = (true ^ (rng.random(16) > 0.92))[None]
        found.append(facts(true, predicted, rng, shares, 200))
    stacked = [np.stack(each, axis=-1) for each in zip(*found, strict=True)]
    answer, values = answer_records(*stacked, weights), stacked[-1]
    low, high = answer.macro
    assert low[0] < values.mean() < high[0]
    assert np.mean([low[0], high[0]]) == pytest.approx(values.mean(), abs=0.005)
    # The width is that of resampled rows: the standard error of a mean of 100 such scores.
    error = values.std(ddof=1) / 10
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * error, rel=0.3)
    whole = stacked[0][0].mean(-1)
    assert np.quantile(whole, 0.975) < values.mean()
