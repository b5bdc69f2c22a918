"""Do 95 % intervals hold the truth in 95 % of cases? `python -m benchmarks.coverage`.

Simulations where the truth is known, of each question of `geneb_jax.uncertainty`: test rows of
classifiers with a known MCC, few-shot seeds, and tasks in GENEB's categories, beside what the
intervals would be without their corrections; and how often tests leave two equal models alone.
"""

import argparse
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from geneb_jax.benchmark import GENEB
from geneb_jax.uncertainty.comparing import LEVEL, Ends, category_means, interval
from geneb_jax.uncertainty.other_records import (
    interval_of_means,
    jackknife_variance,
    mcc_of,
    record_replicates,
    replicates_of_means,
    row_effects,
    upper_limits,
    weights_of,
)
from geneb_jax.uncertainty.other_shots import shot_interval
from geneb_jax.uncertainty.other_tasks import category_replicates, task_test
from probes import metrics

_REPLICATES = 1000
_SPREAD = 0.12  # of tasks within a category, about that of the published scores


class Coverage(NamedTuple):
    """How often intervals of a case held the truth.

    Attributes:
        question: What was resampled.
        case: How the data were made.
        ours: Share of simulations whose interval of `geneb_jax.uncertainty` held the truth, or
            whose test did not tell two equal models apart.
        plain: That of the interval without its correction, or of another test.
        correction: What that leaves out.
    """

    question: str
    case: str
    ours: float
    plain: float
    correction: str


