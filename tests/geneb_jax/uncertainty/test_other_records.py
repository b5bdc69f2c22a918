import copy

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from geneb_jax.uncertainty import other_records
from geneb_jax.uncertainty.comparing import interval
from geneb_jax.uncertainty.other_records import (
    OF_HEADS,
    answer_records,
    jackknife_variance,
    mcc_of,
    prior_shapes,
    record_interval,
    record_replicates,
    record_test,
    replicates_of_means,
    row_effects,
    score_replicates,
    weights_of,
)


def rows(classes, n, wrong, rng):
    """Labels, and heads that guess a share of the rows."""
    true = rng.integers(0, classes, n)
    true[:classes] = np.arange(classes)
    guess = rng.integers(0, classes, (len(wrong), n))
    heads = np.where(rng.random((len(wrong), n)) < np.array(wrong)[:, None], guess, true)
    return true, heads


@pytest.mark.parametrize(("classes", "groups", "at_once"), [(2, 40, 64), (3, 15, 7), (5, 99, 20)])
def test_replicates_are_those_of_a_direct_float64_resampling(classes, groups, at_once, monkeypatch):
    monkeypatch.setattr(other_records, "_WEIGHTS", groups)
    monkeypatch.setattr(other_records, "_AT_ONCE", at_once)
    rng = np.random.default_rng(1)
    true, heads = rows(classes, 40, [0.1, 0.4, 0.9], rng)
    shares = (1.0, 0.25)
    found = record_replicates(true, heads, 20, np.random.default_rng(2), shares)
    again = np.random.default_rng(2)
    group = again.permutation(40) % groups if groups < 40 else np.arange(40)
    # A weight is the exponential's quantile in the middle of one of 2^16 equal parts, which 16
    # random bits pick; rows of a group have the same.
    middles = stats.expon.ppf((np.arange(2**16) + 0.5) / 2**16)
    weights = np.empty((20, 40))
    for start in range(0, 20, at_once):
        part = weights[start : start + at_once]
        size = len(part) * min(groups, 40)
        bits = again.integers(2**64, size=(size + 3) // 4, dtype=np.uint64)
        levels = bits.astype("<u8").view("<u2")[:size].reshape(len(part), -1)
        part[:] = middles[levels][:, group] / middles.mean()
    (of_priors,) = again.spawn(1)
    cells = np.array([(i, j) for i in range(classes) for j in range(classes)])
    # One right answer and three quarters of a wrong one, spread over their cells.
    shapes = np.full((classes, classes), 0.75 / (classes**2 - classes))
    shapes[np.diag_indices(classes)] = 1 / classes
    for of_share, share in zip(found, shares, strict=True):
        of_share_alone = copy.deepcopy(of_priors)
        prior = of_share_alone.standard_gamma(share * shapes, (20, classes, classes))
        for h, head in enumerate(heads):
            # The counts of the prior are rows too, one for each cell of the confusion matrix.
            drawn = np.array([
                matthews_corrcoef(
                    np.append(true, cells[:, 0]),
                    np.append(head, cells[:, 1]),
                    sample_weight=np.append(weights[b], prior[b].ravel()),
                )
                for b in range(20)
            ])  # fmt: skip
            expected = drawn.mean() + (drawn - drawn.mean()) * np.sqrt(40 / 39)
            assert of_share[:, h] == pytest.approx(np.clip(expected, -1, 1), abs=2e-6)
    # Whatever other shares there are.
    alone = record_replicates(true, heads, 20, np.random.default_rng(2), shares[1:])
    assert (alone == found[1:]).all()


def test_the_prior_is_of_one_right_answer_and_three_quarters_of_a_wrong_one():
    assert prior_shapes(2).tolist() == [[0.5, 0.375], [0.375, 0.5]]
    assert prior_shapes(4).sum() == pytest.approx(1.75)
    assert np.trace(prior_shapes(4)) == pytest.approx(1)


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_a_head_of_one_class_has_an_interval_around_zero_that_moves_no_mean(share):
    true = np.repeat([0, 1], [16, 4])  # predicting the rare class at random is right too often
    heads = np.stack([np.zeros(20, int), np.ones(20, int), true])
    (found,) = record_replicates(true, heads, 20_000, np.random.default_rng(3), (share,))
    assert abs(found[:, :2].mean(0)) == pytest.approx(0, abs=0.005)
    low, high = interval(found[:, :2])
    assert low == pytest.approx(-high, abs=0.03) and (high > 0.2 * share).all()
    # Its size is that of what is drawn: cells 16, 4 and the prior, without a sign.
    cells = np.random.default_rng(4).standard_gamma(
        [16 + share / 2, share * 0.375, 4 + share * 0.375, share / 2], (20_000, 4)
    )
    a, b, c, d = cells.T
    direct = np.abs((a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d)))
    expected = np.quantile(direct, 0.95) * np.sqrt(20 / 19)
    assert high[0] == pytest.approx(expected, abs=0.03)
    (of_one_class,) = record_replicates(true[:16], heads[2:, 4:], 4000, np.random.default_rng(5))
    assert abs(of_one_class.mean()) < 0.02  # one class alone is true


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
    cells = np.random.default_rng(4).dirichlet([40.5, 5.375, 8.375, 27.5], 20_000)
    a, b, c, d = cells.T
    direct = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    assert np.array(interval(found)) == pytest.approx(np.array(interval(direct)), abs=0.006)
    assert found.std() == pytest.approx(direct.std(), rel=0.03)


