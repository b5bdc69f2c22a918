"""How many tasks order models as all tasks do, and which: subsets judged on models not seen.

A subset's score of a model is its macro score, the mean over the categories that it has tasks of.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from geneb_jax.uncertainty.comparing import category_means, ranks

HALVINGS = 200
DECILE = 0.1
GOALS = (0.95, 0.98)  # of the lower decile of rank correlations

# Orders the tasks of some models' scores [M, T]: its first n are a subset of n.
Order = Callable[
    [Float[np.ndarray, "M T"], Sequence[str], np.random.Generator], Int64[np.ndarray, " T"]
]


def by_representation(
    scores: Float[np.ndarray, "M T"], categories: Sequence[str], rng: np.random.Generator
) -> Int64[np.ndarray, " T"]:
    """Orders tasks so that the first of them stand for their categories.

    In rounds, every category gives the task that brings the mean of its tasks so far closest to the
    mean of all of its tasks, in squares over the models, each task less its mean over the models.
    Within a round the category comes first whose mean is furthest off. Choosing whatever task
    brings the subset's macro score closest fits the models at hand and orders others worse than
    random tasks do.

    Args:
        scores: One score a model and task.
        categories: Category of each task.
        rng: Is not used; the order follows from the scores.
    """
    number = np.unique(categories, return_inverse=True)[1]
    centred = scores - scores.mean(0)
    full = np.stack([centred[:, number == k].mean(1) for k in range(number.max() + 1)], axis=1)
    sums, counts = np.zeros_like(full), np.zeros(full.shape[1])
    order: list[int] = []
    while len(order) < len(number):
        error = ((sums / np.maximum(counts, 1) - full) ** 2).sum(0)
        left = np.setdiff1d(np.arange(len(number)), order)
        this_round = left[counts[number[left]] == counts[number[left]].min()]
        k = number[this_round[np.argmax(error[number[this_round]])]]
        able = this_round[number[this_round] == k]
        means = (sums[:, k, None] + centred[:, able]) / (counts[k] + 1)
        chosen = int(able[np.argmin(((means - full[:, k, None]) ** 2).sum(0))])
        order.append(chosen)
        sums[:, k] += centred[:, chosen]
        counts[k] += 1
    return np.array(order)


def at_random(
    scores: Float[np.ndarray, "M T"], categories: Sequence[str], rng: np.random.Generator
) -> Int64[np.ndarray, " T"]:
    """Orders tasks at random."""
    return rng.permutation(scores.shape[1])


def one_per_category(
    scores: Float[np.ndarray, "M T"], categories: Sequence[str], rng: np.random.Generator
) -> Int64[np.ndarray, " T"]:
    """Orders tasks in rounds, every category giving a random task, categories in random order."""
    number = np.unique(categories, return_inverse=True)[1]
    shuffled = rng.permutation(len(number))
    turn = np.zeros(len(number))
    for k in range(number.max() + 1):
        of_category = shuffled[number[shuffled] == k]
        turn[of_category] = np.arange(len(of_category)) + rng.random()
    return np.argsort(turn)


ORDERS: Mapping[str, Order] = {
    "chosen": by_representation,
    "one per category": one_per_category,
    "random": at_random,
}


def rank_correlation(
    ours: Float[np.ndarray, "*some M"], theirs: Float[np.ndarray, "*some M"]
) -> Float64[np.ndarray, "*some"]:
    """Returns Spearman's rho over models, NaN where all scores are equal."""
    a, b = (values - values.mean(-1, keepdims=True) for values in (ranks(ours), ranks(theirs)))
    spread = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return np.divide((a * b).sum(-1), spread, np.full(np.shape(spread), np.nan), where=spread > 0)


class Agreement(NamedTuple):
    """How subsets of each size order models that they were not chosen on.

    Attributes:
        sizes: Sizes.
        median: Median over halvings of Spearman's rho with the macro score of all tasks.
        decile: Their lower decile.
    """

    sizes: Int64[np.ndarray, " sizes"]
    median: Float64[np.ndarray, " sizes"]
    decile: Float64[np.ndarray, " sizes"]

    def smallest(self, goal: float) -> int | None:
        """Returns the smallest size from which on the lower decile reaches a goal, if any does."""
        short = np.flatnonzero(self.decile < goal)
        first = 0 if not len(short) else int(short[-1]) + 1
        return int(self.sizes[first]) if first < len(self.sizes) else None


def held_out_agreement(
    order: Order,
    scores: Float[np.ndarray, "M T"],
    categories: Sequence[str],
    sizes: Sequence[int],
    seed: int = 0,
) -> Agreement:
    """Orders tasks on one half of the models and compares subsets on the other, `HALVINGS` times.

    The tasks of a subset are part of all tasks, so that even random ones agree with the whole to
    some degree: compare with `at_random`.

    Args:
        order: How tasks are ordered.
        scores: One score a model and task.
        categories: Category of each task.
        sizes: Sizes of subsets, rising.
        seed: Of the halvings, the same for every order.
    """
    macro = category_means(scores, categories).mean(-1)
    rho = np.empty((HALVINGS, len(sizes)))
    for i in range(HALVINGS):
        halves = np.random.default_rng([seed, i])
        models = halves.permutation(len(scores))
        seen, unseen = models[: len(models) // 2], models[len(models) // 2 :]
        ordered = order(scores[seen], categories, halves)
        found = np.stack([subset_macro(scores[unseen], categories, ordered[:n]) for n in sizes])
        rho[i] = rank_correlation(found, macro[unseen])
    return Agreement(np.array(sizes), np.median(rho, axis=0), np.quantile(rho, DECILE, axis=0))


def subset_macro(
    scores: Float[np.ndarray, "M T"], categories: Sequence[str], tasks: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " M"]:
    """Returns the macro score of each model over some of the tasks."""
    chosen = [str(categories[task]) for task in tasks]
    return category_means(scores[:, tasks], chosen).mean(-1)
