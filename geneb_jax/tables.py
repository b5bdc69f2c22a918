"""The paper's tables as CSV, Markdown and LaTeX, its printed numbers beside the computed ones."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from geneb_jax import analysis
from geneb_jax.benchmark import GENEB
from geneb_jax.published import PaperVersion, model_labels, paper
from geneb_jax.scores import write_whole

Table = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]

# Why the published scores may give another number than the paper prints, by label version.
_CAUSES: Mapping[PaperVersion, str] = {
    "v1": "the published scores are of a later version than the paper's text",
    "v4": "the paper's text is of its first version's labels, these are the fourth's",
}
# Decimals that the paper prints, by the statistic's beginning; three elsewhere.
_DECIMALS = {"specialisation": 1, "relative": 2, "median relative": 2}
_EVO = "Evo-1-131k"


def _in_domain(results: pd.DataFrame) -> pd.DataFrame:
    return results[~results["model"].isin(paper()["out_of_domain"])]


def _beside(table: pd.DataFrame, column: str, printed: Mapping[str, float]) -> pd.DataFrame:
    """Adds the paper's number of each row and the difference."""
    own = table.assign(paper=table.index.map(lambda name: printed.get(name, np.nan)).astype(float))
    return own.assign(**{f"{column} - paper": own[column] - own["paper"]})


def _size_correlation(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = {name: rho for name, (rho, _) in paper()["size_correlation"].items()}
    table = _beside(
        analysis.size_correlation(results, labels),
        "rho",
        printed | {"macro": paper()["statistics"]["rho(size, macro), 40 models"]},
    )
    inside = analysis.size_correlation(_in_domain(results), labels)
    return table.assign(**{"rho, in-domain": inside["rho"], "p, in-domain": inside["p"]})


def _size_tiers(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = {tier: score for tier, (_, score) in paper()["size_tiers"].items()}
    return _beside(analysis.size_tiers(results, labels), "macro", printed)


def _corpus_groups(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = {corpus: score for corpus, (_, score) in paper()["corpus_groups"].items()}
    return _beside(analysis.corpus_groups(results, labels), "macro", printed)


def _matched_pairs(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    rows = [(kind, *pair) for kind, pairs in paper()["pairs"].items() for pair in pairs]
    table = pd.DataFrame(rows, columns=["varies", "A", "B", "paper"])
    ours = analysis.matched_pairs(results, list(zip(table["A"], table["B"], strict=True)))
    table.insert(3, "A - B", ours.to_numpy())
    return table.assign(difference=table["A - B"] - table["paper"])


def _transfer(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    printed = paper()["transfer"]
    table = analysis.transfer(results, paper()["human_versus_multi_species"])
    table = _beside(table, "difference", {name: mean for name, (mean, _) in printed.items()})
    return table.assign(**{"wins, paper": table.index.map(lambda name: printed[name][1])})


def _few_shot(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    return _beside(analysis.few_shot_drops(results), "drop full to 1shot", paper()["absolute_drop"])


TABLES: Mapping[str, Table] = {
    "leaderboard": lambda results, labels: analysis.leaderboard(results),
    "categories": lambda results, labels: analysis.category_matrix(results),
    "macro_micro": lambda results, labels: analysis.macro_micro_agreement(results),
    "size_correlation": _size_correlation,
    "size_tiers": _size_tiers,
    "small_beats_large": analysis.small_beats_large,
    "matched_pairs": _matched_pairs,
    "human_versus_multi_species": _transfer,
    "few_shot_drops": _few_shot,
    "few_shot_by_category": lambda results, labels: analysis.few_shot_by_category(results),
    "category_winners": lambda results, labels: analysis.category_winners(results),
    "task_difficulty": lambda results, labels: analysis.task_difficulty(results),
    "high_variance_slots": analysis.high_variance_slots,
    "task_ranks": lambda results, labels: analysis.task_ranks(results).T,
    "rank_summary": lambda results, labels: analysis.rank_summary(results),
    "specialisation": lambda results, labels: analysis.specialisation(results),
    "corpus_groups": _corpus_groups,
    "pareto_frontier": analysis.pareto_frontier,
}


def paper_statistics(results: pd.DataFrame, version: PaperVersion = "v1") -> pd.DataFrame:
    """Every number that the paper prints of its scores, computed from `results`.

    Args:
        results: Results table with the regimes full, 10shot and 1shot.
        version: Whose labels to use.

    Returns:
        Columns statistic, ours, paper, difference, note (the likely cause of a difference that
        rounding does not explain).
    """
    labels = model_labels(version)
    ours = (
        _size_statistics(results, labels)
        | _regime_statistics(results)
        | _task_statistics(results, labels)
    )
    printed = {name: (ours[name], value) for name, value in paper()["statistics"].items()}
    printed |= _table_statistics(results, labels)
    table = pd.DataFrame(
        [(name, own, value, own - value) for name, (own, value) in printed.items()],
        columns=["statistic", "ours", "paper", "difference"],
    )
    decimals = [
        next((n for start, n in _DECIMALS.items() if name.startswith(start)), 3) for name in printed
    ]
    beyond = table["difference"].abs() > [0.5001 * 10.0**-n for n in decimals]
    return table.assign(note=[_CAUSES[version] if off else "" for off in beyond])


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
        "drop full to 1-shot, {}": (
            analysis.few_shot_drops(results)["drop full to 1shot"],
            paper()["absolute_drop"],
        ),
        "relative 10-shot drop, {}": (
            analysis.few_shot_drops(results)["relative drop to 10shot"],
            paper()["relative_10shot_drop"],
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
    found = {
        form.format(name): (_number(ours, name), float(value))
        for form, (ours, printed) in tables.items()
        for name, value in printed.items()
    }
    for row in _matched_pairs(results, labels).to_dict("records"):
        found[f"{row['A']} minus {row['B']} ({row['varies']})"] = (row["A - B"], row["paper"])
    special = analysis.specialisation(results)
    for name, (category, score) in paper()["specialisation"].items():
        ours = special.get(category, pd.Series(dtype=float))
        found[f"specialisation, {name} on {category}"] = (_number(ours, name), score)
    return found


def _number(column: pd.Series, name: str) -> float:
    return float(column[name]) if name in column.index else float("nan")


def write_tables(
    results: pd.DataFrame, folder: Path, version: PaperVersion = "v1"
) -> dict[str, pd.DataFrame]:
    """Writes every table as .csv, .md and .tex (booktabs); returns them by name.

    Args:
        results: Results table with the regimes full, 10shot and 1shot.
        folder: Where to write.
        version: Whose labels to use.

    Raises:
        ValueError: A regime is missing.
    """
    missing = {"full", "10shot", "1shot"} - set(results["regime"])
    if missing:
        raise ValueError(f"the scores lack the regimes {', '.join(sorted(missing))}; run them too")
    labels = model_labels(version)
    tables = {name: build(results, labels) for name, build in TABLES.items()}
    tables["paper_statistics"] = paper_statistics(results, version)
    for name, table in tables.items():
        index = table.index.name is not None
        write_whole(folder / f"{name}.csv", table.to_csv(index=index).encode())
        text = table.to_markdown(index=index, floatfmt=".3f")
        write_whole(folder / f"{name}.md", (text + "\n").encode())
        latex = table.to_latex(index=index, escape=True, float_format="%.3f", na_rep="--")
        write_whole(folder / f"{name}.tex", latex.encode())
    return tables
