"""Would other test records have given another score? The Bayesian bootstrap over test rows.

A replicate weighs every test row by a standard exponential, the same weights for all heads (Rubin
1981; many rows share weights, see `_WEIGHTS`), and adds a gamma to each of the K x K cells of the
confusion matrices, the same gammas for all heads: of shape `RIGHT` / K in the cells of right
answers, `WRONG` / (K (K - 1)) in the others. Normalised, the cells then follow a Dirichlet
distribution: the posterior of the cells' probabilities under a prior of one right answer and three
quarters of a wrong one. Heads that predict alike get the same replicates.

How much is added decides where few errors are likely. Half a count in each cell (Jeffreys' prior)
is one wrong answer of two classes, and more of many: intervals of good heads end too low. With a
quarter in each cell, intervals of 19 rows are too narrow. Of what was tried, these amounts come
closest to 95 % over MCC from 0 to 0.98 (`python -m benchmarks.coverage`, docs/measured.md).

In a mean over tasks the prior counts once, not once a task: a task of weight w gets the share w of
it. A hundred priors would draw the mean further than its interval is wide, and would make up errors
that a hundred tasks have refuted. What replicates of few rows lack in spread (MCC is curved) is
made up by the jackknife's variance of the mean (Efron and Stein 1981), which does not fall short.

So it is with a mean over seeds, as far as its heads err on different rows. Five heads that err
alike are one head, which gets the whole prior; of five that err apart each gets a fifth. How far
they do is the jackknife's variance of the mean over that of a head, 1 to 1/5.
"""

import copy
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, Integer
from scipy import special

from geneb_jax.uncertainty.comparing import Answer, Ends, PairTest, compare, interval
from probes import metrics
from probes.host import single_threaded_blas

REPLICATES = 2000
RIGHT, WRONG = 1.0, 0.75  # counts of the prior, spread over the cells of right and wrong answers
# Shares of the prior that a head of a mean can have. The one closest to the ratio of variances is
# taken: few rows do not tell more of them apart.
OF_HEADS = (0.2, 0.5, 1.0)
# The spread (1 - sum of squared class shares, true times predicted) from which on float32 sums give
# MCC to 1e-3. Below, where a share of the prior alone stands for a class, MCC is taken for 0.
_NEGLIGIBLE = 1e-8
# Weights of a replicate: of more test rows several that are drawn at random have one in common.
# What they lose in exactness is less than 2,000 replicates do: the standard deviation of a score is
# off by 1 / sqrt(2 _WEIGHTS), or 1.1 %, and by 1 / sqrt(2 REPLICATES), or 1.6 %.
_WEIGHTS = 4096
_AT_ONCE = 64  # replicates whose weights are drawn into memory that a processor's cache holds
_LEVELS = 2**16  # values that a weight can have


def score_replicates(
    true: Integer[np.ndarray, " N"],
    predicted: Integer[np.ndarray, "H N"],
    heads: Sequence[Sequence[int]],
    count: int,
    rng: np.random.Generator,
    shares: Sequence[float] = (1.0,),
) -> tuple[Float32[np.ndarray, "S B M"], Float64[np.ndarray, " M"]]:
    """Draws scores on other test records, each the mean MCC of some heads.

    Replicates of a mean of heads that err apart are spread until their variance is at least the
    jackknife's.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.
        heads: Numbers of the heads of each of M scores; no head is of two.
        count: B, how many replicates to draw.
        rng: Draws them.
        shares: Of the prior, see `record_replicates`.

    Returns:
        The scores by share and replicate, and the jackknife's variance of each score.
    """
    effects = row_effects(true, predicted)
    alone = jackknife_variance(effects)
    variances = jackknife_variance(np.stack([effects[:, each].mean(1) for each in heads], axis=1))
    of_heads = np.ones(len(predicted))
    for each, variance in zip(heads, variances, strict=True):
        of_one = alone[each].mean()
        ratio = variance / of_one if of_one > 0 else 1.0
        of_heads[each] = min(OF_HEADS, key=lambda share: abs(share - ratio))
    drawn = record_replicates(true, predicted, count, rng, shares, of_heads)
    scores = np.stack([drawn[..., each].mean(-1) for each in heads], axis=-1)
    apart = of_heads[[each[0] for each in heads]] < 1
    for of_share in scores:
        of_share[:, apart] = _spread(of_share[:, apart], variances[apart])
    return scores, variances


