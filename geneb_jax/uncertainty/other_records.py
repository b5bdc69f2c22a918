"""Would other test records have given another score? The Bayesian bootstrap over test rows.

A replicate weighs every test row by a standard exponential, the same weights for all heads (Rubin
1981), and adds a gamma of shape 2 / K^2 to each of the K x K cells of the confusion matrices, the
same gammas for all heads. Normalised, the cells then follow a Dirichlet distribution: the posterior
of the cells' probabilities under Jeffreys' prior for two classes (half a count a cell), and under
Perks' (two counts in all, whatever K) for more. Heads that predict alike get the same replicates.

Resampled counts that half a count is added to afterwards never vary a cell that is empty. On 19
rows, or at an MCC of 0.98, their intervals cover far less than they say; with half a count in each
of 40 x 40 cells they miss the truth always (`python -m benchmarks.coverage`, docs/measured.md).

In a mean over tasks the prior counts once, not once a task: a task of weight w gets the share w of
it. A hundred priors would draw the mean further towards 0 than its interval is wide, and would make
up errors that a hundred tasks have refuted. What replicates of few rows lack in spread (their
weights vary less than rows do, and MCC is curved) is made up by the jackknife's variance of the
mean (Efron and Stein 1981), which does not fall short.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer
from scipy import special

from geneb_jax.uncertainty.comparing import (
    LEVEL,
    Answer,
    Ends,
    PairTest,
    compare,
    interval,
)
from probes import metrics

REPLICATES = 2000
PRIOR = 2.0  # counts, spread over the cells of a confusion matrix
FEW = 2  # errors of a head whose interval is widened
# The spread (1 - sum of squared class shares, true times predicted) from which on float32 sums give
# MCC to 1e-3. Below, where a share of the prior alone stands for a class, MCC is taken for 0.
_NEGLIGIBLE = 1e-8
_ROWS = 4096  # whose weights are in memory at once


def record_replicates(
    true: Integer[np.ndarray, " N"],
    predicted: Integer[np.ndarray, "H N"],
    count: int,
    rng: np.random.Generator,
    shares: Sequence[float] = (1.0,),
) -> Float32[np.ndarray, "S B H"]:
    """Draws the MCC of heads on other test records of the same kind.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.
        count: B, how many replicates to draw.
        rng: Draws them.
        shares: Of the prior, in 0 .. 1: 1 for the score itself, the weight of the task for a mean
            over tasks. The rows' weights are the same for all shares.

    Returns:
        The MCC (Gorodkin 2004) by share, replicate and head; heads that predict alike are equal.
    """
    labels, numbers = np.unique(np.concatenate([true, predicted.ravel()]), return_inverse=True)
    classes = len(labels)
    true, heads = numbers[: len(true)], numbers[len(true) :].reshape(predicted.shape)
    distinct, alike = np.unique(heads, axis=0, return_inverse=True)
    # What Gorodkin's coefficient needs of a confusion matrix: the rows predicted right, and the
    # rows of each class, true and predicted. The last class is the rest of all rows.
    columns = [distinct == true, *(distinct == k for k in range(classes - 1))]
    facts = np.concatenate(columns).T.astype(np.float32)
    facts = np.concatenate([facts, np.equal.outer(true, np.arange(classes))], 1, dtype=np.float32)
    sums = np.zeros((count, facts.shape[1]), np.float32)
    for start in range(0, len(true), _ROWS):
        some = facts[start : start + _ROWS]
        sums += rng.standard_exponential((count, len(some)), np.float32) @ some
    found = np.empty((len(shares), count, len(predicted)), np.float32)
    for of_share, share in zip(found, shares, strict=True):
        prior = rng.standard_gamma(share * PRIOR / classes**2, (count, classes, classes))
        of_share[:] = _weighted_mcc(sums, prior, len(distinct))[:, np.ravel(alike)]
    return found


def _weighted_mcc(
    sums: Float32[np.ndarray, "B facts"], prior: Float64[np.ndarray, "B K K"], heads: int
) -> Float64[np.ndarray, "B heads"]:
    """Returns the MCC of weighted rows (see `record_replicates`) with some more in each cell."""
    count, classes = prior.shape[:2]
    of_heads = sums[:, :-classes].reshape(count, classes, heads).astype(np.float64)
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
    limits: Float[np.ndarray, "M T"],
    scores: Float[np.ndarray, "M T"],
    weights: Weights,
) -> Answer:
    """Makes intervals of the scores of M models on T tasks, of category means and macro scores.

    Args:
        replicates: `record_replicates` of each model on each task with the `shares` of its
            weights, means over seeds.
        variances: Of each score, by `jackknife_variance`.
        limits: `upper_limits` of each model on each task, means over seeds: no interval of a score
            ends below.
        scores: The MCC of each model on each task, means over seeds.
        weights: Of the tasks.
    """
    low, high = interval(replicates[0])
    means = replicates_of_means(replicates[1], variances, weights.categories)
    macro = replicates_of_means(replicates[2], variances, weights.macro)
    return Answer(
        (low, np.maximum(high, limits)),
        interval_of_means(means, scores @ weights.categories),
        interval_of_means(macro, scores @ weights.macro),
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
    means = replicates.astype(np.float64) @ weights
    centre, drawn = means.mean(0), means.var(0)
    wanted = np.maximum(variances @ weights**2, drawn)
    scale = np.sqrt(np.divide(wanted, drawn, np.ones_like(drawn), where=drawn > 0))
    return np.minimum(centre + (means - centre) * scale, 1.0)


def interval_of_means(
    replicates: Float[np.ndarray, "B *means"], scores: Float[np.ndarray, "*means"]
) -> Ends:
    """Returns both ends of the interval of each mean, which its score is part of.

    Replicates of a mean of scores without an error all lie below it.
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
    labels, numbers = np.unique(np.concatenate([true, predicted.ravel()]), return_inverse=True)
    classes, rows = len(labels), len(true)
    true, heads = numbers[:rows], numbers[rows:].reshape(predicted.shape)
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


