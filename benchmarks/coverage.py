"""Do 95 % intervals hold the truth in 95 % of cases? `python -m benchmarks.coverage`.

Of each question of `geneb_jax.uncertainty`, where the truth is known: test rows of classifiers with
a known MCC, few-shot seeds, and tasks in GENEB's categories, beside what other intervals would
hold; and how often tests leave two equal models alone.

MCC of few rows is discrete, so that the share held jumps with the truth. Of 19 and 50 rows of two
classes it is therefore computed, not simulated: every confusion matrix that there can be has its
interval and, under each truth, its probability. A mean over a range of truths, beside its extremes,
is the usual summary (Agresti and Coull 1998; Brown, Cai and DasGupta 2001).

Needs nothing but the package. A row, which `--out` holds too, is a `Coverage`.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from benchmarks.needs import begin, new_parser
from benchmarks.rows import Rows
from geneb_jax.benchmark import GENEB
from geneb_jax.uncertainty.comparing import LEVEL, Ends, category_means, interval
from geneb_jax.uncertainty.other_records import (
    jackknife_variance,
    mcc_of,
    record_interval,
    record_replicates,
    replicates_of_means,
    row_effects,
    score_replicates,
    weights_of,
)
from geneb_jax.uncertainty.other_shots import shot_interval
from geneb_jax.uncertainty.other_tasks import category_replicates, task_test
from probes import metrics

COLUMNS = {"question": "8s", "case": "64s", "method": "24s", "share": "5.3f", "detail": "s"}
_REPLICATES = 1000
_SPREAD = 0.12  # of tasks within a category, about that of the published scores
_OURS = "ours"
_NEAR = (0.93, 0.97)  # shares that count as 95 %
_CHUNK = 500  # confusion matrices whose replicates are in memory at once
# Shares of the first class among the true labels and among the predictions.
_SHARES = (
    (0.5, 0.5), (0.35, 0.35), (0.2, 0.2), (0.1, 0.1),
    (0.5, 0.6), (0.35, 0.45), (0.2, 0.3), (0.2, 0.15),
)  # fmt: skip
_LOW_MCC, _HIGH_MCC = np.linspace(0, 0.29, 30), np.linspace(0.3, 0.98, 69)
_BANDS = ((0.3, 0.6), (0.6, 0.9), (0.9, 0.98))  # of MCC, for simulations


class Coverage(NamedTuple):
    """How often intervals of a case held the truth.

    Attributes:
        question: What was drawn anew.
        case: How the data were made.
        method: Whose interval or test: ours, or another one.
        share: Share of cases in which the interval held the truth, or the test did not tell two
            equal models apart.
        detail: How the share was found: numbers of simulations, extremes.
    """

    question: str
    case: str
    method: str
    share: float
    detail: str


def held(
    draw: Callable[[np.random.Generator], tuple[float, Mapping[str, Ends]]], count: int, seed: int
) -> dict[str, np.ndarray]:
    """Returns by method and score the shares of `count` simulations whose interval held the truth.

    Args:
        draw: Makes one simulation: the truth, and the interval of each method.
        count: How many to make.
        seed: Of the generator.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {}
    for _ in range(count):
        truth, intervals = draw(rng)
        for method, (low, high) in intervals.items():
            found.setdefault(method, []).append(np.ravel((low <= truth) & (truth <= high)))
    return {method: np.mean(each, axis=0) for method, each in found.items()}


def cells_of(shares: np.ndarray, mcc: float) -> np.ndarray:
    """Returns the cells [K, K] of a classifier with an MCC: right, else independent guesses.

    Args:
        shares: Of each class, among the true labels and among the predictions.
        mcc: Its MCC.
    """
    return mcc * np.diag(shares) + (1 - mcc) * np.outer(shares, shares)


def binary_cells(true: float, predicted: float, mcc: float) -> np.ndarray:
    """Returns the cells [4] of a classifier of two classes with an MCC, some below 0 if none has.

    Args:
        true: Share of the first class among the true labels.
        predicted: Its share among the predictions.
        mcc: The classifier's MCC.
    """
    both = mcc * np.sqrt(true * (1 - true) * predicted * (1 - predicted))
    independent = np.outer([true, 1 - true], [predicted, 1 - predicted]).ravel()
    return independent + both * np.array([1, -1, -1, 1])