def record_replicates(
    true: Integer[np.ndarray, " N"],
    predicted: Integer[np.ndarray, "H N"],
    count: int,
    rng: np.random.Generator,
    shares: Sequence[float] = (1.0,),
    of_heads: Float64[np.ndarray, " H"] | None = None,
) -> Float32[np.ndarray, "S B H"]:
    """Draws the MCC of heads on other test records of the same kind.

    Weights of N rows vary less than rows do: replicates are spread about their mean by
    sqrt(N / (N - 1)). A head that predicts one class alone scores 0 by definition, and which sign
    its MCC would have with another prediction, nothing says: its replicates have random signs, so
    that they move no mean.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.
        count: B, how many replicates to draw.
        rng: Draws them.
        shares: Of the prior, in 0 .. 1: 1 for the score itself, the weight of the task for a mean
            over tasks. The rows' weights are the same for all shares, and what is drawn for a
            share does not depend on the others.
        of_heads: What share of that each head has, of `OF_HEADS`; None: all of it.

    Returns:
        The MCC (Gorodkin 2004) by share, replicate and head; heads that predict alike, and have the
        same share, are equal.
    """
    true, heads, classes = _numbered(true, predicted)
    rows = len(true)
    parts = np.ones(len(heads)) if of_heads is None else of_heads
    first: dict[tuple[float, bytes], int] = {}
    keys = zip(parts.tolist(), heads, strict=True)
    alike = [first.setdefault((part, head.tobytes()), len(first)) for part, head in keys]
    which = [alike.index(number) for number in range(len(first))]
    distinct, part_of = heads[which], parts[which]
    # What Gorodkin's coefficient needs of a confusion matrix: the rows predicted right, and the
    # rows of each class, true and predicted. The last class is the rest of all rows.
    facts = [distinct == true, *(distinct == k for k in range(classes - 1))]
    facts = np.concatenate([*facts, np.equal.outer(np.arange(classes), true)])
    sums = _weighted_sums(facts, count, rng)
    of_one_class = (distinct == distinct[:, :1]).all(1) | (true == true[0]).all()
    signs = np.where(of_one_class, rng.choice([-1, 1], (count, 1)), 1)
    (of_priors,) = rng.spawn(1)
    found = np.empty((len(shares), count, len(predicted)), np.float32)
    for of_share, share in zip(found, shares, strict=True):
        # Each share starts with the same generator, and each part of it that a head has with one
        # of its own: what is drawn depends on neither the other shares nor the other heads.
        of_prior = copy.deepcopy(of_priors)
        thinners = dict(zip(OF_HEADS, of_prior.spawn(len(OF_HEADS)), strict=True))
        shapes = share * prior_shapes(classes)
        prior = of_prior.standard_gamma(shapes, (count, classes, classes))
        drawn = np.empty((count, len(distinct)))
        for part, thinner in thinners.items():
            those = np.flatnonzero(part_of == part)
            if len(those):
                some = prior
                if part < 1:  # a gamma times a beta is a gamma of that share of its shape
                    some = prior * thinner.beta(part * shapes, (1 - part) * shapes, prior.shape)
                drawn[:, those] = signs[:, those] * _weighted_mcc(sums, some, those)
        centre = drawn.mean(0)
        spread = centre + (drawn - centre) * np.sqrt(rows / max(rows - 1, 1))
        of_share[:] = np.clip(spread, -1, 1)[:, alike]
    return found


def _numbered(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "H N"]
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, "H N"], int]:
    """Returns labels as class numbers 0 .. K - 1, those that H heads predict too, and K."""
    labels = np.unique(np.concatenate([true, predicted.ravel()]))
    return np.searchsorted(labels, true), np.searchsorted(labels, predicted), len(labels)