def upper_limits(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "H N"]
) -> Float64[np.ndarray, " H"]:
    """Returns the MCC that heads with few errors may well have, which their intervals reach.

    Of e errors in N rows the probability of one is at least p = Beta(e, N - e + 1) at its quantile
    of 2.5 % (Clopper and Pearson 1934), 0 for e = 0. The limit is the MCC of the confusion matrix
    whose errors have the weight N p / e, the rest of them being right. The posterior alone ends too
    low there: with one error in 50 rows it leaves out an MCC of 0.98, of which such heads come.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.

    Returns:
        The limits; 1 for a head without an error, -1 for one with more than `FEW` errors, or that
        predicts one class alone.
    """
    found = np.full(len(predicted), -1.0)
    wrong = predicted != true
    for head, errors in enumerate(wrong.sum(1)):
        if errors == 0:
            found[head] = 1.0
        elif errors <= FEW and len(np.unique(predicted[head])) > 1:
            rows = len(true)
            p = special.betaincinv(errors, rows - errors + 1, (1 - LEVEL) / 2)
            weight = rows * p / errors
            labels, numbers = np.unique([true, predicted[head]], return_inverse=True)
            pair = numbers.reshape(2, rows)
            confusion = np.zeros((len(labels), len(labels)))
            np.add.at(confusion, (pair[0], pair[1]), np.where(wrong[head], weight, 1))
            np.add.at(confusion, (pair[0], pair[0]), np.where(wrong[head], 1 - weight, 0))
            found[head] = metrics.mcc(confusion)
    return found


def mcc_of(
    true: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, "H N"]
) -> Float64[np.ndarray, " H"]:
    """Returns the MCC of heads, 0 where one class alone is true or predicted."""
    centred = np.stack([_one_hot(true, true), *(_one_hot(each, true) for each in predicted)])
    centred = centred - centred.mean(1, keepdims=True)
    spread = (centred**2).sum((1, 2))
    both = (centred[0] * centred[1:]).sum((1, 2))
    return both / np.sqrt(np.where(spread[0] * spread[1:] > 0, spread[0] * spread[1:], np.inf))


def _one_hot(labels: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.equal.outer(labels, np.unique(of)).astype(np.float64)
