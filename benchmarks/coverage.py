"""Do 95 % intervals hold the truth in 95 % of cases? `python -m benchmarks.coverage`.

Simulations where the truth is known, of each question of `geneb_jax.uncertainty`: test rows of
classifiers with a known MCC, few-shot seeds, and tasks in GENEB's categories, beside what the
intervals would be without their corrections.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from rich.table import Table

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.console import wide_console
from geneb_jax.uncertainty.comparing import category_means, interval
from geneb_jax.uncertainty.other_records import answer_records, record_replicates, without_error
from geneb_jax.uncertainty.other_shots import shot_interval
from geneb_jax.uncertainty.other_tasks import category_replicates

Ends = tuple[float, float]
_REPLICATES = 1000
_SPREAD = 0.12  # of tasks within a category, about that of the published scores


class Coverage(NamedTuple):
    """How often intervals of a case held the truth.

    Attributes:
        question: What was resampled.
        case: How the data were made.
        ours: Share of simulations whose interval of `geneb_jax.uncertainty` held the truth.
        plain: That of the interval without its correction.
        correction: What that leaves out.
    """

    question: str
    case: str
    ours: float
    plain: float
    correction: str


def held(draw: Callable[[np.random.Generator], tuple[float, Ends, Ends]], count: int, seed: int):
    """Returns the shares of `count` simulations whose two intervals held the truth."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        truth, ours, plain = draw(rng)
        found.append([low <= truth <= high for low, high in (ours, plain)])
    return np.mean(found, axis=0)


def cells_of(classes: int, mcc: float, smallest: float) -> np.ndarray:
    """Returns cell probabilities of a classifier with an MCC: right, else independent guesses.

    Args:
        classes: K.
        mcc: Its MCC.
        smallest: Share of the first class; the others are alike.
    """
    shares = np.append(smallest, np.full(classes - 1, (1 - smallest) / (classes - 1)))
    return mcc * np.diag(shares) + (1 - mcc) * np.outer(shares, shares)


def rows_case(rows: int, classes: int, mcc: float, smallest: float, rng: np.random.Generator):
    """One simulated test split: its interval, and that of resampled counts and half a count."""
    cells = cells_of(classes, mcc, smallest).ravel()
    counts = rng.multinomial(rows, cells)
    numbers = np.repeat(np.arange(classes**2), counts)
    true, predicted = numbers // classes, numbers % classes
    replicates = record_replicates(true, predicted[None], _REPLICATES, rng)[:, :, None]
    perfect = without_error(true, predicted[None])[:, None]
    ends = answer_records(replicates, perfect, ["one"]).scores
    assert ends is not None
    drawn = rng.multinomial(rows, counts / rows, _REPLICATES) + 0.5
    plain = interval(mcc_of_counts(drawn.reshape(-1, classes, classes)))
    return mcc, (float(ends[0][0, 0]), float(ends[1][0, 0])), (float(plain[0]), float(plain[1]))


def mcc_of_counts(counts: np.ndarray) -> np.ndarray:
    """Returns the MCC (Gorodkin 2004) of confusion matrices [..., K, K] of any weights."""
    total, true, predicted = counts.sum((-2, -1)), counts.sum(-1), counts.sum(-2)
    hits = np.trace(counts, axis1=-2, axis2=-1)
    both = hits * total - (true * predicted).sum(-1)
    spread = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    return both / np.sqrt(spread)


def shots_case(seeds: int, rng: np.random.Generator):
    """One simulated score over seeds: Student's interval, and the normal one."""
    scores = rng.normal(0.3, 0.1, seeds)
    low, high = shot_interval(scores[:, None])
    half = 1.96 * scores.std(ddof=1) / np.sqrt(seeds)
    return 0.3, (float(low[0]), float(high[0])), (scores.mean() - half, scores.mean() + half)


def tasks_case(kind: str, uneven: float, of: str, rng: np.random.Generator):
    """One simulated benchmark with GENEB's category sizes.

    Args:
        kind: 'normal' or 'skewed' scores of tasks within a category.
        uneven: SD of the logarithm of the categories' spreads.
        of: 'macro', or a category.
        rng: Draws it.
    """
    categories = [task.category for task in GENEB.tasks]
    names = list(GENEB.categories)
    number = np.array([names.index(name) for name in categories])
    spread = _SPREAD * np.exp(uneven * rng.standard_normal(len(names)))
    error = rng.standard_normal(len(number))
    if kind == "skewed":
        error = (rng.gamma(2, size=len(number)) - 2) / np.sqrt(2)
    scores = 0.5 + spread[number] * error
    drawn = dict(category_replicates(scores[None], categories, _REPLICATES, rng))
    replicates = np.mean(list(drawn.values()), axis=0) if of == "macro" else drawn[of]
    ours = interval(replicates[:, 0])
    resampled = np.empty((_REPLICATES, len(number)))
    for k in range(len(names)):
        members = np.flatnonzero(number == k)
        resampled[:, members] = scores[
            members[rng.integers(0, len(members), (_REPLICATES, len(members)))]
        ]
    means = category_means(resampled, categories)
    plain = interval(means.mean(-1) if of == "macro" else means[:, names.index(of)])
    return 0.5, (float(ours[0]), float(ours[1])), (float(plain[0]), float(plain[1]))


def simulate(count: int) -> Iterator[Coverage]:
    """Yields the coverage of every case over `count` simulations each."""
    for rows in (19, 50, 200, 2000):
        for mcc in (0.3, 0.7, 0.9, 0.98):
            for smallest in (0.5, 0.2):
                ours, plain = held(
                    lambda rng, n=rows, m=mcc, s=smallest: rows_case(n, 2, m, s, rng), count, 0
                )
                case = f"{rows} rows, MCC {mcc}, smaller class {smallest:.0%}"
                yield Coverage("records", case, ours, plain, "counts resampled, then half a count")
    for classes, rows in ((3, 300), (9, 400), (20, 1000)):
        for mcc in (0.3, 0.95):
            ours, plain = held(
                lambda rng, k=classes, n=rows, m=mcc: rows_case(n, k, m, 1 / k, rng), count, 1
            )
            case = f"{rows} rows, {classes} classes, MCC {mcc}"
            yield Coverage("records", case, ours, plain, "counts resampled, then half a count")
    for seeds in (3, 5, 20):
        ours, plain = held(lambda rng, n=seeds: shots_case(n, rng), 10 * count, 2)
        yield Coverage("shots", f"{seeds} seeds", ours, plain, "normal, not Student's")
    for of in ("macro", "Promoters", "DNA Methyl.", "Species Clf.", "Virus/Phage", "Coding/NC"):
        for kind in ("normal", "skewed"):
            for uneven in (0.0, 0.4):
                ours, plain = held(
                    lambda rng, k=kind, u=uneven, of=of: tasks_case(k, u, of, rng), count, 3
                )
                case = f"{of}, {kind}, spreads {'uneven' if uneven else 'even'}"
                yield Coverage("tasks", case, ours, plain, "each category resamples its tasks")


def main() -> None:
    """Prints the coverage of each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="simulations of a case")
    table = Table(box=None)
    for name in ("question", "case"):
        table.add_column(name)
    for name in ("ours", "plain"):
        table.add_column(name, justify="right")
    table.add_column("what plain is")
    for found in simulate(parser.parse_args().count):
        table.add_row(*found[:2], f"{found.ours:.3f}", f"{found.plain:.3f}", found.correction)
    wide_console(140).print(table)


if __name__ == "__main__":
    main()