def held(
    draw: Callable[[np.random.Generator], tuple[float, Ends, Ends]], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns by score the shares of `count` simulations whose two intervals held the truth."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        truth, ours, plain = draw(rng)
        found.append([np.ravel((low <= truth) & (truth <= high)) for low, high in (ours, plain)])
    ours, plain = np.mean(found, axis=0)
    return ours, plain


def cells_of(classes: int, mcc: float, smallest: float) -> np.ndarray:
    """Returns cell probabilities of a classifier with an MCC: right, else independent guesses.

    Args:
        classes: K.
        mcc: Its MCC.
        smallest: Share of the first class; the others are alike.
    """
    shares = np.append(smallest, np.full(classes - 1, (1 - smallest) / (classes - 1)))
    return mcc * np.diag(shares) + (1 - mcc) * np.outer(shares, shares)


def rows_case(
    rows: int, classes: int, mcc: float, smallest: float, rng: np.random.Generator
) -> tuple[float, Ends, Ends]:
    """One simulated test split: its interval, and that of resampled counts and half a count."""
    cells = cells_of(classes, mcc, smallest).ravel()
    counts = rng.multinomial(rows, cells)
    numbers = np.repeat(np.arange(classes**2), counts)
    true, predicted = numbers // classes, numbers % classes
    (replicates,) = record_replicates(true, predicted[None], _REPLICATES, rng)
    low, high = interval(replicates)
    ours = low, np.maximum(high, upper_limits(true, predicted[None]))
    drawn = rng.multinomial(rows, counts / rows, _REPLICATES) + 0.5
    plain = interval(np.asarray(metrics.mcc(drawn.reshape(-1, classes, classes))))
    return mcc, ours, plain


def macro_of_rows_case(
    rows: int, categories: Sequence[str], mcc: float, smallest: float, rng: np.random.Generator
) -> tuple[float, Ends, Ends]:
    """Simulated test splits of two classes: the macro interval, and that of whole priors, moved.

    Args:
        rows: Of each split.
        categories: Of the tasks.
        mcc: Of every task.
        smallest: Share of the first class.
        rng: Draws them.
    """
    cells = cells_of(2, mcc, smallest).ravel()
    weights = weights_of(categories)
    replicates, variances, scores = [], [], []
    for share in weights.macro:
        counts = rng.multinomial(rows, cells)
        while 0 in counts.reshape(2, 2).sum(1):  # the test records of a task are of all classes
            counts = rng.multinomial(rows, cells)
        numbers = np.repeat(np.arange(4), counts)
        true, predicted = numbers // 2, numbers[None] % 2
        replicates.append(record_replicates(true, predicted, _REPLICATES, rng, (share, 1.0)))
        variances.append(jackknife_variance(row_effects(true, predicted)))
        scores.append(mcc_of(true, predicted))
    shared, whole = np.stack(replicates, axis=-1)
    score = np.stack(scores, axis=-1) @ weights.macro
    ours = replicates_of_means(shared, np.stack(variances, axis=-1), weights.macro)
    moved = whole @ weights.macro
    moved += score - moved.mean(0)
    return mcc, interval_of_means(ours, score), interval(moved)


def shots_case(seeds: int, rng: np.random.Generator) -> tuple[float, Ends, Ends]:
    """One simulated score over seeds: Student's interval, and the normal one."""
    scores = rng.normal(0.3, 0.1, (seeds, 1))
    half = 1.96 * scores.std(0, ddof=1) / np.sqrt(seeds)
    return 0.3, shot_interval(scores), (scores.mean(0) - half, scores.mean(0) + half)


def tasks_case(kind: str, uneven: float, rng: np.random.Generator) -> tuple[float, Ends, Ends]:
    """One simulated benchmark with GENEB's category sizes: each category's interval, and macro's.

    Args:
        kind: 'normal' or 'skewed' scores of tasks within a category.
        uneven: SD of the logarithm of the categories' spreads.
        rng: Draws it.
    """
    categories = [task.category for task in GENEB.tasks]
    number = np.array([GENEB.categories.index(name) for name in categories])
    spread = _SPREAD * np.exp(uneven * rng.standard_normal(len(GENEB.categories)))
    error = rng.standard_normal(len(number))
    if kind == "skewed":
        error = (rng.gamma(2, size=len(number)) - 2) / np.sqrt(2)
    scores = 0.5 + spread[number] * error
    drawn = dict(category_replicates(scores[None], categories, _REPLICATES, rng))
    resampled = np.empty((_REPLICATES, len(number)))
    for members in (np.flatnonzero(number == k) for k in range(number.max() + 1)):
        chosen = rng.integers(0, len(members), (_REPLICATES, len(members)))
        resampled[:, members] = scores[members[chosen]]
    ours = np.stack([drawn[name][:, 0] for name in dict.fromkeys(categories)], axis=1)
    plain = category_means(resampled, categories)
    with_macro = (np.column_stack([means, means.mean(1)]) for means in (ours, plain))
    ours, plain = (interval(means) for means in with_macro)
    return 0.5, ours, plain


def equal_pair(effects: float, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Draws two models [2, 100] of one macro score on GENEB's tasks, with uneven spreads.

    Args:
        effects: SD of the categories' differences, which cancel out in macro, in units of a task's.
        rng: Draws them.
    """
    categories = [task.category for task in GENEB.tasks]
    number = np.array([GENEB.categories.index(name) for name in categories])
    spread = _SPREAD * np.exp(0.4 * rng.standard_normal(len(GENEB.categories)))
    of_categories = effects * _SPREAD * rng.standard_normal(len(GENEB.categories))
    of_categories -= of_categories.mean()
    difference = of_categories[number] + spread[number] * rng.standard_normal(len(number))
    return np.stack([difference, np.zeros(len(number))]), categories


def pairs_cases(effects: float, count: int) -> Iterator[Coverage]:
    """Yields the share of equal pairs that tests at 5 % leave alone: sign flips and two others."""
    rng = np.random.default_rng(4)
    p = []
    for _ in range(count):
        scores, categories = equal_pair(effects, rng)
        drawn = [each for _, each in category_replicates(scores, categories, _REPLICATES, rng)]
        differences = np.stack(drawn, -1).mean(-1) @ [1, -1]
        share = (differences > 0).mean()
        flips = task_test(scores, categories, 2 * _REPLICATES, rng).p.item()
        _, wilcoxon = stats.wilcoxon(scores[0], scores[1])
        p.append((flips, wilcoxon, 2 * min(share, 1 - share)))
    flips, wilcoxon, bootstrap = (np.array(p) >= 1 - LEVEL).mean(0).tolist()
    case = f"equal macro, categories apart by {effects} SD"
    for name, other in (("Wilcoxon over tasks", wilcoxon), ("replicates above 0", bootstrap)):
        yield Coverage("pairs", f"{case}; {name}", flips, other, "that test")


def simulate(count: int) -> Iterator[Coverage]:
    """Yields the coverage of every case over `count` simulations each."""
    splits = [
        (rows, 2, mcc, smallest)
        for rows, mcc, smallest in itertools.product(
            (19, 50, 200, 2000), (0.3, 0.7, 0.9, 0.98), (0.5, 0.2)
        )
    ]
    splits += [
        (rows, classes, mcc, 1 / classes)
        for classes, rows in ((3, 300), (9, 400), (20, 1000))
        for mcc in (0.3, 0.95)
    ]
    for split in splits:
        rows, classes, mcc, smallest = split
        ours, plain = held(functools.partial(rows_case, *split), count, 0)
        case = f"{rows} rows, {classes} classes, MCC {mcc}, smallest class {smallest:.0%}"
        yield Coverage("records", case, ours.item(), plain.item(), "counts, then half a count")
    benchmark = [task.category for task in GENEB.tasks]
    thirteen = list(dict.fromkeys(benchmark))
    for (categories, rows), smallest, mcc in itertools.product(
        ((thirteen, 19), (thirteen, 200), (benchmark, 19)), (0.5, 0.2), (0.3, 0.5, 0.9, 0.98)
    ):
        split = (rows, categories, mcc, smallest)
        ours, plain = held(functools.partial(macro_of_rows_case, *split), max(1, count // 2), 1)
        case = (
            f"macro of {len(categories)} tasks of {rows} rows, MCC {mcc}, "
            f"smallest class {smallest:.0%}"
        )
        yield Coverage("records", case, ours.item(), plain.item(), "whole priors, moved")
    for seeds in (3, 5, 20):
        ours, plain = held(functools.partial(shots_case, seeds), 10 * count, 2)
        yield Coverage("shots", f"{seeds} seeds", ours.item(), plain.item(), "normal")
    for effects in (0.0, 1.2):
        yield from pairs_cases(effects, 4 * count)
    names = [*dict.fromkeys(task.category for task in GENEB.tasks), "macro"]
    for kind, uneven in itertools.product(("normal", "skewed"), (0.0, 0.4)):
        ours, plain = held(functools.partial(tasks_case, kind, uneven), count, 3)
        for k, name in enumerate(names):
            case = f"{name}, {kind}, spreads {'uneven' if uneven else 'even'}"
            yield Coverage("tasks", case, float(ours[k]), float(plain[k]), "each category alone")


def main() -> None:
    """Prints the coverage of each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="simulations of a case")
    for found in simulate(parser.parse_args().count):
        print(
            f"{found.question:8} {found.case:52} {found.ours:.3f}  {found.correction}: "
            f"{found.plain:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
