"""The paper's headline statements beside what other tasks, other models and fewer tasks would say.

Definitions: GENEB (arXiv 2606.04525), as in `presentation.analysis`. A statement is a number and a
null value that it should exceed. Its interval over other tasks is that of `uncertainty.other_tasks`
for macro scores, ranks and category means, and resamples the high-variance tasks themselves where
it counts their best and worst models. Statements about model sizes also have an interval over
other models, a bootstrap over the models at hand: a correlation of 40 models is one of many.

A number that was picked for being large, as the best of 40 specialisations is, or that is a count
of what luck brings, too, as of winners that change, is above 0 by chance. Such a statement has the
same number by chance beside it: of random sets of tasks in place of a category, of models under
shuffled labels, of winners of other draws of tasks. Their mean is its null value, and it stands
where it also exceeds their 95th percentile: its own interval says how sure the number is, not how
often the best of many would be as large.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.analysis import HIGH_VARIANCE, MUCH_LARGER, TIERS
from geneb_jax.presentation.published import paper, published_results
from geneb_jax.presentation.verdicts import Verdict, leaky_tasks
from geneb_jax.uncertainty.comparing import LEVEL, category_means, holm, interval, ranks
from geneb_jax.uncertainty.fewer_tasks import rank_correlation
from geneb_jax.uncertainty.other_tasks import FLIPS, category_replicates, task_test

REPLICATES = 2000
_EVO = "Evo-1-131k"
_SHOTS = ("full", "10shot", "1shot")
_SLOTS = 3  # best and worst models of a task that are counted
_DRAWS = 20_000  # of a number by chance


@dataclass(frozen=True)
class Claim:
    """A statement as computed: the paper's number, ours, and what else might have come out.

    Attributes:
        name: What it says.
        paper: The number that the paper prints; NaN: it prints none.
        values: Ours, then replicates over other tasks; ours alone, where tests of them are counted.
        null: What the number should exceed, or stay below if the paper's is negative; NaN: there is
            no value that would refute it, as of a count or of a mean score: it is an estimate.
        over_models: Replicates over other models; None: it speaks of given models.
        by_chance: Draws of the number by chance alone, of which `null` is the mean; None: chance
            gives no other number than `null`.
        p: Of a difference of two models, that of `uncertainty.other_tasks.task_test`; NaN: it is
            none.
    """

    name: str
    paper: float
    values: np.ndarray
    null: float = 0.0
    over_models: np.ndarray | None = None
    by_chance: np.ndarray | None = None
    p: float = np.nan


class _Evidence(NamedTuple):
    """M models on T tasks that all of them have; replicates have the observed values first."""

    models: list[str]
    tasks: list[str]
    categories: list[str]
    scores: Mapping[str, np.ndarray]  # by regime [M, T]
    means: Mapping[str, np.ndarray]  # by regime category means [1 + B, M, C]
    rank_means: np.ndarray  # category means of full-shot ranks [1 + B, M, C]
    labels: pd.DataFrame  # of the models that have some
    p: np.ndarray  # of the difference of every two models in full shot [M, M]

    def macro(self, regime: str = "full") -> np.ndarray:
        return self.means[regime].mean(-1)

    def numbers(self, models: Sequence[str]) -> list[int] | None:
        """Returns the numbers of models; None: one is not there."""
        if not set(models) <= set(self.models):
            return None
        return [self.models.index(model) for model in models]

    @property
    def category_names(self) -> list[str]:
        return list(dict.fromkeys(self.categories))


def claims_table(
    results: pd.DataFrame, labels: pd.DataFrame, verdicts: Mapping[str, Verdict] | None = None
) -> pd.DataFrame:
    """Computes every statement whose models and regimes are there.

    The statements are of all the benchmark's categories, and without tasks of one there are none: a
    count of seven tasks beside the paper's of a hundred refutes nothing. Statements of models in
    general are the paper's of its 40 models, and need them all; other models change none.

    Args:
        results: Results table; the tasks that all of the paper's models in it have in all regimes
            count, and are to be as many of each category as the benchmark has.
        labels: The models' labels (see `published.model_labels`).
        verdicts: The verdict of an audit on each task that it saw, by the task's id (see
            `verdicts`); None: there was no audit.

    Returns:
        Columns statement, paper, ours, low, high (over other tasks), models low and models high
        (over other models), null, by chance (where chance gives many numbers, which have the mean
        null: what one in twenty of them exceeds), p (two-sided, of differences of two models, not
        corrected for their number), tasks, and word: `stands` where both intervals lie beyond the
        null value and the number beyond that by chance, `gone` where the number lies on the other
        side of the null value, `weak` in between, and `estimate` where there is no such value. Of
        an audit the same without its leaky tasks, apart: without leaky (the number), without leaky
        low, ..., without leaky tasks and without leaky word, which are missing values and '' where
        the statement cannot be made without these; and audited tasks (of `tasks`).
    """
    evidence = _evidence(results, labels)
    if evidence is None or not set(GENEB.categories) <= set(evidence.categories):
        return pd.DataFrame()
    found = list(_claims(evidence))
    rows = [
        {"statement": claim.name, "paper": claim.paper}
        | _computed(claim, _side(claim), len(evidence.tasks))
        for claim in found
    ]
    if verdicts is not None:
        kept = _evidence(results[~results["task"].isin(leaky_tasks(verdicts))], labels)
        of_kept = {claim.name: claim for claim in _claims(kept)} if kept else {}
        left = len(kept.tasks) if kept else 0
        again = [_computed(of_kept.get(claim.name, _NONE), _side(claim), left) for claim in found]
        seen = {"audited tasks": len(set(evidence.tasks) & set(verdicts))}
        rows = [
            row
            | {f"without leaky {name}".removesuffix(" ours"): each[name] for name in each}
            | seen
            for row, each in zip(rows, again, strict=True)
        ]
    return pd.DataFrame(rows)


def _evidence(results: pd.DataFrame, labels: pd.DataFrame) -> _Evidence | None:
    """Returns the evidence; None: other tasks cannot be judged from these."""
    of_paper = results["model"].isin(_paper_models())
    rows = results[(results["category"] != CUSTOM) & of_paper]
    regimes = [name for name in _SHOTS if (rows["regime"] == name).any()]
    if "full" not in regimes:
        return None
    tables = {
        name: rows[rows["regime"] == name].pivot(index="model", columns="task", values="MCC")
        for name in regimes
    }
    models = list(tables["full"].index)
    tables = {name: table for name, table in tables.items() if set(table.index) >= set(models)}
    together = pd.concat([table.loc[models] for table in tables.values()], keys=list(tables))
    together = together.dropna(axis=1)
    order = {task.id: i for i, task in enumerate(GENEB.tasks)}
    tasks = sorted(together.columns, key=lambda task: (order.get(task, len(order)), task))
    known = rows.drop_duplicates("task").set_index("task")["category"]
    categories = known.loc[tasks].tolist()
    scores = {name: together.loc[name, tasks].to_numpy(float) for name in tables}
    stacked = np.concatenate([*scores.values(), ranks(scores["full"].T).T])
    try:
        rng = np.random.default_rng(0)
        drawn = [each for _, each in category_replicates(stacked, categories, REPLICATES, rng)]
    except ValueError:
        return None
    observed = category_means(stacked, categories)[None]
    parts = np.split(np.concatenate([observed, np.stack(drawn, -1)]), len(scores) + 1, axis=1)
    means = dict(zip(scores, parts[:-1], strict=True))
    present = labels.loc[sorted(labels.index.intersection(models))]  # no draw follows their order
    p = np.ones((len(models), len(models)))
    test = task_test(scores["full"], categories, FLIPS, np.random.default_rng(2))
    p[np.triu_indices(len(models), 1)] = test.p
    p = np.minimum(p, p.T)
    return _Evidence(models, tasks, categories, scores, means, parts[-1], present, p)


def _paper_models() -> set[str]:
    return set(published_results()["model"])


def _claims(evidence: _Evidence) -> Iterator[Claim]:
    general = set(evidence.models) == _paper_models()
    if general:
        yield from _of_sizes(evidence)
    yield from _of_pairs(evidence)
    if not general:
        return
    yield from _of_corpora(evidence)
    if {"full", "10shot"} <= set(evidence.scores):
        yield from _of_winners(evidence)
    yield from _of_high_variance(evidence)
    yield from _of_specialists(evidence)
    if set(_SHOTS) <= set(evidence.scores):
        yield from _of_few_shots(evidence)


def _rho(macro: np.ndarray, params: np.ndarray) -> np.ndarray:
    return rank_correlation(macro, np.broadcast_to(params, macro.shape))


def _gap(low: float, high: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The mean of models of at least `high` parameters minus that of those below `low`."""

    def gap(macro: np.ndarray, params: np.ndarray) -> np.ndarray:
        small, large = params < low, params >= high
        if not small.any() or not large.any():
            return np.full(len(macro), np.nan)
        return macro[:, large].mean(1) - macro[:, small].mean(1)

    return gap