def tables_of(rows: int) -> np.ndarray:
    """Returns every confusion matrix [T, 4] of two classes, both of which are true of some row."""
    counts = range(rows + 1)
    first = [(a, b) for a in counts for b in counts if 0 < a + b < rows]
    return np.array(
        [(a, b, c, rows - a - b - c) for a, b in first for c in range(rows - a - b + 1)]
    )


def mcc_of_cells(cells: np.ndarray) -> np.ndarray:
    """Returns the MCC of confusion matrices [..., 4] of two classes, 0 where it is not defined."""
    a, b, c, d = np.moveaxis(np.asarray(cells, np.float64), -1, 0)
    spread = (a + b) * (c + d) * (a + c) * (b + d)
    defined = spread > 0
    return np.where(defined, (a * d - b * c) / np.sqrt(np.where(defined, spread, 1)), 0)


def our_ends(tables: np.ndarray, rng: np.random.Generator) -> Ends:
    """The interval of `geneb_jax.uncertainty.other_records`, of every table [T, 4]."""
    ends = np.empty((2, len(tables)))
    of_first = tables[:, 0] + tables[:, 1]
    rows = int(tables[0].sum())
    for first in np.unique(of_first):
        true = np.repeat([0, 1], [first, rows - first])
        some = np.flatnonzero(of_first == first)
        heads = np.stack([np.repeat([0, 1, 0, 1], table) for table in tables[some]])
        (replicates,) = record_replicates(true, heads, _REPLICATES, rng)
        ends[:, some] = record_interval(replicates, mcc_of_cells(tables[some]))
    return ends[0], ends[1]


def drawn_ends(
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    tables: np.ndarray,
    rng: np.random.Generator,
) -> Ends:
    """The interval of the MCC of drawn cells [B, T, 4], which has the score, of every table."""
    ends = []
    for start in range(0, len(tables), _CHUNK):
        some = tables[start : start + _CHUNK]
        ends.append(record_interval(mcc_of_cells(draw(some, rng)), mcc_of_cells(some)))
    low, high = (np.concatenate(each) for each in zip(*ends, strict=True))
    return low, high