@pytest.mark.parametrize("part", OF_HEADS)
def test_a_head_with_a_share_of_the_prior_has_the_posterior_of_that_share(part):
    counts = np.array([9, 1, 1, 4])
    true, head = np.repeat([0, 0, 1, 1], counts), np.repeat([0, 1, 0, 1], counts)
    rng, parts = np.random.default_rng(3), np.array([part])
    found = record_replicates(true, head[None], 40_000, rng, (0.9,), parts)[0, :, 0]
    prior = 0.9 * part * np.array([0.5, 0.375, 0.375, 0.5])
    a, b, c, d = np.random.default_rng(4).dirichlet(counts + prior, 40_000).T
    direct = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    direct = direct.mean() + (direct - direct.mean()) * np.sqrt(15 / 14)
    assert found.mean() == pytest.approx(direct.mean(), abs=0.005)
    low, high = interval(found)
    assert (low, high) == pytest.approx(interval(np.minimum(direct, 1)), abs=0.015)


def test_heads_that_err_alike_are_one_head():
    true, heads = rows(3, 40, [0.3], np.random.default_rng(8))
    of_one, _ = score_replicates(true, heads, [[0]], 30, np.random.default_rng(9))
    five = np.repeat(heads, 5, axis=0)
    of_five, _ = score_replicates(true, five, [range(5)], 30, np.random.default_rng(9))
    assert of_five == pytest.approx(of_one, abs=1e-6)
    assert (of_one == record_replicates(true, heads, 30, np.random.default_rng(9))).all()


def test_heads_that_err_apart_share_the_prior_and_vary_as_the_jackknife_says():
    rng = np.random.default_rng(10)
    true, heads = rows(2, 24, [0.25] * 6, rng)
    groups = [range(5), [5]]
    asked = 4000, np.random.default_rng(11), (1.0, 0.1)
    found, variances = score_replicates(true, heads, groups, *asked)
    left_out = [np.delete(np.arange(24), i) for i in range(24)]
    for number, group in enumerate(groups):
        without = [
            np.mean([matthews_corrcoef(true[left], heads[h][left]) for h in group])
            for left in left_out
        ]
        assert variances[number] == pytest.approx(23 * np.var(without), rel=1e-4)
    assert variances[0] < 0.35 * variances[1]
    assert (found[..., 0].var(axis=1) > 0.97 * variances[0]).all()
    # Each of the five with a fifth of the prior, in the same replicates.
    apart = np.array([0.2] * 5 + [1.0])
    drawn = record_replicates(true, heads, 4000, np.random.default_rng(11), (1.0, 0.1), apart)
    assert found.mean(axis=1)[:, 0] == pytest.approx(drawn[..., :5].mean(axis=(1, 2)), abs=1e-3)
    assert np.corrcoef(found[0, :, 0], drawn[0, :, :5].mean(1))[0, 1] > 0.9999
    assert found[..., 1] == pytest.approx(drawn[..., 5], abs=1e-6)
    # Whatever other scores there are.
    alone, _ = score_replicates(true, heads[:5], groups[:1], 4000, np.random.default_rng(11))
    assert alone[..., 0] == pytest.approx(found[:1, :, 0], abs=2e-6)


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
    heads[1, :5] = classes  # a class of train that no test row has
    expected = [matthews_corrcoef(true, head) for head in heads]
    assert mcc_of(true * 7 - 3, heads * 7 - 3) == pytest.approx(expected, abs=1e-12)
    assert expected[-1] == 0


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
        mcc_of(true, heads),
    )


def test_an_interval_has_its_score():
    true = np.arange(30) % 2
    heads = np.stack([true, np.append(1 - true[:1], true[1:])])
    found = facts(true, heads, np.random.default_rng(9))
    answer = answer_records(*(each[..., None] for each in found), weights_of(["a"]))
    assert answer.scores is not None
    low, high = answer.scores
    assert high[0, 0] == 1 and 0.7 < low[0, 0] < 0.95 and found[2][1] < high[1, 0] < 1
    assert answer.macro[1][0] == answer.categories[1][0, 0] == 1
    drawn = np.linspace(0, 1, 101)[:, None]
    for score, ends in ((0.5, (0.025, 0.975)), (1.0, (0.025, 1.0)), (0.01, (0.01, 0.975))):
        assert record_interval(drawn, np.array([score])) == pytest.approx(ends)


def test_averages_are_of_categories():
    replicates = np.zeros((3, 3, 2, 3), np.float32)
    replicates[:, :, 0] = [0.1, 0.3, 0.8]  # categories a, a, b: 0.2 and 0.8
    scores, nothing = replicates[0, 0].astype(float), np.zeros((2, 3))
    weights = weights_of(["a", "a", "b"])
    answer = answer_records(replicates, nothing, scores, weights)
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
