"""What replicates say: intervals, ranks, who beats whom, and who cannot be told apart.

Replicates are float [B, M]: B equally likely values of the scores of M models (see the package).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64

LEVEL = 0.95  # of intervals, and of what is told apart
Ends = tuple[Float64[np.ndarray, "*scores"], Float64[np.ndarray, "*scores"]]  # low and high


def interval(replicates: Float[np.ndarray, "B *scores"]) -> Ends:
    """Returns both ends of the 95 % percentile interval of each score."""
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def bounded(ends: Ends) -> Ends:
    """Returns an interval of MCC without what lies beyond -1 and 1."""
    low, high = ends
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def ranks(scores: Float[np.ndarray, "*B M"]) -> Float64[np.ndarray, "*B M"]:
    """Ranks models, 1 the best; equal ones share the mean of their ranks."""
    rows = scores.reshape(math.prod(scores.shape[:-1]), scores.shape[-1])
    return pd.DataFrame(rows).rank(axis=1, ascending=False).to_numpy().reshape(scores.shape)


def rank_interval(
    replicates: Float[np.ndarray, "B M"],
) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]:
    """Returns both ends of the 95 % percentile interval of each model's rank, rounded outwards."""
    low, high = interval(ranks(replicates))
    return np.floor(low).astype(np.int64), np.ceil(high).astype(np.int64)


class Pairs(NamedTuple):
    """Every pair A, B of M models, A before B, P = M (M - 1) / 2 in the order of `np.triu_indices`.

    Attributes:
        first: Number of A.
        second: Number of B.
        low: Lower end of the interval of A - B.
        high: Its upper end.
        superiority: Probability that A beats B: share of replicates where it does, ties half.
        p: Two-sided p-value of no difference.
        holm: The p-value after Holm's correction over all pairs.
        attainable: The smallest value that `p` can have.
    """

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    low: Float64[np.ndarray, " P"]
    high: Float64[np.ndarray, " P"]
    superiority: Float64[np.ndarray, " P"]
    p: Float64[np.ndarray, " P"]
    holm: Float64[np.ndarray, " P"]
    attainable: float

    @property
    def told_apart(self) -> Bool[np.ndarray, " P"]:
        """Whether the difference stands at 5 % after Holm's correction."""
        return self.holm < 1 - LEVEL


class PairTest(NamedTuple):
    """P-values of no difference.

    Attributes:
        p: Two-sided p-value of each pair, in the order of `np.triu_indices`.
        attainable: The smallest that the test can give.
    """

    p: Float64[np.ndarray, " P"]
    attainable: float


class Answer(NamedTuple):
    """What one question says of M models on T tasks of C categories.

    Attributes:
        scores: Both ends of the interval of each score [M, T]; None: the question is not asked of
            single scores.
        categories: Those of each category mean [M, C].
        macro: Those of each macro score [M].
        replicates: Replicates of the macro scores.
        pairs: Every two models by their macro scores.
    """

    scores: Ends | None
    categories: Ends
    macro: Ends
    replicates: Float[np.ndarray, "B M"]
    pairs: Pairs


def compare(replicates: Float[np.ndarray, "B M"], test: PairTest) -> Pairs:
    """Compares every two models.

    Args:
        replicates: The models' scores.
        test: What the module that drew them says of the same question.
    """
    first, second = np.triu_indices(replicates.shape[1], 1)
    found = []
    for a in range(replicates.shape[1] - 1):
        difference = replicates[:, a, None] - replicates[:, a + 1 :]
        wins = (difference > 0).mean(0) + (difference == 0).mean(0) / 2
        found.append((*interval(difference), wins))
    low, high, superiority = (
        np.concatenate([each[i] for each in found] or [np.zeros(0)]) for i in range(3)
    )
    corrected = holm(test.p)
    return Pairs(first, second, low, high, superiority, test.p, corrected, test.attainable)


def holm(p: Float[np.ndarray, " P"]) -> Float64[np.ndarray, " P"]:
    """Returns p-values corrected for being P together, so that errors stay at 5 % (Holm 1979)."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def better_and_worse(
    scores: Float[np.ndarray, " M"], pairs: Pairs
) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]:
    """Counts for each model the others that are told to be better, and to be worse."""
    apart = pairs.told_apart
    a, b = pairs.first[apart], pairs.second[apart]
    a_wins = scores[a] > scores[b]
    best, worst = np.where(a_wins, a, b), np.where(a_wins, b, a)
    return np.bincount(worst, minlength=len(scores)), np.bincount(best, minlength=len(scores))


def groups(scores: Float[np.ndarray, " M"], pairs: Pairs) -> Sequence[Sequence[int]]:
    """Returns the runs of neighbours, in the order of their scores, that cannot be told apart.

    No two models of a run are told apart, and no run is part of another. A model may be in
    several runs; two that are not told apart while one between them is told from either share none.

    Returns:
        Numbers of the models of each run, the best first.
    """
    order = np.argsort(-scores, kind="stable")
    apart = np.zeros((len(scores), len(scores)), bool)
    apart[pairs.first, pairs.second] = apart[pairs.second, pairs.first] = pairs.told_apart
    found: list[list[int]] = []
    reached = -1
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and not apart[order[start : end + 1], order[end + 1]].any():
            end += 1
        if end > reached:
            found.append([int(model) for model in order[start : end + 1]])
            reached = end
    return found


def category_means(
    scores: Float[np.ndarray, "*some T"], categories: Sequence[str]
) -> Float64[np.ndarray, "*some C"]:
    """Averages scores over the tasks of each category, in the order of their first tasks."""
    order = list(dict.fromkeys(categories))
    number = np.array([order.index(name) for name in categories])
    return np.stack([scores[..., number == k].mean(-1) for k in range(len(order))], axis=-1)
