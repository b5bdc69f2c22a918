"""What of a table a page of a journal shows, as texts."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.numbers import (
    MINUS,
    column_texts,
    group_text,
    interval_text,
    regime_name,
    size_text,
)
from geneb_jax.presentation.statements import claim_texts, statistic_texts

# Differences, which only a check of the paper or of the published scores wants.
_OF_PAPER = re.compile(r".* - (paper|published)|largest .* - published\|")
_SHOT = re.compile(r"\d+shot")
_MACRO = re.compile(r"macro (\w+)")  # the leaderboard's column of a regime's macro scores


def page(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table as texts: its index first where it has a name, without differences to the
    paper's numbers and to published scores, which are in the .csv file.
    """
    whole = table.reset_index() if table.index.name is not None else table
    wanted = [name for name in whole if not _OF_PAPER.fullmatch(str(name))]
    texts = {
        _SHOT.sub(lambda found: regime_name(found[0]), str(name)): column_texts(
            str(name), whole[name], MINUS
        )
        for name in wanted
    }
    return pd.DataFrame(texts)


def _leaderboard_page(table: pd.DataFrame) -> pd.DataFrame:
    """Rank, size, macro MCC by regime, that of the first with its interval had other tasks been
    chosen, and its micro MCC.
    """
    first, *others = [found[1] for name in table if (found := _MACRO.fullmatch(str(name)))]
    columns: dict[tuple[str, str], Sequence[str]] = {
        ("", "rank"): column_texts("rank", table["rank"]),
        ("", "model"): list(map(str, table["model"])),
    }
    if "parameters" in table:
        columns["", "parameters"] = _sizes(table["parameters"])
    columns["macro MCC", regime_name(first)] = _scores(table[f"macro {first}"])
    low, high = (f"macro {first} {end}, other tasks" for end in ("low", "high"))
    if low in table:
        columns["macro MCC", "95 %, other tasks"] = _intervals(table, low, high)
    for regime in others:
        columns["macro MCC", regime_name(regime)] = _scores(table[f"macro {regime}"])
    columns["micro MCC", regime_name(first)] = _scores(table[f"micro {first}"])
    return pd.DataFrame(columns)


def _sizes(column: pd.Series) -> list[str]:
    return ["" if pd.isna(size) else size_text(size) for size in column]


def _scores(column: pd.Series) -> list[str]:
    return column_texts("MCC", column, MINUS)


def _intervals(table: pd.DataFrame, low: str, high: str) -> list[str]:
    ends = zip(table[low], table[high], strict=True)
    return [interval_text(*each).replace("-", MINUS) for each in ends]


def _ranks(table: pd.DataFrame, low: str, high: str) -> list[str]:
    ends = zip(table[low], table[high], strict=True)
    return [f"{first:.0f} to {last:.0f}" for first, last in ends]


def _difficulty_page(table: pd.DataFrame) -> pd.DataFrame:
    """The tasks under their names in the paper alone."""
    return page(table.reset_index(drop=True))


def _few_shot_page(table: pd.DataFrame) -> pd.DataFrame:
    texts = page(table)
    heads = {"model": "", **dict.fromkeys(map(regime_name, GENEB.regimes), "macro MCC")}
    parts = [str(name).partition(", ") for name in texts]
    beside = {start for start, _, of_paper in parts if of_paper}
    pairs = [
        (start, of_paper or "computed") if start in beside else (heads.get(start, ""), start)
        for start, _, of_paper in parts
    ]
    # The paper's number stands beside the computed one, whose name is above both.
    above = [pair[0] or pair[1] for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda i: above.index(above[i]))
    return texts.set_axis(pd.MultiIndex.from_tuples(pairs), axis=1).iloc[:, order]


def _frontier_page(table: pd.DataFrame) -> pd.DataFrame:
    return page(table.assign(params=_sizes(table["params"])))


def _pairs_of_paper_page(table: pd.DataFrame) -> pd.DataFrame:
    return page(table.drop(columns="difference", errors="ignore"))


def _specialisation_page(table: pd.DataFrame) -> pd.DataFrame:
    return page(table[[name for name in GENEB.categories if name in table]])


def _intervals_page(table: pd.DataFrame) -> pd.DataFrame:
    named = [name for name in ("task", "question", "regime", "model") if name in table]
    score = "macro" if "macro" in table else "MCC"
    texts = page(table[[*named, score, "rank", "group"]])
    texts["group"] = texts["group"].map(group_text)
    texts.insert(len(named) + 1, "95 % interval", _intervals(table, "low", "high"))
    texts.insert(len(named) + 3, "rank, 95 %", _ranks(table, "rank low", "rank high"))
    return texts


_OF_AUDIT = {
    "n_train": "train",
    "n_test": "test",
    **{name: name for name in ("copies", "near", "twins", "clean")},
    "best_rule": "best rule",
    "best_rule_train_MCC": "its MCC, train",
    "best_rule_MCC": "its MCC, test",
    "published_median": "published median",
    "verdict": "verdict",
}


def _audit_page(table: pd.DataFrame) -> pd.DataFrame:
    labels = {task.id: task.label for task in GENEB.tasks}
    texts = page(table[list(_OF_AUDIT)].rename(columns=_OF_AUDIT))
    texts["best rule"] = texts["best rule"].str.replace("_", " ")
    texts.insert(0, "task", [labels.get(task, task) for task in table["task"]])
    return texts


def _clean_page(table: pd.DataFrame) -> pd.DataFrame:
    names = {"macro_clean": "macro, clean", "clean rank": "rank, clean"}
    wanted = ("regime", "model", "macro", "rank", *names, "tasks", "left out")
    texts = page(table[list(wanted)].rename(columns=names))
    texts.insert(5, "95 % interval", _intervals(table, "low", "high"))
    texts.insert(7, "rank, 95 %", _ranks(table, "clean rank low", "clean rank high"))
    return texts


def _leaky_page(table: pd.DataFrame) -> pd.DataFrame:
    """The tasks under their names in the paper, with what the audited files of each are."""
    wanted = ("label", "category", "files", "reasons")
    there = table[[name for name in wanted if name in table]]
    return page(there.rename(columns={"files": "audited files"}))


def _pairs_page(table: pd.DataFrame) -> pd.DataFrame:
    named = [name for name in ("task", "question", "regime", "A", "B") if name in table]
    texts = page(table[[*named, "A - B", "p, Holm", "told apart"]])
    texts.insert(len(named) + 1, "95 % interval", _intervals(table, "low", "high"))
    return texts


# Of tables that have more columns than a page takes, or other texts, by their names.
PAGES: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = MappingProxyType(
    {
        "audit": _audit_page,
        "claims": claim_texts,
        "clean_leaderboard": _clean_page,
        "few_shot_drops": _few_shot_page,
        "intervals_custom": _intervals_page,
        "intervals_macro": _intervals_page,
        "intervals_tasks": _intervals_page,
        "leaderboard": _leaderboard_page,
        "leaky_tasks": _leaky_page,
        "matched_pairs": _pairs_of_paper_page,
        "pairs": _pairs_page,
        "pairs_custom": _pairs_page,
        "pairs_tasks": _pairs_page,
        "paper_statistics": statistic_texts,
        "pareto_frontier": _frontier_page,
        "specialisation": _specialisation_page,
        "task_difficulty": _difficulty_page,
    }
)
