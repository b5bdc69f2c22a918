"""Would other test records have given another score? The Bayesian bootstrap over test rows.

A replicate weighs every test row by a standard exponential, the same weights for all heads (Rubin
1981), and adds a gamma of shape 2 / K^2 to each of the K x K cells of the confusion matrices, the
same gammas for all heads. Normalised, the cells then follow a Dirichlet distribution: the posterior
of the cells' probabilities under Jeffreys' prior for two classes (half a count a cell), and under
Perks' (two counts in all, whatever K) for more. Heads that predict alike get the same replicates.

Resampled counts that half a count is added to afterwards never vary a cell that is empty. On 19
rows, or at an MCC of 0.98, their intervals cover far less than they say; with half a count in each
of 40 x 40 cells they miss the truth always (`python -m benchmarks.coverage`, docs/measured.md).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer
from scipy import special

from geneb_jax.uncertainty.comparing import (
    LEVEL,
    Answer,
    PairTest,
    category_means,
    compare,
    interval,
)
from probes import metrics

REPLICATES = 2000
PRIOR = 2.0  # counts, spread over the cells of a confusion matrix
FEW = 2  # errors of a head whose interval is widened
_ROWS = 4096  # whose weights are in memory at once


def record_replicates(
    true: Integer[np.ndarray, " N"],
    predicted: Integer[np.ndarray, "H N"],
    count: int,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "B H"]:
    """Draws the MCC of heads on other test records of the same kind.

    Args:
        true: Label of each test row, any integers.
        predicted: Labels that H heads predict.
        count: B, how many replicates to draw.
        rng: Draws them.

    Returns:
        The MCC (Gorodkin 2004) of each replicate and head; heads that predict alike are equal.
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
    prior = rng.standard_gamma(PRIOR / classes**2, (count, classes, classes))
    of_heads = sums[:, :-classes].reshape(count, classes, len(distinct)).astype(np.float64)
    true_sums = sums[:, -classes:] + prior.sum(2)
    total = true_sums.sum(1)[:, None]
    hits = of_heads[:, 0] + np.trace(prior, axis1=1, axis2=2)[:, None]
    predicted_sums = of_heads[:, 1:] + prior.sum(1)[:, :-1, None]
    rest = total - predicted_sums.sum(1)
    predicted_sums = np.concatenate([predicted_sums, rest[:, None]], axis=1)
    both = np.einsum("bk,bkh->bh", true_sums, predicted_sums)
    spread = (total**2 - (predicted_sums**2).sum(1)) * (total**2 - (true_sums**2).sum(1)[:, None])
    mcc = (hits * total - both) / np.sqrt(np.maximum(spread, np.finfo(np.float64).tiny))
    return mcc.astype(np.float32)[:, np.ravel(alike)]


def answer_records(
    replicates: Float32[np.ndarray, "B M T"],
    limits: Float[np.ndarray, "M T"],
    categories: Sequence[str],
    scores: Float[np.ndarray, "M T"],
) -> Answer:
    """Makes intervals of the scores of M models on T tasks, of category means and macro scores.

    Args:
        replicates: `record_replicates` of each model on each task, means over seeds.
        limits: `upper_limits` of each model on each task, means over seeds: no interval of a score
            ends below.
        categories: Category of each task.
        scores: The MCC of each model on each task, means over seeds.
    """
    low, high = interval(replicates)
    means = replicates_of_means(replicates, categories, scores)
    macro = means.mean(-1)
    high = np.maximum(high, limits)
    pairs = compare(macro, record_test(macro))
    return Answer((low, high), interval(means), interval(macro), macro, pairs)


def replicates_of_means(
    replicates: Float32[np.ndarray, "B M T"],
    categories: Sequence[str],
    scores: Float[np.ndarray, "M T"],
) -> Float64[np.ndarray, "B M C"]:
    """Averages replicates over the tasks of each category, in the order of their first tasks.

    The prior draws each replicate a little towards 0. On one task that is what an interval of few
    rows needs; in a mean over tasks it does not average out while the width shrinks. Replicates of
    means are therefore moved so that their mean is the score.

    Args:
        replicates: See `answer_records`.
        categories: See `answer_records`.
        scores: See `answer_records`.
    """
    means = category_means(replicates, categories)
    means += category_means(scores, categories) - means.mean(0)
    return np.minimum(means, 1.0)


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
