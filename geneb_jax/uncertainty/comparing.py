"""What replicates say: intervals, ranks, who beats whom, and who cannot be told apart.

Replicates are float [B, M]: B equally likely values of the scores of M models (see the package).
"""

import collections
import itertools
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
    """Every pair A, B of M models, P = M (M - 1) / 2.

    `compare` has A before B, in the order of `np.triu_indices`; `in_order` makes another one.

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


def in_order(pairs: Pairs, places: Int64[np.ndarray, " M"]) -> Pairs:
    """Returns the pairs with the model of the smaller place as A, by the places of A, then of B.

    Args:
        pairs: Every pair of M models.
        places: The place of each model, all different.
    """
    turned = places[pairs.first] > places[pairs.second]
    first, second = (
        np.where(turned, *each)
        for each in ((pairs.second, pairs.first), (pairs.first, pairs.second))
    )
    order = np.lexsort((places[second], places[first]))
    return Pairs(
        first[order],
        second[order],
        np.where(turned, -pairs.high, pairs.low)[order],
        np.where(turned, -pairs.low, pairs.high)[order],
        np.where(turned, 1 - pairs.superiority, pairs.superiority)[order],
        pairs.p[order],
        pairs.holm[order],
        pairs.attainable,
    )


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
    """Returns groups of models so that two share one exactly where they are not told apart.

    They are the letters of a compact letter display (Piepho 2004), which any pattern of pairs has:
    a model may be in several groups, and a group need not be a run of neighbours. Each pair that no
    group has yet, in the order of scores, begins one, which takes every model that is told apart
    from none of its models, the best first; groups whose pairs others have too are left out.

    Returns:
        Numbers of the models of each group, the best first; groups in the order of their best
        models, and of their worst ones.
    """
    order = [int(model) for model in np.argsort(-scores, kind="stable")]
    told = zip(pairs.first[pairs.told_apart], pairs.second[pairs.told_apart], strict=True)
    apart = {frozenset((int(a), int(b))) for a, b in told}
    found: list[list[int]] = []
    for pair in _pairs_in(order):
        if pair not in apart and not any(pair.issubset(group) for group in found):
            group = set(pair)
            for model in order:
                if not any(frozenset((model, member)) in apart for member in group):
                    group.add(model)
            found.append([model for model in order if model in group])
    counts = collections.Counter(pair for group in found for pair in _pairs_in(group))
    kept = []
    for group in reversed(found):
        if all(counts[pair] > 1 for pair in _pairs_in(group)):
            counts.subtract(_pairs_in(group))
        else:
            kept.append(group)
    return sorted(kept, key=lambda group: (order.index(group[0]), order.index(group[-1])))


def _pairs_in(group: Sequence[int]) -> list[frozenset[int]]:
    """Returns the pairs of a group, each model with itself too."""
    return [frozenset(pair) for pair in itertools.combinations_with_replacement(group, 2)]


def category_means(
    scores: Float[np.ndarray, "*some T"], categories: Sequence[str]
) -> Float64[np.ndarray, "*some C"]:
    """Averages scores over the tasks of each category, in the order of their first tasks."""
    order = list(dict.fromkeys(categories))
    number = np.array([order.index(name) for name in categories])
    return np.stack([scores[..., number == k].mean(-1) for k in range(len(order))], axis=-1)
