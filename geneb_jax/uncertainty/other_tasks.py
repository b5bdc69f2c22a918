"""Would other tasks of the same kinds have given another average? A bootstrap within categories.

The categories stay; each has as many tasks as before, which are drawn anew. A task's residual is
its score less the mean of its category, times sqrt(n / (n - 1)) for a category of n tasks, which
makes up for the mean being of the same tasks. Categories of `ENOUGH` tasks draw from their own
residuals; smaller ones draw from those of all categories of two or more, where each category counts
alike. The residuals of a task are drawn for all models together.

A spread that is known from few categories or tasks is itself uncertain: each replicate scales its
residuals by sqrt(v / c), c chi-squared with v degrees of freedom, as Student's t does. v is the
number of categories in the pool less 1, or of a large category's tasks less 1. Without it, and
where small categories resample their own tasks, the intervals cover too little (`python -m
benchmarks.coverage`, docs/measured.md).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float64

from geneb_jax.uncertainty.comparing import Answer, PairTest, bounded, compare, interval

REPLICATES = 5000
FLIPS = 100_000  # so that the first of 780 pairs can pass Holm's threshold of 6.4e-5
ENOUGH = 9  # tasks of a category that draws from its own residuals
# Two categories leave one degree of freedom, where Student's t is 12.7 and intervals are -1 .. 1.
_CATEGORIES = 3
_FLIPS = 10_000  # in memory at once
_ROUNDING = 1e-6  # of a difference of macro scores


def category_replicates(
    scores: Float[np.ndarray, "M T"],
    categories: Sequence[str],
    count: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Float64[np.ndarray, "B M"]]]:
    """Draws category means over other tasks, jointly for M models.

    The same generator, categories and count draw the same tasks, whatever the scores.

    Args:
        scores: One score a model and task.
        categories: Category of each of the T tasks.
        count: B, how many replicates to draw.
        rng: Draws them.

    Yields:
        Each category, in the order of its first task, with its replicates.

    Raises:
        ValueError: Too few categories have two tasks, of which a spread could be known: three are
            needed where a category of fewer than `ENOUGH` tasks borrows it from them, else two.
    """
    names, first, number = np.unique(categories, return_index=True, return_inverse=True)
    sizes = np.bincount(number)
    pooled = sizes > 1
    needed = 2 if sizes.min() >= ENOUGH else _CATEGORIES
    if pooled.sum() < needed:
        raise ValueError(
            f"too few tasks: {needed} categories with two tasks or more are needed, and here "
            f"{'is' if pooled.sum() == 1 else 'are'} {pooled.sum() or 'none'}"
        )
    means = np.stack([scores[:, number == k].mean(1) for k in range(len(names))], axis=1)
    inflation = np.sqrt(sizes / np.maximum(sizes - 1, 1))
    residuals = (scores - means[:, number]) * inflation[number]
    pool = np.where(pooled, 1 / sizes, 0)[number] / pooled.sum()
    freedom = pooled.sum() - 1
    of_pool = np.sqrt(freedom / rng.chisquare(freedom, count))
    for k in np.argsort(first):
        size, scale, shares = sizes[k], of_pool, pool
        if size >= ENOUGH:
            shares = (number == k) / size
            scale = np.sqrt((size - 1) / rng.chisquare(size - 1, count))
        drawn = rng.choice(len(number), (count, size), p=shares)
        cells = drawn + len(number) * np.arange(count)[:, None]
        times = np.bincount(cells.ravel(), minlength=count * len(number)).reshape(count, -1)
        yield str(names[k]), means[:, k] + (times * (scale / size)[:, None]) @ residuals.T


def answer_tasks(
    scores: Float[np.ndarray, "M T"], categories: Sequence[str], rng: np.random.Generator
) -> Answer:
    """Makes intervals of the category means and macro scores of M models on T tasks.

    Args:
        scores: One score a model and task.
        categories: Category of each task.
        rng: Draws tasks.

    Raises:
        ValueError: Too few categories have two tasks or more; see `category_replicates`.
    """
    drawn = [values for _, values in category_replicates(scores, categories, REPLICATES, rng)]
    means = np.stack(drawn, axis=-1)
    macro = means.mean(-1)
    pairs = compare(macro, task_test(scores, categories, FLIPS, rng))
    return Answer(None, bounded(interval(means)), bounded(interval(macro)), macro, pairs)


def task_test(
    scores: Float[np.ndarray, "M T"],
    categories: Sequence[str],
    count: int,
    rng: np.random.Generator,
) -> PairTest:
    """Tests every difference of macro scores by flipping the signs of the tasks' differences.

    The null hypothesis is that of each task the difference of A and B is as likely to be its
    negative. The test knows no spread that the small categories would have to borrow, so that its
    tails hold where 780 pairs ask for p-values of 6e-5. All flips are looked at where there are at
    most B of them, else B random ones beside the observed signs.

    Args:
        scores: One score a model and task.
        categories: Category of each task.
        count: B.
        rng: Draws the flips.
    """
    number = np.unique(categories, return_inverse=True)[1]
    sizes = np.bincount(number)
    weights = 1 / (len(sizes) * sizes[number])
    first, second = np.triu_indices(len(scores), 1)
    parts = ((scores[first] - scores[second]) * weights).T.astype(np.float32)
    observed = np.abs(parts.sum(0)) - _ROUNDING
    tasks = len(number)
    if 2**tasks <= count:
        bits = np.arange(2**tasks)[:, None] >> np.arange(tasks) & 1
        beyond = (np.abs((1 - 2 * bits).astype(np.float32) @ parts) >= observed).sum(0)
        return PairTest(beyond / 2**tasks, 2 / 2**tasks)
    beyond = np.zeros(len(first), np.int64)
    for start in range(0, count, _FLIPS):
        bits = rng.integers(0, 2, (min(_FLIPS, count - start), tasks), np.int8)
        beyond += (np.abs((1 - 2 * bits).astype(np.float32) @ parts) >= observed).sum(0)
    return PairTest((beyond + 1) / (count + 1), 1 / (count + 1))