def dirichlet(
    each: float, by_class: float, tables: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws cells from a posterior: so much a cell, and so much in all by the classes' sizes."""
    first = (tables[:, :1] + tables[:, 1:2]) / tables.sum(1, keepdims=True)
    shares = np.concatenate([first, first, 1 - first, 1 - first], axis=1) / 2
    return rng.standard_gamma(tables + each + by_class * shares, (_REPLICATES, *tables.shape))


def resampled(more: float, tables: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws the counts of other rows, and adds so much to each cell."""
    rows = tables.sum(1)
    return rng.multinomial(rows, tables / rows[:, None], (_REPLICATES, len(tables))) + more


def bca_ends(tables: np.ndarray, rng: np.random.Generator) -> Ends:
    """The bias-corrected and accelerated interval of resampled rows (Efron 1987)."""
    ends = []
    for start in range(0, len(tables), _CHUNK):
        some = tables[start : start + _CHUNK]
        score = mcc_of_cells(some)
        drawn = np.sort(mcc_of_cells(resampled(0, some, rng)), axis=0)
        below = ((drawn < score).mean(0) + (drawn <= score).mean(0)) / 2
        bias = special.ndtri(np.clip(below, 0.5 / _REPLICATES, 1 - 0.5 / _REPLICATES))
        without = mcc_of_cells(np.maximum(some[:, None] - np.eye(4), 0))
        off = (some * without).sum(1, keepdims=True) / some.sum(1, keepdims=True) - without
        spread = (some * off**2).sum(1)
        skew = (some * off**3).sum(1) / (6 * np.where(spread > 0, spread, 1) ** 1.5)
        for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
            z = bias + special.ndtri(tail)
            level = special.ndtr(bias + z / (1 - skew * z))
            number = np.clip((level * _REPLICATES).astype(int), 0, _REPLICATES - 1)
            ends.append(np.take_along_axis(drawn, number[None], 0)[0])
    return np.concatenate(ends[::2]), np.concatenate(ends[1::2])


def fisher_ends(tables: np.ndarray, rng: np.random.Generator) -> Ends:
    """The interval of Fisher's z by the delta method, with half a count in each cell."""
    cells = tables + 0.5
    cells /= cells.sum(1, keepdims=True)
    score, step = mcc_of_cells(cells), 1e-6
    slopes = (mcc_of_cells(cells[:, None] + step * np.eye(4)) - score[:, None]) / step
    variance = (cells * slopes**2).sum(1) - (cells * slopes).sum(1) ** 2
    half = special.ndtri((1 + LEVEL) / 2) * np.sqrt(variance / tables.sum(1)) / (1 - score**2)
    return np.tanh(np.arctanh(score) - half), np.tanh(np.arctanh(score) + half)


def likelihood_ends(tables: np.ndarray, rng: np.random.Generator) -> Ends:
    """The interval of MCC that a likelihood ratio test at 5 % does not refute, on a grid of truths.

    The shares of the classes, true and predicted, are those most likely under each MCC.
    """
    grid, shares = np.linspace(-1, 1, 201), np.linspace(0.01, 0.99, 50)
    true, predicted = (each.ravel() for each in np.meshgrid(shares, shares))
    logs = np.full((len(grid), len(tables)), -np.inf)
    for of_mcc, mcc in zip(logs, grid, strict=True):
        cells = np.stack([binary_cells(*each, mcc) for each in zip(true, predicted, strict=True)])
        cells = cells[cells.min(1) >= -1e-12]
        if len(cells):
            of_mcc[:] = (tables @ np.log(np.maximum(cells, 1e-300)).T).max(1)
    best = special.xlogy(tables, tables / tables.sum(1, keepdims=True)).sum(1)
    inside = 2 * (best - logs) <= stats.chi2.ppf(LEVEL, 1)
    score = mcc_of_cells(tables)
    low, high = grid[inside.argmax(0)], grid[::-1][inside[::-1].argmax(0)]
    return np.minimum(low, score), np.maximum(high, score)


# Intervals of tables [T, 4]; the first is ours.
METHODS: Mapping[str, Callable[[np.ndarray, np.random.Generator], Ends]] = {
    _OURS: our_ends,
    "half a count a cell": functools.partial(drawn_ends, functools.partial(dirichlet, 0.5, 0)),
    "a quarter a cell": functools.partial(drawn_ends, functools.partial(dirichlet, 0.25, 0)),
    "two counts by class": functools.partial(drawn_ends, functools.partial(dirichlet, 0, 2)),
    "resampled rows": functools.partial(drawn_ends, functools.partial(resampled, 0)),
    "resampled, half a count": functools.partial(drawn_ends, functools.partial(resampled, 0.5)),
    "BCa of resampled rows": bca_ends,
    "Fisher's z": fisher_ends,
    "likelihood ratio": likelihood_ends,
}


def truths_of(
    tables: np.ndarray, shares: tuple[float, float], mccs: np.ndarray, fixed: bool = False
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields each MCC that classifiers of these shares can have, with the tables' probabilities.

    Args:
        tables: `tables_of` a number of rows; the others, of one true class, have none.
        shares: Of the first class among the true labels and among the predictions.
        mccs: MCC.
        fixed: The classes have the sizes that are expected of them, as in splits that are made so.
    """
    rows = tables[0].sum()
    chosen = np.ones(len(tables))
    if fixed:
        chosen = tables[:, 0] + tables[:, 1] == round(shares[0] * rows)
    ways = special.gammaln(rows + 1) - special.gammaln(tables + 1).sum(1)
    for mcc in mccs:
        cells = binary_cells(*shares, mcc)
        if cells.min() > -1e-12:
            likely = np.exp(ways + special.xlogy(tables, np.maximum(cells, 0)).sum(1)) * chosen
            yield float(mcc), likely / likely.sum()


def exact(
    ends: Ends,
    tables: np.ndarray,
    shares: Sequence[tuple[float, float]],
    mccs: np.ndarray,
    fixed: bool = False,
) -> tuple[float, str]:
    """Returns the mean share over truths, and in words its extremes, both tails and widths."""
    (low, high), found = ends, []
    for pair in shares:
        for mcc, likely in truths_of(tables, pair, mccs, fixed):
            above, below = likely @ (low > mcc + 1e-9), likely @ (high < mcc - 1e-9)
            found.append((1 - above - below, above, below, likely @ (high - low)))
    share, above, below, width = np.array(found).T
    tails = f"all above it {above.mean():.3f}, below {below.mean():.3f}; width {width.mean():.3f}"
    if len(found) == 1:
        return float(share[0]), f"{tails}; exact"
    near = ((share >= _NEAR[0]) & (share <= _NEAR[1])).mean()
    return float(share.mean()), (
        f"{share.min():.3f} to {share.max():.3f}, {near:.0%} in {_NEAR[0]} to {_NEAR[1]}; {tails}; "
        f"exact, {len(found)} truths"
    )


def exact_cases(rows: int, methods: Sequence[str]) -> Iterator[Coverage]:
    """Yields the coverage of intervals of single scores of two classes over ranges of truths."""
    tables = tables_of(rows)
    ends = {name: METHODS[name](tables, np.random.default_rng(0)) for name in methods}
    for name, each in ends.items():
        for mccs in (_HIGH_MCC, _LOW_MCC):
            case = f"{rows} rows, 2 classes, MCC {mccs[0]:g} to {mccs[-1]:g}"
            yield Coverage("records", case, name, *exact(each, tables, _SHARES, mccs))
    ours = ends[_OURS]
    case = f"{rows} rows, classes of fixed sizes, MCC 0.3 to 0.98"
    yield Coverage("records", case, _OURS, *exact(ours, tables, _SHARES, _HIGH_MCC, True))
    for share, mcc in itertools.product((0.5, 0.2), (0.3, 0.7, 0.9, 0.98)):
        case = f"{rows} rows, smallest class {share:.0%}, MCC {mcc}"
        found = exact(ours, tables, [(share, share)], np.array([mcc]))
        yield Coverage("records", case, _OURS, *found)
    of_one_class = ((tables[:, :2] + tables[:, 2:]) == 0).any(1)
    nothing = np.where(of_one_class, 0, ours[0]), np.where(of_one_class, 0, ours[1])
    for expected in (0.5, 1.0, 2.0, 4.0):
        shares = [(share, expected / rows) for share in (0.5, 0.2)]
        case = f"{rows} rows, of which the first class is predicted for {expected:g}"
        for name, each in ((_OURS, ours), ("0 alone where none is", nothing)):
            found = exact(each, tables, shares, np.linspace(-0.95, 0.95, 191))
            yield Coverage("records", case, name, *found)


def rows_case(
    rows: int, classes: int, band: tuple[float, float], rng: np.random.Generator
) -> tuple[float, Mapping[str, Ends]]:
    """One simulated split: its interval, and that of half a count in each cell.

    Args:
        rows: Of the split.
        classes: K, half of the time of one size, else the largest four times the smallest.
        band: Of the MCC.
        rng: Draws it.
    """
    mcc = rng.uniform(*band)
    shares = np.linspace(1, rng.choice([1.0, 4.0]), classes)
    cells = cells_of(shares / shares.sum(), mcc)
    counts = rng.multinomial(rows, cells.ravel()).reshape(classes, classes)
    while 0 in counts.sum(1):  # the test records of a task are of all classes
        counts = rng.multinomial(rows, cells.ravel()).reshape(classes, classes)
    numbers = np.repeat(np.arange(classes**2), counts.ravel())
    true, predicted = numbers // classes, numbers[None] % classes
    score = mcc_of(true, predicted)
    (replicates,) = record_replicates(true, predicted, _REPLICATES, rng)
    drawn = rng.standard_gamma(counts + 0.5, (_REPLICATES, classes, classes))
    half = record_interval(np.asarray(metrics.mcc(drawn))[:, None], score)
    return mcc, {_OURS: record_interval(replicates, score), "half a count a cell": half}


def five_heads(
    rows: int, classes: int, mcc: float, alike: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the labels of a split, and what five heads of one MCC predict.

    Args:
        rows: Of the split.
        classes: K, of one size.
        mcc: Of each head.
        alike: Share of rows on which a head does as all others that are alike there.
        rng: Draws them.
    """
    shares = np.full(classes, 1 / classes)
    given = cells_of(shares, mcc) * classes  # the prediction, given the true label
    true = rng.integers(0, classes, rows)
    while len(np.unique(true)) < classes:
        true = rng.integers(0, classes, rows)
    common, own = rng.random((1, rows, 1)), rng.random((5, rows, 1))
    chance = np.where(rng.random((5, rows, 1)) < alike, common, own)
    return true, (chance > given.cumsum(1)[true]).sum(-1)


def seeds_case(
    rows: int, classes: int, mcc: float, alike: float, rng: np.random.Generator
) -> tuple[float, Mapping[str, Ends]]:
    """The interval of the mean of `five_heads`, and that with a whole prior in each of them."""
    true, heads = five_heads(rows, classes, mcc, alike, rng)
    ((ours,), _), (whole,) = (
        score_replicates(true, heads, [range(len(heads))], _REPLICATES, rng),
        record_replicates(true, heads, _REPLICATES, rng),
    )
    score = mcc_of(true, heads).mean(keepdims=True)
    drawn = {_OURS: ours, "a whole prior each": whole.mean(1, keepdims=True)}
    return mcc, {name: record_interval(each, score) for name, each in drawn.items()}


def macro_of_seeds_case(
    rows: int, mcc: float, alike: float, rng: np.random.Generator
) -> tuple[float, Mapping[str, Ends]]:
    """The macro interval of `five_heads` on thirteen tasks of two classes, one a category."""
    weights = weights_of([str(task) for task in range(13)])
    replicates, variances, scores = [], [], []
    for share in weights.macro:
        true, heads = five_heads(rows, 2, mcc, alike, rng)
        (drawn,), variance = score_replicates(
            true, heads, [range(len(heads))], _REPLICATES, rng, (share,)
        )
        replicates.append(drawn)
        variances.append(variance)
        scores.append(mcc_of(true, heads).mean(keepdims=True))
    drawn, variance, score = (np.stack(each, -1) for each in (replicates, variances, scores))
    macro = replicates_of_means(drawn, variance, weights.macro)
    return mcc, {_OURS: record_interval(macro, score @ weights.macro)}


def macro_of_rows_case(
    rows: int,
    categories: Sequence[str],
    mcc: float,
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[float, Mapping[str, Ends]]:
    """Simulated test splits of two classes: the macro interval, and that of whole priors, moved.

    Args:
        rows: Of each split.
        categories: Of the tasks.
        mcc: Of every task.
        shares: Of the first class among the true labels and among the predictions.
        rng: Draws them.
    """
    cells = binary_cells(*shares, mcc)
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
    others = {_OURS: record_interval(ours, score), "whole priors, moved": interval(moved)}
    return mcc, others


def shots_case(seeds: int, rng: np.random.Generator) -> tuple[float, Mapping[str, Ends]]:
    """One simulated score over seeds: Student's interval, and the normal one."""
    scores = rng.normal(0.3, 0.1, (seeds, 1))
    half = 1.96 * scores.std(0, ddof=1) / np.sqrt(seeds)
    normal = scores.mean(0) - half, scores.mean(0) + half
    return 0.3, {_OURS: shot_interval(scores), "normal": normal}


def tasks_case(
    kind: str, uneven: float, rng: np.random.Generator
) -> tuple[float, Mapping[str, Ends]]:
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
    return 0.5, {
        method: interval(np.column_stack([means, means.mean(1)]))
        for method, means in ((_OURS, ours), ("each category alone", plain))
    }


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
    shares = (np.array(p) >= 1 - LEVEL).mean(0).tolist()
    case = f"equal macro, categories apart by {effects} SD"
    for method, share in zip((_OURS, "Wilcoxon", "replicates above 0"), shares, strict=True):
        yield Coverage("pairs", case, method, share, f"{count} simulations")


def simulated(
    question: str,
    case: str,
    draw: Callable[[np.random.Generator], tuple[float, Mapping[str, Ends]]],
    count: int,
    names: Sequence[str] = ("",),
) -> Iterator[Coverage]:
    """Yields the coverage of the methods of a simulation, one of each of its named scores."""
    detail = f"{count} simulations"
    if question != "shots":  # Student's t has no replicates
        detail += f" of {_REPLICATES} replicates"
    seed = len(case)  # cases of one size need not have the same draws
    for method, shares in held(draw, count, seed).items():
        for name, share in zip(names, shares, strict=True):
            yield Coverage(question, f"{name}{case}", method, float(share), detail)


def of_records(count: int) -> Iterator[Coverage]:
    """Yields the coverage of intervals over other records."""
    for rows in (19, 50):
        methods = [name for name in METHODS if rows < 50 or name != "likelihood ratio"]
        yield from exact_cases(rows, methods)
    splits = ((2, 200), (2, 2000), (2, 20_000), (3, 30), (3, 300), (9, 90), (20, 200))
    for (classes, rows), band in itertools.product(splits, _BANDS):
        case = f"{rows} rows, {classes} classes, MCC {band[0]} to {band[1]}"
        yield from simulated(
            "records", case, functools.partial(rows_case, rows, classes, band), count
        )
    heads = itertools.product((19, 100), (2, 3), (0.0, 0.5, 1.0), (0.0, 0.3, 0.6, 0.9))
    for rows, classes, alike, mcc in heads:
        case = f"5 heads on {rows} rows, {classes} classes, {alike:.0%} alike, MCC {mcc}"
        draw = functools.partial(seeds_case, rows, classes, mcc, alike)
        yield from simulated("records", case, draw, count)
    for alike, mcc in itertools.product((0.0, 0.5), (0.0, 0.3, 0.6, 0.9)):
        case = f"macro of 13 tasks of 19 rows, 5 heads, {alike:.0%} alike, MCC {mcc}"
        draw = functools.partial(macro_of_seeds_case, 19, mcc, alike)
        yield from simulated("records", case, draw, max(1, count // 2))
    benchmark = [task.category for task in GENEB.tasks]
    thirteen = list(dict.fromkeys(benchmark))
    cases = [
        (rows, categories, mcc, (share, share))
        for rows, categories in ((19, thirteen), (200, thirteen), (19, benchmark))
        for share, mcc in itertools.product((0.5, 0.2), (0.3, 0.5, 0.9, 0.98))
    ]
    cases += [(19, thirteen, mcc, (0.5, 0.1)) for mcc in (0.0, 0.2)]
    for split in cases:
        rows, categories, mcc, (true, predicted) = split
        case = (
            f"macro of {len(categories)} tasks of {rows} rows, MCC {mcc}, first class {true:.0%}, "
            f"predicted {predicted:.0%}"
        )
        yield from simulated(
            "records", case, functools.partial(macro_of_rows_case, *split), max(1, count // 2)
        )


def of_shots(count: int) -> Iterator[Coverage]:
    """Yields the coverage of intervals over other shots."""
    for seeds in (3, 5, 20):
        case = f"{seeds} seeds"
        yield from simulated("shots", case, functools.partial(shots_case, seeds), 10 * count)


def of_pairs(count: int) -> Iterator[Coverage]:
    """Yields how often tests over other tasks leave two equal models alone."""
    for effects in (0.0, 1.2):
        yield from pairs_cases(effects, 4 * count)


def of_tasks(count: int) -> Iterator[Coverage]:
    """Yields the coverage of intervals over other tasks."""
    names = [*dict.fromkeys(task.category for task in GENEB.tasks), "macro"]
    for kind, uneven in itertools.product(("normal", "skewed"), (0.0, 0.4)):
        case = f", {kind}, spreads {'uneven' if uneven else 'even'}"
        draw = functools.partial(tasks_case, kind, uneven)
        yield from simulated("tasks", case, draw, count, names)


QUESTIONS = {"records": of_records, "shots": of_shots, "pairs": of_pairs, "tasks": of_tasks}


def main() -> None:
    """Adds the row of each case."""
    parser = new_parser(__doc__)
    parser.add_argument("--count", type=int, default=1000, help="simulations of a case")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    options = begin(parser)
    rows = Rows(COLUMNS, options.out)
    for question in options.only:
        for found in QUESTIONS[question](options.count):
            rows.add(found._asdict())


if __name__ == "__main__":
    main()