def _tier_step(lower: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The mean of a size tier minus that of the tier below it."""
    edges = [*TIERS.values(), np.inf]

    def step(macro: np.ndarray, params: np.ndarray) -> np.ndarray:
        tiers = [(params >= edges[i]) & (params < edges[i + 1]) for i in (lower, lower + 1)]
        if not all(tier.any() for tier in tiers):
            return np.full(len(macro), np.nan)
        return macro[:, tiers[1]].mean(1) - macro[:, tiers[0]].mean(1)

    return step


def _small_wins(macro: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Counts the pairs whose smaller model, of at most a fifth of the size, scores higher."""
    wins = np.zeros(len(macro))
    for i in range(len(params)):
        larger = params >= MUCH_LARGER * params[i]
        wins += (macro[:, i, None] > macro[:, larger]).sum(1)
    return wins


def _of_sizes(evidence: _Evidence) -> Iterator[Claim]:
    """Statements about sizes; the labelled models count."""
    printed, tiers = paper()["statistics"], paper()["size_tiers"]
    inside = [model for model in evidence.labels.index if model not in paper()["out_of_domain"]]
    everyone = list(evidence.labels.index)
    but_evo = [model for model in everyone if model != _EVO]
    names = list(TIERS)
    steps = [
        (
            f"mean macro MCC, {names[i + 1]} minus {names[i]} parameters",
            round(tiers[names[i + 1]][1] - tiers[names[i]][1], 3),
            everyone,
            _tier_step(i),
        )
        for i in range(len(names) - 1)
    ]
    statements = [
        ("rho(size, macro), all models", printed["rho(size, macro), 40 models"], everyone, _rho),
        (
            "rho(size, macro) without Evo-1-131k",
            printed["rho(size, macro) without Evo-1-131k"],
            but_evo,
            _rho,
        ),
        ("rho(size, macro), in-domain models", np.nan, inside, _rho),
        (
            "small-beats-large pairs, all models",
            printed["small-beats-large pairs, all models"],
            everyone,
            _small_wins,
        ),
        (
            "small-beats-large pairs, in-domain models",
            printed["small-beats-large pairs, in-domain models"],
            inside,
            _small_wins,
        ),
        (
            ">=1B minus <200M, mean macro MCC",
            printed[">=1B minus <200M, mean macro MCC"],
            everyone,
            _gap(2e8, 1e9),
        ),
        (
            ">=1B minus <200M without Evo-1-131k",
            printed[">=1B minus <200M without Evo-1-131k"],
            but_evo,
            _gap(2e8, 1e9),
        ),
        *steps,
    ]
    rng = np.random.default_rng(1)
    for name, theirs, models, statistic in statements:
        numbers = evidence.numbers(models)
        if not numbers or len(numbers) < 3:
            continue
        macro = evidence.macro()[:, numbers]
        params = evidence.labels.loc[models, "params"].to_numpy(float)
        values = statistic(macro, params)
        if np.isnan(values[0]):
            continue
        drawn = rng.integers(0, len(numbers), (REPLICATES, len(numbers)))
        over = np.array([statistic(macro[:1, each], params[each])[0] for each in drawn])
        null = np.nan if statistic is _small_wins else 0.0
        yield Claim(name, theirs, values, null, over[~np.isnan(over)])
        if statistic is _small_wins:
            yield _told_apart(name, evidence, numbers, params)


def _told_apart(
    name: str, evidence: _Evidence, numbers: Sequence[int], params: np.ndarray
) -> Claim:
    """How many of the pairs where a small model scores higher are told apart among all such."""
    macro = evidence.macro()[0, numbers]
    of_pairs = evidence.p[np.ix_(numbers, numbers)]
    first, second = np.triu_indices(len(numbers), 1)
    small = np.where(params[first] < params[second], first, second)
    large = first + second - small
    asked = params[large] >= MUCH_LARGER * params[small]
    count = (asked & (macro[small] > macro[large]))[asked]
    stands = holm(of_pairs[small, large][asked]) < 1 - LEVEL
    values = np.array([float((count & stands).sum())])
    name = f"{name}: told apart (Holm over {asked.sum()} pairs)"
    return Claim(name, np.nan, values, np.nan)


def _of_pairs(evidence: _Evidence) -> Iterator[Claim]:
    macro = evidence.macro()
    for kind, pairs in paper()["pairs"].items():
        for a, b, printed in pairs:
            if numbers := evidence.numbers([a, b]):
                values = macro[:, numbers[0]] - macro[:, numbers[1]]
                p = float(evidence.p[numbers[0], numbers[1]])
                yield Claim(f"{a} minus {b} ({kind})", printed, values, p=p)
    pairs = [evidence.numbers(pair) for pair in paper()["human_versus_multi_species"]]
    there = np.array([pair for pair in pairs if pair])
    if len(there) == len(pairs):
        difference = macro[:, there[:, 0]] - macro[:, there[:, 1]]
        mean, wins = paper()["transfer"]["overall"]
        yield Claim("multi-species minus human, mean of six pairs", mean, difference.mean(1))
        half = len(pairs) / 2
        yield Claim(
            "multi-species minus human, wins of six", wins, (difference > 0).sum(1), null=half
        )


def _of_corpora(evidence: _Evidence) -> Iterator[Claim]:
    printed = paper()["corpus_groups"]
    macro = evidence.macro()
    for better, worse in (("eukaryotic-genes", "multi-species"), ("multi-species", "human")):
        groups = [
            evidence.numbers(list(evidence.labels.index[evidence.labels["pretraining"] == name]))
            for name in (better, worse)
        ]
        groups = [group for group in groups if group and len(group) > 1]
        if len(groups) == 2:
            values = macro[:, groups[0]].mean(1) - macro[:, groups[1]].mean(1)
            theirs = round(printed[better][1] - printed[worse][1], 3)
            rng = np.random.default_rng(3)
            drawn = [
                rng.choice(macro[0, group], (REPLICATES, len(group))).mean(1) for group in groups
            ]
            yield Claim(
                f"mean macro MCC, pretrained on {better} minus {worse}",
                theirs,
                values,
                over_models=drawn[0] - drawn[1],
            )


def _of_winners(evidence: _Evidence) -> Iterator[Claim]:
    """Winners that change with the regime, beside those that change with other tasks alone."""
    full, few = (evidence.means[name].argmax(1) for name in ("full", "10shot"))
    rng = np.random.default_rng(4)
    draws = [full[1:] != rng.permutation(full[1:]) for _ in range(_DRAWS // REPLICATES)]
    by_chance = np.concatenate(draws).sum(1)
    printed = paper()["statistics"]["categories whose winner changes at 10-shot"]
    yield Claim(
        "categories whose winner changes at 10-shot, beside full-shot winners of other tasks",
        printed,
        (full != few).sum(1).astype(float),
        null=float(by_chance.mean()),
        by_chance=by_chance,
    )


def _of_high_variance(evidence: _Evidence) -> Iterator[Claim]:
    """The labels of the best and worst models of high-variance tasks, beside their share.

    The interval resamples these tasks. By chance models have each other's labels: few models hold
    most places, so that the label of one of them has many.
    """
    numbers = evidence.numbers(list(evidence.labels.index))
    if not numbers or len(numbers) < 2 * _SLOTS:
        return
    wide = evidence.scores["full"].std(0) > HIGH_VARIANCE
    scores = evidence.scores["full"][numbers][:, wide]
    if not scores.shape[1]:
        return
    order = np.argsort(-scores, axis=0, kind="stable")
    slots = {"top": order[:_SLOTS], "bottom": order[-_SLOTS:]}
    rng = np.random.default_rng(5)
    drawn = rng.integers(0, scores.shape[1], (REPLICATES, scores.shape[1]))
    shuffled = rng.permuted(np.tile(np.arange(len(scores)), (_DRAWS, 1)), axis=1)
    for end, column, label in (
        ("top", "pretraining", "multi-species"),
        ("top", "pretraining", "eukaryotic-genes"),
        ("bottom", "pretraining", "human"),
        ("top", "architecture", "T-dec"),
        ("top", "architecture", "T-enc"),
    ):
        has = (evidence.labels[column] == label).to_numpy()
        counts = has[slots[end]].sum(0)
        values = np.concatenate([[counts.sum()], counts[drawn].sum(1)]).astype(float)
        printed = paper()["statistics"][f"high-variance {end}-3 slots, {label}"]
        name = f"high-variance {end}-3 slots, {label}, beside its share of models"
        null = float(has.mean() * _SLOTS * scores.shape[1])
        held = np.bincount(slots[end].ravel(), minlength=len(scores))  # slots of each model
        yield Claim(name, printed, values, null, by_chance=has[shuffled] @ held)


def _of_specialists(evidence: _Evidence) -> Iterator[Claim]:
    """The specialists that the paper names, beside the best one on random sets of tasks.

    They are the largest of all models' specialisations on a category, and some model is the best
    on any set of tasks: the fewer tasks, the further it is from its rank elsewhere.
    """
    on_tasks = ranks(evidence.scores["full"].T)
    names = evidence.category_names
    sizes = np.array([evidence.categories.count(name) for name in names])
    for model, (category, printed) in paper()["specialisation"].items():
        numbers = evidence.numbers([model])
        if numbers and category in names and len(names) > 1:
            mean_ranks = evidence.rank_means[:, numbers[0]]
            inside = names.index(category)
            others = np.arange(len(names)) != inside
            outside = mean_ranks[:, others] @ (sizes[others] / sizes[others].sum())
            values = outside - mean_ranks[:, inside]
            by_chance = _best_specialisations(on_tasks, int(sizes[inside]))
            null = float(by_chance.mean())
            name = f"specialisation, {model} on {category}"
            yield Claim(name, printed, values, null, by_chance=by_chance)


def _best_specialisations(
    on_tasks: Float[np.ndarray, "T M"], size: int
) -> Float[np.ndarray, " draws"]:
    """Returns the largest specialisation of any model on each of many random sets of tasks.

    Args:
        on_tasks: Ranks of the models on each task.
        size: Tasks of a set, fewer than T.
    """
    tasks = len(on_tasks)
    order = np.random.default_rng(6).random((_DRAWS, tasks)).argsort(1)
    inside = (order < size) @ on_tasks
    outside = on_tasks.sum(0) - inside
    return (outside / (tasks - size) - inside / size).max(1)


def _of_few_shots(evidence: _Evidence) -> Iterator[Claim]:
    full, ten, one = (evidence.macro(name) for name in _SHOTS)
    printed = paper()["statistics"]
    for regime, macro in (("10shot", ten), ("1shot", one)):
        name = f"mean macro MCC, {regime}"
        yield Claim(name, printed[name], macro.mean(1), np.nan)
    relative = 1 - ten / full
    name = "median relative 10-shot drop"
    yield Claim(name, printed[name], np.median(relative, axis=1), np.nan)
    absolute = full - one
    by_drop = sorted(paper()["absolute_drop"].values())
    if (numbers := evidence.numbers([_EVO])) and len(evidence.models) > 1:
        others = np.delete(absolute, numbers[0], axis=1).min(1)
        theirs = round(by_drop[1] - by_drop[0], 3)
        name = "smallest drop full to 1-shot of the others minus that of Evo-1-131k"
        yield Claim(name, theirs, others - absolute[:, numbers[0]])
    if (numbers := evidence.numbers(["BioFM-265M"])) and len(evidence.models) > 1:
        others = np.delete(relative, numbers[0], axis=1).max(1)
        name = "relative 10-shot drop of BioFM-265M minus the largest of the others"
        yield Claim(name, np.nan, relative[:, numbers[0]] - others)


_NONE = Claim("", np.nan, np.array([np.nan]), np.nan)  # that cannot be made


def _side(claim: Claim) -> float:
    """Returns 1 where a number above the null value speaks for the paper, -1 where one below."""
    return -1.0 if claim.paper < claim.null else 1.0


def _computed(claim: Claim, side: float, tasks: int) -> dict[str, float | str]:
    """Returns the number of a statement on some tasks, what else it might be, and its word.

    Args:
        claim: The statement.
        side: See `_side`; without some tasks it stays, as the paper's number is of all of them.
        tasks: How many tasks it is of.
    """
    over_tasks = _ends(claim.values[1:])
    over_models = _ends(np.zeros(0) if claim.over_models is None else claim.over_models)
    near = [ends[0] if side > 0 else ends[1] for ends in (over_tasks, over_models)]
    value = float(claim.values[0])
    by_chance = np.nan
    if claim.by_chance is not None:
        by_chance = float(np.quantile(claim.by_chance, LEVEL if side > 0 else 1 - LEVEL))
    return {
        "ours": value,
        "low": over_tasks[0],
        "high": over_tasks[1],
        "models low": over_models[0],
        "models high": over_models[1],
        "null": claim.null,
        "by chance": by_chance,
        "p": claim.p,
        "tasks": tasks,
        "word": _word(value, near, claim.null, by_chance, side),
    }


def _word(value: float, near: Sequence[float], null: float, by_chance: float, side: float) -> str:
    """Says what a number and the ends of its intervals that are near the null value come to."""
    if np.isnan(value):
        return ""
    if np.isnan(null):
        return "estimate"
    if side * (value - null) <= 0:
        return "gone"
    sure = all(side * (end - null) > 0 for end in near if not np.isnan(end))
    rare = np.isnan(by_chance) or side * (value - by_chance) > 0
    return "stands" if sure and rare else "weak"


def _ends(replicates: np.ndarray) -> tuple[float, float]:
    """Returns both ends of an interval; missing values where the statement has no replicates."""
    low, high = interval(replicates) if len(replicates) else (np.nan, np.nan)
    return float(low), float(high)