def _weighted_sums(
    facts: Bool[np.ndarray, "F N"], count: int, rng: np.random.Generator
) -> Float32[np.ndarray, "B F"]:
    """Returns B sums over the rows of which F facts are true, weighed by standard exponentials."""
    rows = facts.shape[1]
    size = min(rows, _WEIGHTS)
    group = np.arange(rows) if rows == size else rng.permutation(rows) % size
    of_groups = np.stack([np.bincount(group, fact, size) for fact in facts], 1).astype(np.float32)
    sums = np.empty((count, len(facts)), np.float32)
    memory = np.empty((_AT_ONCE, size), np.float32)
    with single_threaded_blas():
        for first in range(0, count, _AT_ONCE):
            of_some = sums[first : first + _AT_ONCE]
            weights = memory[: len(of_some)]
            # Four levels of 16 bits at once: twice as fast as one by one.
            bits = rng.integers(2**64, size=-(-weights.size // 4), dtype=np.uint64)
            levels = bits.view(np.uint16)[: weights.size].reshape(weights.shape)
            _quantiles().take(levels, out=weights, mode="wrap")
            np.matmul(weights, of_groups, out=of_some)
    return sums


@functools.cache
def _quantiles() -> Float32[np.ndarray, " levels"]:
    """Returns the quantiles of the standard exponential in the middles of 2^16 equal parts.

    To pick one of them by 16 random bits takes less than half as long as to draw an exponential.
    They have a mean of 1, a variance of 0.9999, and end at 11.8, which one exponential of 130,000
    exceeds.
    """
    quantiles = -np.log1p(-(np.arange(_LEVELS) + 0.5) / _LEVELS)
    return (quantiles / quantiles.mean()).astype(np.float32)


def prior_shapes(classes: int) -> Float64[np.ndarray, "K K"]:
    """Returns the counts that the prior adds to the cells of a confusion matrix of K classes."""
    shapes = np.full((classes, classes), WRONG / max(classes * (classes - 1), 1))
    np.fill_diagonal(shapes, RIGHT / classes)
    return shapes


def _weighted_mcc(
    sums: Float32[np.ndarray, "B facts"],
    prior: Float64[np.ndarray, "B K K"],
    heads: Int64[np.ndarray, " some"],
) -> Float64[np.ndarray, "B some"]:
    """Returns the MCC of weighted rows (see `record_replicates`) with some more in each cell.

    Args:
        sums: Weights of the facts of all heads, and of the true classes.
        prior: What is added.
        heads: Numbers of the heads to return.
    """
    count, classes = prior.shape[:2]
    of_heads = sums[:, :-classes].reshape(count, classes, -1)[..., heads].astype(np.float64)
    true_sums = sums[:, -classes:] + prior.sum(2)
    total = true_sums.sum(1)[:, None]
    hits = of_heads[:, 0] + np.trace(prior, axis1=1, axis2=2)[:, None]
    predicted_sums = of_heads[:, 1:] + prior.sum(1)[:, :-1, None]
    rest = total - predicted_sums.sum(1)
    predicted_sums = np.concatenate([predicted_sums, rest[:, None]], axis=1)
    both = np.einsum("bk,bkh->bh", true_sums, predicted_sums)
    spread = (total**2 - (predicted_sums**2).sum(1)) * (total**2 - (true_sums**2).sum(1)[:, None])
    defined = spread > _NEGLIGIBLE * total**4
    return np.where(defined, (hits * total - both) / np.sqrt(np.where(defined, spread, 1)), 0)


class Weights(NamedTuple):
    """What each of T tasks counts in means over tasks, and the shares of the prior that follow.

    Attributes:
        categories: Weight in the mean of each of C categories, 0 in others than the task's.
        macro: Weight in the macro score, the mean of the category means.
    """

    categories: Float64[np.ndarray, "T C"]
    macro: Float64[np.ndarray, " T"]

    @property
    def shares(self) -> Float64[np.ndarray, "T 3"]:
        """The prior's shares of a task's score, its category's mean and the macro score."""
        own = self.categories.max(1)
        return np.stack([np.ones_like(own), own, self.macro], axis=1)


def weights_of(categories: Sequence[str]) -> Weights:
    """Returns the weights of tasks of these categories, in the order of their first tasks."""
    order = list(dict.fromkeys(categories))
    member = np.equal.outer(np.array(categories), np.array(order)).astype(np.float64)
    of_categories = member / member.sum(0)
    return Weights(of_categories, of_categories.mean(1))


def answer_records(
    replicates: Float32[np.ndarray, "3 B M T"],
    variances: Float[np.ndarray, "M T"],
    scores: Float[np.ndarray, "M T"],
    weights: Weights,
) -> Answer:
    """Makes intervals of the scores of M models on T tasks, of category means and macro scores.

    Args:
        replicates: By `score_replicates` of each model on each task with the `shares` of its
            weights.
        variances: Of each score, by the jackknife.
        scores: The MCC of each model on each task, means over seeds.
        weights: Of the tasks.
    """
    means = replicates_of_means(replicates[1], variances, weights.categories)
    macro = replicates_of_means(replicates[2], variances, weights.macro)
    return Answer(
        record_interval(replicates[0], scores),
        record_interval(means, scores @ weights.categories),
        record_interval(macro, scores @ weights.macro),
        macro,
        compare(macro, record_test(macro)),
    )


def replicates_of_means(
    replicates: Float32[np.ndarray, "B M T"],
    variances: Float[np.ndarray, "M T"],
    weights: Float[np.ndarray, "T *means"],
) -> Float64[np.ndarray, "B M *means"]:
    """Averages replicates over tasks, with a variance that is at least the jackknife's.

    Args:
        replicates: Of the tasks' scores, with the share of the prior that their weights are.
        variances: Of the scores, by `jackknife_variance`; tasks are independent.
        weights: What each task counts in each mean.
    """
    return _spread(replicates.astype(np.float64) @ weights, variances @ weights**2)


def _spread(
    replicates: Float[np.ndarray, "B *scores"], variances: Float64[np.ndarray, "*scores"]
) -> Float64[np.ndarray, "B *scores"]:
    """Spreads replicates about their mean until their variances are no less than others."""
    centre, drawn = replicates.mean(0, dtype=np.float64), replicates.var(0, dtype=np.float64)
    wanted = np.maximum(variances, drawn)
    scale = np.sqrt(np.divide(wanted, drawn, np.ones_like(drawn), where=drawn > 0))
    return np.minimum(centre + (replicates - centre) * scale, 1.0)


def record_interval(
    replicates: Float[np.ndarray, "B *scores"], scores: Float[np.ndarray, "*scores"]
) -> Ends:
    """Returns both ends of the 95 % interval of each score or mean, which is part of it.

    Replicates of scores without an error may all lie below 1, the score.
    """
    low, high = interval(replicates)
    return np.minimum(low, scores), np.maximum(high, scores)


def row_effects(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "H N"]
) -> Float32[np.ndarray, "N H"]:
    """Returns how much the MCC of each head changes when one row is left out.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.
    """
    true, heads, classes = _numbered(true, predicted)
    rows = len(true)
    effects = np.empty((rows, len(heads)), np.float32)
    same = np.eye(classes)
    for head, predicts in enumerate(heads):
        confusion = np.bincount(true * classes + predicts, minlength=classes**2)
        confusion = confusion.reshape(classes, classes).astype(np.float64)
        a, b = confusion.sum(1), confusion.sum(0)
        # Gorodkin's sums without a row of true class i that is predicted as j.
        hits, total = np.trace(confusion) - same, rows - 1
        both = a @ b - b[:, None] - a + same
        spread = (total**2 - (a @ a - 2 * a + 1))[:, None] * (total**2 - (b @ b - 2 * b + 1))
        without = np.where(spread > 0, (hits * total - both) / np.sqrt(np.maximum(spread, 1)), 0)
        effects[:, head] = (without - metrics.mcc(confusion))[true, predicts]
    return effects


def jackknife_variance(effects: Float[np.ndarray, "N M"]) -> Float64[np.ndarray, " M"]:
    """Returns the jackknife's variance of scores, (N - 1) / N sum_i (e_i - mean of e)^2.

    Source: Efron and Stein, The jackknife estimate of variance (1981): it is not too small on
    average.

    Args:
        effects: `row_effects` of N rows on M scores, or their means over the heads of a score.
    """
    rows = len(effects)
    return (rows - 1) * effects.var(0, dtype=np.float64)


def record_test(replicates: Float[np.ndarray, "B M"]) -> PairTest:
    """Tests every difference by a normal distribution with the replicates' standard deviation.

    Replicates are too few to count in the tails that many pairs ask for; averages over many rows
    are close to normal there.
    """
    p = []
    for a in range(replicates.shape[1] - 1):
        difference = replicates[:, a, None] - replicates[:, a + 1 :]
        size = np.abs(difference.mean(0, dtype=np.float64))
        spread = difference.std(0, dtype=np.float64)
        p.append(2 * special.ndtr(-np.divide(size, spread, np.zeros(len(size)), where=spread > 0)))
    return PairTest(np.concatenate(p or [np.zeros(0)]), 0.0)


def mcc_of(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "H N"]
) -> Float64[np.ndarray, " H"]:
    """Returns the MCC of heads, 0 where one class alone is true or predicted.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict, maybe others than there are true ones.
    """
    return np.asarray(metrics.mcc(metrics.confusion_matrix(*_numbered(true, predicted))))
