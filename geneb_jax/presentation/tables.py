"""The paper's tables as CSV, Markdown and LaTeX, its printed numbers beside the computed ones."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from geneb_jax.benchmark import GENEB, select_tasks
from geneb_jax.config import PaperVersion
from geneb_jax.files.atomic import write_whole
from geneb_jax.presentation import analysis
from geneb_jax.presentation.choices import CHOICES, choices_tables
from geneb_jax.presentation.escapes import csv_text, escaped, markdown_text
from geneb_jax.presentation.latex import latex_table
from geneb_jax.presentation.numbers import DECIMALS
from geneb_jax.presentation.pages import PAGES, page
from geneb_jax.presentation.published import (
    model_labels,
    paper,
    published_leaderboard,
    published_results,
)
from geneb_jax.presentation.results import labels_of, with_cards
from geneb_jax.presentation.statements import statement_unit

Build = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]  # of results and labels


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        build: Makes it of a results table and the models' labels.
        regimes: Those that it needs.
        custom: Whether custom tasks take part, which are in no average.
        own: Whether models beside the paper's have the labels that their run's cards say; the
            paper's statements are of its own models.
    """

    build: Build
    regimes: tuple[str, ...] = ("full",)
    custom: bool = False
    own: bool = False


# Why the published scores may give another number than the paper prints, by label version.
_CAUSES: Mapping[PaperVersion, str] = {
    "v1": "the published scores are of a later version than the paper's text",
    "v4": "the paper's text is of its first version's labels, these are the fourth's",
}
_EVO = "Evo-1-131k"
_MOST_ROWS = {"md": 3000, "tex": 200}  # of a table in each form
_ENDINGS = ("csv", "md", "tex")
_TASKS = frozenset(task.id for task in GENEB.tasks)
_FIELD = 40  # the paper's models
T = TypeVar("T")


def compared_models(results: pd.DataFrame) -> set[str]:
    """Returns the paper's models whose scores can be set beside what the paper prints of them.

    They have every task of the benchmark in each of its regimes that the results are of.
    """
    regimes = set(results["regime"]).intersection(GENEB.regimes)
    rows = results[results["regime"].isin(regimes) & results["task"].isin(_TASKS)]
    counts = rows.groupby("model")["task"].count()
    complete = set(counts.index[counts == len(_TASKS) * len(regimes)])
    return complete & set(published_results()["model"])


def _printed(
    results: pd.DataFrame, numbers: Mapping[str, T], of_one: bool = False
) -> Mapping[str, T]:
    """Returns what of the paper's numbers the results can be compared with.

    Args:
        results: Results table.
        numbers: What the paper prints, by name.
        of_one: Each is of the model it is named after; otherwise all are of the paper's 40.
    """
    models = compared_models(results)
    if of_one:
        return {name: number for name, number in numbers.items() if name in models}
    return numbers if len(models) == _FIELD else {}


def _in_domain(results: pd.DataFrame) -> pd.DataFrame:
    return results[~results["model"].isin(paper()["out_of_domain"])]


def _beside(table: pd.DataFrame, column: str, printed: Mapping[str, float]) -> pd.DataFrame:
    """Adds the paper's number of each row and the difference."""
    theirs = table.index.map(lambda name: printed.get(name, np.nan)).astype(float)
    return table.assign(**{f"{column}, paper": theirs, f"{column} - paper": table[column] - theirs})


