"""Would other few-shot draws have given another score? Student's t over the seeds.

A seed draws the same train rows for every model. Fits of all train rows do not depend on the seed:
their equal scores are one fit and no replicates, and this question is not asked of them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64
from scipy import special

from geneb_jax.uncertainty.comparing import (
    LEVEL,
    Answer,
    Ends,
    PairTest,
    bounded,
    category_means,
    compare,
)

REPLICATES = 10_000
FEWEST = 2  # seeds that have a spread
_NO_SPREAD = 1e-12  # of scores that are equal up to rounding


def answer_shots(
    scores: Float[np.ndarray, "S M T"], categories: Sequence[str], rng: np.random.Generator
) -> Answer:
    """Makes intervals of the scores of M models on T tasks, of category means and macro scores.

    The average of a seed over tasks is one value, so that averages have S - 1 degrees of freedom,
    whether or not the draws of the tasks are independent.

    Args:
        scores: One score a seed, model and task.
        categories: Category of each task.
        rng: Draws replicates of the macro scores.

    Raises:
        ValueError: There are fewer than two seeds.
    """
    means = category_means(scores, categories)
    macro = means.mean(-1)
    replicates = shot_replicates(macro, REPLICATES, rng)
    of_scores, of_means, of_macro = (
        bounded(shot_interval(values)) for values in (scores, means, macro)
    )
    pairs = compare(replicates, shot_test(macro))
    return Answer(of_scores, of_means, of_macro, replicates, pairs)


def shot_interval(scores: Float[np.ndarray, "S *scores"]) -> Ends:
    """Returns both ends of the t interval of mean scores over S >= 2 seeds.

    Raises:
        ValueError: There are fewer than two seeds.
    """
    half = special.stdtrit(_freedom(scores), (1 + LEVEL) / 2) * _error(scores)
    middle = scores.mean(0)
    return middle - half, middle + half


def shot_replicates(
    scores: Float[np.ndarray, "S M"], count: int, rng: np.random.Generator
) -> Float64[np.ndarray, "B M"]:
    """Draws mean scores over S >= 2 other seeds, jointly for M models.

    With normal z_s and a chi-squared c of S - 1 degrees of freedom, a replicate is the mean plus
    sum_s z_s (x_s - mean) / sqrt(S c): each model, and each difference of two, has Student's t
    with the standard error of its S scores.

    Raises:
        ValueError: There are fewer than two seeds.
    """
    freedom, seeds = _freedom(scores), len(scores)
    normal = rng.standard_normal((count, seeds))
    scale = np.sqrt(seeds * rng.chisquare(freedom, count))[:, None]
    return scores.mean(0) + normal @ (scores - scores.mean(0)) / scale


def shot_test(scores: Float[np.ndarray, "S M"]) -> PairTest:
    """Tests every difference by Student's paired t over S >= 2 seeds.

    Of two models whose scores are the same for all seeds p is 1: the draws may have taken the same
    rows, or scores of few rows be equal by chance; neither says that others would be.

    Raises:
        ValueError: There are fewer than two seeds.
    """
    freedom = _freedom(scores)
    first, second = np.triu_indices(scores.shape[1], 1)
    difference = scores[:, first] - scores[:, second]
    size, error = np.abs(difference.mean(0)), _error(difference)
    t = np.divide(size, error, np.where(size > 0, np.inf, 0.0), where=error > 0)
    fixed = _error(scores) < _NO_SPREAD
    t[fixed[first] & fixed[second]] = 0
    return PairTest(2 * special.stdtr(freedom, -t), 0.0)


def _error(scores: np.ndarray) -> np.ndarray:
    return scores.std(0, ddof=1) / np.sqrt(len(scores))


def _freedom(scores: np.ndarray) -> int:
    if len(scores) < FEWEST:
        raise ValueError(f"{len(scores)} seeds have no spread; two or more do")
    return len(scores) - 1