def _size_correlation(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = {name: rho for name, (rho, _) in paper()["size_correlation"].items()}
    printed |= {"macro": paper()["statistics"]["rho(size, macro), 40 models"]}
    table = analysis.size_correlation(results, labels)
    table = _beside(table, "rho", _printed(results, printed))
    inside = analysis.size_correlation(_in_domain(results), labels)
    p = _printed(results, {name: p for name, (_, p) in paper()["size_correlation"].items()})
    return table.assign(
        **{
            "p, paper": [p.get(str(name)) for name in table.index],
            "rho, in-domain": inside["rho"],
            "p, in-domain": inside["p"],
        }
    )


def _size_tiers(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = _printed(results, paper()["size_tiers"])
    return _groups(analysis.size_tiers(results, labels), printed)


def _corpus_groups(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = _printed(results, paper()["corpus_groups"])
    return _groups(analysis.corpus_groups(results, labels), printed)


def _groups(table: pd.DataFrame, printed: Mapping[str, tuple[int, float]]) -> pd.DataFrame:
    """Adds the paper's number of models and mean score of each group."""
    counts = {name: float(count) for name, (count, _) in printed.items()}
    means = {name: score for name, (_, score) in printed.items()}
    return _beside(_beside(table, "models", counts), "macro", means)


def _matched_pairs(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    rows = [(kind, *pair) for kind, pairs in paper()["pairs"].items() for pair in pairs]
    table = pd.DataFrame(rows, columns=["varies", "A", "B", "paper"])
    ours = analysis.matched_pairs(results, list(zip(table["A"], table["B"], strict=True)))
    table.insert(3, "A - B", ours.to_numpy())
    compared = compared_models(results)
    both = table["A"].isin(compared) & table["B"].isin(compared)
    table["paper"] = table["paper"].where(both)
    return table.assign(difference=table["A - B"] - table["paper"])


def _transfer(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = _printed(results, paper()["transfer"])
    table = analysis.transfer(results, paper()["human_versus_multi_species"])
    table = _beside(table, "difference", {name: mean for name, (mean, _) in printed.items()})
    wins = {name: float(wins) for name, (_, wins) in printed.items()}
    return table.assign(**{"wins, paper": table.index.map(lambda name: wins.get(name, np.nan))})


def _few_shot(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    table = analysis.few_shot_drops(results)
    for column, printed in (
        ("drop full to 1shot", paper()["absolute_drop"]),
        ("relative drop to 10shot", paper()["relative_10shot_drop"]),
    ):
        table = _beside(table, column, _printed(results, printed, of_one=True))
    return table


def _specialisation(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The matrix, the paper's number of each model's category where it prints one."""
    table = analysis.specialisation(results)
    printed = _printed(results, paper()["specialisation"])
    category = table.index.map(lambda name: printed.get(name, (None, np.nan))[0])
    score = table.index.map(lambda name: printed.get(name, (None, np.nan))[1])
    return table.assign(**{"category, paper": category, "score, paper": score})


def _leaderboard(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Rank, size, the averages, those of published scores with the difference, and tasks.

    Published averages are over the same tasks, and so not always what the paper prints. Tasks are
    how many the averages are of, in the regime with the fewest.
    """
    board = analysis.leaderboard(results)
    averages = board.drop(columns="rank")
    published = {}
    for name in averages:
        average, regime = str(name).split()
        theirs = _published_means(results, regime)[average].reindex(board.index)
        published |= {f"{name}, published": theirs, f"{name} - published": averages[name] - theirs}
    regimes = analysis.regimes_of(results)
    counts = pd.DataFrame({name: analysis.task_counts(results, name) for name in regimes})
    columns = {
        "rank": board["rank"].convert_dtypes(),
        "model": board.index,
        "parameters": labels["params"].reindex(board.index).convert_dtypes(),
        **averages,
        **published,
        "tasks": counts.fillna(0).min(axis=1).astype(int),
    }
    return pd.DataFrame(columns, index=board.index).reset_index(drop=True)


def _with_intervals(
    board: pd.DataFrame, results: pd.DataFrame, intervals: pd.DataFrame
) -> pd.DataFrame:
    """Adds the intervals of macro scores over other tasks behind the averages.

    Args:
        board: See `_leaderboard`.
        results: What it is of. An interval stands beside a score of the same tasks alone.
        intervals: See `intervals.interval_tables`; an empty table: there are none.
    """
    if intervals.empty:
        return board
    asked = intervals[intervals["question"] == "tasks"]
    regimes = analysis.regimes_of(results)
    columns = {}
    for regime in regimes:
        ends = asked[asked["regime"] == regime].set_index("model").reindex(board["model"])
        same = ends["tasks"] == analysis.task_counts(results, regime).reindex(board["model"])
        for end in ("low", "high"):
            columns[f"macro {regime} {end}, other tasks"] = ends[end].where(same).to_numpy()
    at = list(board).index(f"micro {regimes[-1]}") + 1
    parts = (board.iloc[:, :at], pd.DataFrame(columns), board.iloc[:, at:])
    return pd.concat(parts, axis=1)


def _categories(regime: str) -> Build:
    """Category means with the largest difference to those of published scores by model.

    The model of the best macro score stands first.
    """

    def build(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
        table = analysis.category_matrix(results, regime)
        table = table.loc[table.mean(axis=1).sort_values(ascending=False, kind="stable").index]
        theirs = _published_means(results, regime)[[str(name) for name in table]]
        off = (table - theirs.reindex(table.index)).abs()
        return table.assign(**{"largest |ours - published|": off.max(axis=1)})

    return build


def _published_means(results: pd.DataFrame, regime: str) -> pd.DataFrame:
    """The published macro, micro and category means of one regime over the tasks of `results`.

    Over all tasks they are those of the published leaderboard.
    """
    tasks = set(results.loc[results["regime"] == regime, "task"])
    if tasks >= {task.id for task in GENEB.tasks}:
        board = published_leaderboard()
        return board[board.index.get_level_values("regime") == regime].droplevel("regime")
    published = published_results()
    published = published[(published["regime"] == regime) & published["task"].isin(tasks)]
    means = analysis.category_matrix(published, regime)
    means = means.reindex(columns=list(GENEB.categories))
    micro = analysis.score_matrix(published, regime).mean(axis=1)
    return means.assign(macro=means.mean(axis=1), micro=micro)


def _of_results(build: Callable[[pd.DataFrame], pd.DataFrame]) -> Build:
    return lambda results, labels: build(results)


_SHOTS = ("full", "10shot", "1shot")

TABLES: Mapping[str, Table] = {
    "leaderboard": Table(_leaderboard, (), own=True),
    "task_scores": Table(_of_results(analysis.task_scores), (), custom=True),
    "categories_full": Table(_categories("full")),
    "categories_10shot": Table(_categories("10shot"), ("10shot",)),
    "categories_1shot": Table(_categories("1shot"), ("1shot",)),
    "macro_micro": Table(_of_results(analysis.macro_micro_agreement)),
    "size_correlation": Table(_size_correlation),
    "size_tiers": Table(_size_tiers),
    "small_beats_large": Table(analysis.small_beats_large),
    "matched_pairs": Table(_matched_pairs),
    "human_versus_multi_species": Table(_transfer),
    "few_shot_drops": Table(_few_shot, _SHOTS),
    "few_shot_by_category": Table(_of_results(analysis.few_shot_by_category), _SHOTS),
    "category_winners": Table(_of_results(analysis.category_winners), ("full", "10shot")),
    "task_difficulty": Table(_of_results(analysis.task_difficulty)),
    "high_variance_slots": Table(analysis.high_variance_slots),
    "task_ranks": Table(lambda results, labels: analysis.task_ranks(results).T.convert_dtypes()),
    "rank_summary": Table(_of_results(analysis.rank_summary)),
    "specialisation": Table(_specialisation),
    "corpus_groups": Table(_corpus_groups),
    "pareto_frontier": Table(analysis.pareto_frontier, own=True),
}


def paper_statistics(
    results: pd.DataFrame, scores: pd.DataFrame | None = None, version: PaperVersion = "v1"
) -> pd.DataFrame:
    """Computes every number that the paper prints of its scores from `results`.

    Args:
        results: Results table.
        scores: The run's scores table, whose MLP heads and other strengths give the statistics of
            probe stability; None: those are missing.
        version: Whose labels to use.

    Returns:
        Columns statistic, ours, paper, difference, note. Ours is missing where it would not be of
        the same models and tasks, and the note says what is lacking; otherwise it says the likely
        cause of a difference that rounding does not explain.
    """
    is_published = _is_published(results)
    compared = compared_models(results)
    results = results[results["model"].isin(compared) & results["task"].isin(_TASKS)]
    labels = labels_of(list(results["model"].unique()), model_labels(version))
    regimes = set(results["regime"])
    ours = _stability_statistics(scores) if scores is not None else {}
    printed = dict(paper()["statistics"]) | dict(paper()["probe_stability"])
    pairs: dict[str, tuple[float, float]] = {}
    if "full" in regimes:
        ours |= _size_statistics(results, labels) | _task_statistics(results, labels)
        pairs |= _table_statistics(results, labels)
    if {"full", "10shot", "1shot"} <= regimes:
        ours |= _regime_statistics(results)
        pairs |= _few_shot_statistics(results)
    pairs = {name: (ours.get(name, np.nan), value) for name, value in printed.items()} | pairs
    lacking = {name: _lacking(name, compared, scores) for name in pairs}
    table = pd.DataFrame(
        [
            (
                name,
                np.nan if lacking[name] else ours,
                value,
                np.nan if lacking[name] else ours - value,
            )
            for name, (ours, value) in pairs.items()
        ],
        columns=["statistic", "ours", "paper", "difference"],
    )
    decimals = [DECIMALS[statement_unit(name)] for name in pairs]
    beyond = table["difference"].abs() > [0.5001 * 10.0**-n for n in decimals]
    cause = _CAUSES[version] if is_published else "these are not the published scores"
    return table.assign(
        note=[
            lacking[name] or (cause if off else "") for name, off in zip(pairs, beyond, strict=True)
        ]
    )


def _lacking(statistic: str, compared: set[str], scores: pd.DataFrame | None) -> str:
    """Says what a statistic needs and the results lack; '': nothing.

    Args:
        statistic: Its name.
        compared: See `compared_models`.
        scores: The run's scores table; None: there is none.
    """
    if statistic in paper()["probe_stability"]:
        there = set() if scores is None else set(scores["task"])
        needed = {task.id for task in select_tasks("stability")}
        return "" if needed <= there else "needs a run of config.tasks=stability"
    models = _MODELS_OF.get(statistic)
    if models is None:
        whole = len(compared) == _FIELD
        return "" if whole else "needs the paper's 40 models on all of its 100 tasks"
    absent = [model for model in models if model not in compared]
    return f"needs {' and '.join(absent)} on all of the paper's 100 tasks" if absent else ""


# The statistics that are of single models; the others are of all 40.
_MODELS_OF: Mapping[str, Sequence[str]] = {
    "macro minus micro, Evo-1-131k": [_EVO],
    **{
        form.format(model): [model]
        for form, numbers in (
            ("drop full to 1-shot, {}", paper()["absolute_drop"]),
            ("relative 10-shot drop, {}", paper()["relative_10shot_drop"]),
        )
        for model in numbers
    },
    **{
        f"{a} minus {b} ({kind})": [a, b]
        for kind, pairs in paper()["pairs"].items()
        for a, b, _ in pairs
    },
}


def _is_published(results: pd.DataFrame) -> bool:
    ours, theirs = (
        table.set_index(["model", "regime", "task"])["MCC"].sort_index()
        for table in (results, published_results())
    )
    return ours.equals(theirs)


def _stability_statistics(scores: pd.DataFrame) -> dict[str, float]:
    cells = analysis.linear_against_mlp(analysis.of_benchmark(scores))
    models = cells.groupby("model")[["linear", "mlp"]].mean()
    agreement = analysis.strength_agreement(scores)["rho"]
    return {
        "linear versus MLP, rho over cells": float(cells["linear"].corr(cells["mlp"], "spearman")),
        "linear versus MLP, rho over models": float(
            models["linear"].corr(models["mlp"], "spearman")
        ),
        "MLP minus linear, mean MCC": float((cells["mlp"] - cells["linear"]).mean()),
        **{
            f"C sweep, mean pairwise rank correlation, {regime}": _number(agreement, regime)
            for regime in GENEB.regimes
        },
    }


def _size_statistics(results: pd.DataFrame, labels: pd.DataFrame) -> dict[str, float]:
    without_evo = results[results["model"] != _EVO]

    def rho(table: pd.DataFrame) -> float:
        return _number(analysis.size_correlation(table, labels)["rho"], "macro")

    def pairs(table: pd.DataFrame) -> int:
        return len(analysis.small_beats_large(table, labels))

    return {
        "rho(size, macro), 40 models": rho(results),
        "rho(size, macro) without Evo-1-131k": rho(without_evo),
        "small-beats-large pairs, in-domain models": pairs(_in_domain(results)),
        "small-beats-large pairs, all models": pairs(results),
        ">=1B minus <200M, mean macro MCC": analysis.tier_gap(results, labels),
        ">=1B minus <200M without Evo-1-131k": analysis.tier_gap(without_evo, labels),
    }


def _regime_statistics(results: pd.DataFrame) -> dict[str, float]:
    drops = analysis.few_shot_drops(results)
    both = analysis.macro_micro_agreement(results)
    winners = analysis.category_winners(results)
    return {
        **{f"mean macro MCC, {name}": float(drops[name].mean()) for name in GENEB.regimes},
        "median relative 10-shot drop": float(drops["relative drop to 10shot"].median()),
        "rank correlation of macro and micro": float(both["macro"].corr(both["micro"], "spearman")),
        "mean |macro - micro|": float(both["macro - micro"].abs().mean()),
        "macro minus micro, Evo-1-131k": _number(both["macro - micro"], _EVO),
        "categories whose winner changes at 10-shot": int(winners["changes"].sum()),
    }


def _task_statistics(results: pd.DataFrame, labels: pd.DataFrame) -> dict[str, float]:
    difficulty = analysis.task_difficulty(results)
    wins = analysis.rank_summary(results)["wins"]
    slots = analysis.high_variance_slots(results, labels)

    def count(place: str, column: str, value: str) -> int:
        return int(((slots["place"] == place) & (slots[column] == value)).sum())

    return {
        "high-variance tasks (SD > 0.12)": int(difficulty["high variance"].sum()),
        "hard tasks (mean MCC < 0.35)": int(difficulty["hard"].sum()),
        "tasks won by the best winner": int(wins.max()),
        "models that win a task": int((wins > 0).sum()),
        "high-variance top-3 slots, multi-species": count("top 3", "pretraining", "multi-species"),
        "high-variance top-3 slots, eukaryotic-genes": count(
            "top 3", "pretraining", "eukaryotic-genes"
        ),
        "high-variance bottom-3 slots, human": count("bottom 3", "pretraining", "human"),
        "high-variance top-3 slots, T-dec": count("top 3", "architecture", "T-dec"),
        "high-variance top-3 slots, T-enc": count("top 3", "architecture", "T-enc"),
    }


def _table_statistics(
    results: pd.DataFrame, labels: pd.DataFrame
) -> dict[str, tuple[float, float]]:
    """Ours and the paper's number for each entry of its tables."""
    tables = {
        "rho(size, MCC), {}": (
            analysis.size_correlation(results, labels)["rho"],
            {name: rho for name, (rho, _) in paper()["size_correlation"].items()},
        ),
        "mean macro MCC, {} parameters": (
            analysis.size_tiers(results, labels)["macro"],
            {name: score for name, (_, score) in paper()["size_tiers"].items()},
        ),
        "mean macro MCC, pretrained on {}": (
            analysis.corpus_groups(results, labels)["macro"],
            {name: score for name, (_, score) in paper()["corpus_groups"].items()},
        ),
        "multi-species minus human, {}": (
            (across := analysis.transfer(results, paper()["human_versus_multi_species"]))[
                "difference"
            ],
            {name: mean for name, (mean, _) in paper()["transfer"].items()},
        ),
        "multi-species minus human, {}, wins": (
            across["wins"],
            {name: wins for name, (_, wins) in paper()["transfer"].items()},
        ),
    }
    found = _pair_up(tables)
    for row in _matched_pairs(results, labels).to_dict("records"):
        found[f"{row['A']} minus {row['B']} ({row['varies']})"] = (row["A - B"], row["paper"])
    special = analysis.specialisation(results)
    for name, (category, score) in paper()["specialisation"].items():
        ours = _number(special[category], name) if category in special else np.nan
        found[f"specialisation, {name} on {category}"] = (ours, score)
    return found


def _few_shot_statistics(results: pd.DataFrame) -> dict[str, tuple[float, float]]:
    drops = analysis.few_shot_drops(results)
    return _pair_up(
        {
            "drop full to 1-shot, {}": (drops["drop full to 1shot"], paper()["absolute_drop"]),
            "relative 10-shot drop, {}": (
                drops["relative drop to 10shot"],
                paper()["relative_10shot_drop"],
            ),
        }
    )


def _pair_up(
    tables: Mapping[str, tuple[pd.Series, Mapping[str, float]]],
) -> dict[str, tuple[float, float]]:
    """Ours and the paper's number by the statistic's name, whose `{}` is the row's."""
    return {
        form.format(name): (_number(ours, name), float(value))
        for form, (ours, printed) in tables.items()
        for name, value in printed.items()
    }


def _number(column: pd.Series, name: str) -> float:
    return float(column[name]) if name in column.index else float("nan")


def write_tables(
    results: pd.DataFrame,
    folder: Path,
    scores: pd.DataFrame | None = None,
    version: PaperVersion = "v1",
    others: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    *,
    cards: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, pd.DataFrame]:
    """Writes every table that the scores have something for; see `write_table`.

    Rows and columns of the paper's tables without any number are left out, and so are tables of
    which nothing remains. Tables that an earlier call wrote and this one does not are removed: they
    would stand beside other scores. Other files of the folder stay.

    Args:
        results: Results table; custom tasks are in `task_scores` alone.
        folder: Where to write.
        scores: The run's scores table, for probe stability; None: those tables are left out.
        version: Whose labels to use.
        others: More tables to write, by name.
        cards: What a run says of its models, by their names in it, for the sizes of those that the
            paper does not have.

    Returns:
        The tables by name, and always `paper_statistics`, which is written where a number of it
        could be computed.

    Raises:
        ValueError: `others` has a table whose name is not known, so that no later call would
            remove it.
    """
    if strange := others.keys() - _OTHERS:
        raise ValueError(f"no table has the name '{min(strange)}'; known: {', '.join(_OTHERS)}")
    models = list(results["model"].unique())
    labels = labels_of(models, model_labels(version))
    sized = with_cards(models, model_labels(version), cards)
    averaged = analysis.of_benchmark(results)
    tables = {
        name: table.build(rows, sized if table.own else labels)
        for name, table in TABLES.items()
        if len(rows := results if table.custom else averaged)
        and set(rows["regime"]).issuperset(table.regimes)
    }
    if "leaderboard" in tables:
        intervals = others.get("intervals_macro", pd.DataFrame())
        tables["leaderboard"] = _with_intervals(tables["leaderboard"], averaged, intervals)
    if scores is not None:
        tables |= {name: build(scores) for name, build in _RUN_TABLES.items()}
    tables = {name: table for name, built in tables.items() if len(table := _told(built))}
    if scores is not None:
        tables |= choices_tables(scores)
    tables["paper_statistics"] = paper_statistics(results, scores, version)
    tables |= others
    unknown = tables["paper_statistics"]["ours"].isna().all()
    written = tables.keys() - ({"paper_statistics"} if unknown else set())
    for name in sorted(written):
        write_table(tables[name], folder / name, PAGES.get(name, page)(tables[name]))
    every = {*TABLES, *_RUN_TABLES, *CHOICES, "paper_statistics", *_OTHERS}
    remove_tables(every - written, folder)
    return tables


def remove_tables(names: Iterable[str], folder: Path) -> None:
    """Removes the files of tables of these names, where they are in a folder."""
    for name in names:
        for ending in _ENDINGS:
            (folder / f"{name}.{ending}").unlink(missing_ok=True)


# Asked for of all scores, beside the paper's tables, and of an audit's leaky tasks.
_ASKED = ("paper_statistics", "intervals_macro", "pairs", "claims")
_OF_LEAKY = ("leaky_tasks", "intervals_macro_without_leaky", "pairs_without_leaky")


def without_rows(written: Collection[str], leaky: bool = False) -> list[str]:
    """Returns the names of the tables that were asked for and not written.

    Args:
        written: Names of those that were written.
        leaky: Whether an audit's leaky tasks were to be left out, too.
    """
    asked = (*TABLES, *_ASKED, *(_OF_LEAKY if leaky else ()))
    return [name for name in asked if name not in written]


# What others make of scores and audits; `geneb-jax tables --subsets` adds the last two.
_OTHERS = (
    "intervals_macro", "intervals_categories", "intervals_scores", "intervals_tasks",
    "intervals_custom", "intervals_macro_without_leaky",
    "pairs", "pairs_tasks", "pairs_custom", "pairs_without_leaky",
    "claims", "leaky_tasks", "audit", "clean_leaderboard", "clean_scores", "clean_tasks",
    "floors", "lift", "lift_tasks", "strand", "strand_tasks", "subsets", "lite",
)  # fmt: skip

# Of the run's scores table.
_RUN_TABLES: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "linear_against_mlp": analysis.linear_against_mlp,
    "strength_scores": lambda scores: analysis.strength_scores(scores).reset_index(),
    "strength_agreement": analysis.strength_agreement,
    "layer_scores": analysis.layer_scores,
}


def _told(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table without rows and columns that hold no number; texts alone tell nothing."""
    there = table.loc[:, table.notna().any()]
    numbers = table.select_dtypes("number")
    return there[numbers.notna().any(axis=1)] if len(numbers.columns) else there


def write_table(table: pd.DataFrame, path: Path, shown: pd.DataFrame | None = None) -> None:
    """Writes a table as .csv, and as .md and .tex what of it a page takes.

    There is no .tex file of what is wider than a page or has more than 200 rows, and no .md file of
    more than 3,000.

    Args:
        table: The table; its index is part of it where it has a name.
        path: The files without their ending.
        shown: The texts of the page (see `pages`); None: those of `pages.page`.
    """
    shown = page(table) if shown is None else shown
    files = {"csv": escaped(table, csv_text).to_csv(index=table.index.name is not None)}
    # A file without rows would be a header that looks like a failure in a paper.
    forms = {"md": _markdown, "tex": latex_table} if len(shown) else {}
    for ending, form in forms.items():
        if len(shown) <= _MOST_ROWS[ending] and (text := form(shown)):
            files[ending] = text
    for ending in _ENDINGS:
        path_of = path.with_name(f"{path.name}.{ending}")
        if ending in files:
            write_whole(path_of, files[ending].encode())
        else:
            path_of.unlink(missing_ok=True)


def _markdown(texts: pd.DataFrame) -> str:
    """Returns a table of texts as Markdown; names of two parts are written in one."""
    names = [
        ", ".join(filter(None, name)) if isinstance(name, tuple) else str(name) for name in texts
    ]
    table = escaped(texts.set_axis(names, axis=1), markdown_text)
    return f"{table.to_markdown(index=False, disable_numparse=True)}\n"
