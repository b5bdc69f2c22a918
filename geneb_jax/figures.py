"""The paper's figures of a results table, as SVG and PNG."""

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geneb_jax import analysis
from geneb_jax.benchmark import GENEB

WIDTH = 7.2  # inches, two journal columns
# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "geneb",  # the same figure gives the same file
}
Draw = Callable[[pd.DataFrame, pd.DataFrame], Figure]


def pareto(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Parameters against macro MCC, coloured by architecture; the frontier as a line."""
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    macro = analysis.category_matrix(results).mean(axis=1)
    known = labels.loc[macro.index.intersection(labels.index)].assign(macro=macro)
    common = known["architecture"].value_counts().index[: len(_COLOURS) - 1]
    for architecture, colour in zip([*common, "other"], _COLOURS, strict=False):
        chosen = known[
            known["architecture"].where(known["architecture"].isin(common), "other") == architecture
        ]
        axis.scatter(chosen["params"], chosen["macro"], color=colour, label=architecture, s=22)
    frontier = analysis.pareto_frontier(results, labels)
    axis.plot(frontier["params"], frontier["macro"], color="black", linewidth=0.9, zorder=0)
    for i, (model, row) in enumerate(frontier.iterrows()):
        offset = (4, -9) if i % 2 else (-4, 6)
        axis.annotate(
            str(model),
            (row["params"], row["macro"]),
            textcoords="offset points",
            xytext=offset,
            ha="left" if i % 2 else "right",
            fontsize=6.5,
        )
    axis.set(xscale="log", xlabel="parameters", ylabel="macro MCC, full")
    axis.margins(x=0.12)
    axis.legend(fontsize=7, loc="lower right")
    return figure


def category_heatmap(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Mean MCC by model and category, the best model on top."""
    by = analysis.category_matrix(results)
    by = by.loc[by.mean(axis=1).sort_values(ascending=False).index]
    figure, axis = plt.subplots(figsize=(WIDTH, 1.2 + 0.17 * len(by)), layout="constrained")
    _heatmap(axis, by, 0, 1)
    return figure


def few_shot(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Macro MCC of each model in the three regimes, with the relative drop to 10-shot."""
    drops = analysis.few_shot_drops(results).iloc[::-1]
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(WIDTH, 1.0 + 0.16 * len(drops)),
        width_ratios=(2, 1),
        sharey=True,
        layout="constrained",
    )
    for regime, colour, marker in zip(GENEB.regimes, _COLOURS, "osD", strict=False):
        left.scatter(drops[regime], drops.index, color=colour, marker=marker, s=14, label=regime)
    left.hlines(drops.index, drops["1shot"], drops["full"], color="0.8", linewidth=1, zorder=0)
    left.set_xlabel("macro MCC")
    left.legend(fontsize=7, loc="lower right")
    right.barh(drops.index, 100 * drops["relative drop to 10shot"], color=_COLOURS[0])
    right.set_xlabel("relative drop, full to 10-shot (%)")
    left.margins(y=0.01)
    return figure


def few_shot_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Mean MCC over models by category in the three regimes."""
    means = analysis.few_shot_by_category(results)
    figure, axis = plt.subplots(figsize=(WIDTH, 3), layout="constrained")
    place = np.arange(len(means))
    for i, (regime, colour) in enumerate(zip(GENEB.regimes, _COLOURS, strict=False)):
        axis.bar(place + 0.27 * (i - 1), means[regime], 0.27, color=colour, label=regime)
    axis.set_xticks(place, list(means.index), rotation=35, ha="right")
    axis.set_ylabel("mean MCC over models")
    axis.legend()
    return figure


def high_variance(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Scores of all models on the tasks where they differ most."""
    tasks = analysis.task_difficulty(results).sort_values("SD", ascending=False)
    chosen = tasks[tasks["high variance"]] if tasks["high variance"].any() else tasks.iloc[:10]
    matrix = analysis.score_matrix(results)
    figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.28 * len(chosen)), layout="constrained")
    axis.boxplot(
        [matrix[task].dropna().to_numpy() for task in chosen.index[::-1]],
        orientation="horizontal",
        flierprops={"markersize": 3},
        medianprops={"color": _COLOURS[5]},
    )
    names = [f"{row['label']} (SD {row['SD']:.2f})" for _, row in chosen[::-1].iterrows()]
    axis.set_yticks(range(1, len(chosen) + 1), names)
    axis.set_xlabel("MCC over models, full")
    return figure


def rank_distribution(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Ranks of each model over the tasks."""
    ranks = analysis.task_ranks(results)
    order = ranks.mean(axis=1).sort_values(ascending=False).index
    figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.16 * len(order)), layout="constrained")
    axis.boxplot(
        [ranks.loc[model].dropna().to_numpy() for model in order],
        orientation="horizontal",
        showfliers=False,
        medianprops={"color": _COLOURS[5]},
    )
    axis.set_yticks(range(1, len(order) + 1), list(order))
    axis.set_xlabel("rank on a task (1 = best)")
    return figure


def wins(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Tasks that each model wins."""
    counts = analysis.rank_summary(results)["wins"]
    counts = counts[counts > 0].sort_values()
    figure, axis = plt.subplots(figsize=(WIDTH, 0.8 + 0.2 * len(counts)), layout="constrained")
    axis.bar_label(axis.barh(counts.index, counts, color=_COLOURS[0]), padding=2)
    axis.set_xlabel("tasks won, full")
    return figure


def macro_minus_micro(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """How the two averages differ by model."""
    shift = analysis.macro_micro_agreement(results)["macro - micro"].sort_values()
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.16 * len(shift)), layout="constrained")
    colours = np.where(shift < 0, _COLOURS[5], _COLOURS[0]).tolist()
    axis.barh(shift.index, shift, color=colours)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlabel("macro - micro MCC, full")
    axis.margins(y=0.01)
    return figure


def top_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """The ten best models of each category."""
    by = analysis.category_matrix(results)
    rows = -(-len(by.columns) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(WIDTH, 1.7 * rows), layout="constrained")
    for axis in axes.ravel()[len(by.columns) :]:
        axis.remove()
    for axis, category in zip(axes.ravel(), by, strict=False):
        best = by[category].nlargest(10)[::-1]
        axis.barh(best.index, best, color=_COLOURS[0])
        axis.set_title(category, fontsize=8)
        axis.tick_params(labelsize=5.5)
    return figure


def pareto_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Parameters against MCC in each category, with its frontier."""
    by = analysis.category_matrix(results)
    known = by.loc[by.index.intersection(labels.index)]
    rows = -(-len(by.columns) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(WIDTH, 1.6 * rows), layout="constrained")
    for axis in axes.ravel()[len(by.columns) :]:
        axis.remove()
    for axis, category in zip(axes.ravel(), by, strict=False):
        axis.scatter(labels.loc[known.index, "params"], known[category], s=6, color=_COLOURS[4])
        frontier = analysis.pareto_frontier(results, labels, str(category))
        axis.plot(frontier["params"], frontier[category], color=_COLOURS[0], marker="o", ms=3)
        axis.set_xscale("log")
        axis.set_title(category, fontsize=8)
        axis.tick_params(labelsize=6)
    figure.supxlabel("parameters", fontsize=8)
    figure.supylabel("MCC, full", fontsize=8)
    return figure


def radar(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Category profiles of groups of five models in the order of their macro MCC."""
    by = analysis.category_matrix(results)
    by = by.loc[by.mean(axis=1).sort_values(ascending=False).index]
    groups = [by.iloc[start : start + 5] for start in range(0, len(by), 5)]
    figure, axes = plt.subplots(
        -(-len(groups) // 2),
        2,
        figsize=(WIDTH, 3.4 * -(-len(groups) // 2)),
        subplot_kw={"projection": "polar"},
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.ravel()[len(groups) :]:
        axis.remove()
    angles = np.linspace(0, 2 * np.pi, by.shape[1], endpoint=False)
    closed = np.append(angles, angles[0])
    for number, (axis, group) in enumerate(zip(axes.ravel(), groups, strict=False)):
        for (model, row), colour in zip(group.iterrows(), _COLOURS, strict=False):
            values = row.to_numpy()
            axis.plot(closed, np.append(values, values[0]), color=colour, lw=1, label=str(model))
        axis.set_xticks(angles, list(by.columns), fontsize=5.5)
        axis.set_ylim(0, 1)
        axis.tick_params(axis="y", labelsize=5)
        axis.set_title(f"rank {5 * number + 1} to {5 * number + len(group)}", fontsize=8)
        axis.legend(fontsize=5.5, loc="upper left", bbox_to_anchor=(1.08, 1.0))
    return figure


def specialisation(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Mean rank outside a category minus that inside."""
    score = analysis.specialisation(results)
    order = analysis.rank_summary(results).index
    figure, axis = plt.subplots(figsize=(WIDTH, 1.2 + 0.17 * len(score)), layout="constrained")
    limit = float(np.nanmax(np.abs(score.to_numpy())))
    _heatmap(axis, score.loc[order], -limit, limit, "RdBu", "{:.0f}")
    return figure


FIGURES: Mapping[str, Draw] = {
    "pareto": pareto,
    "category_heatmap": category_heatmap,
    "radar": radar,
    "few_shot": few_shot,
    "few_shot_by_category": few_shot_by_category,
    "high_variance": high_variance,
    "rank_distribution": rank_distribution,
    "wins": wins,
    "macro_minus_micro": macro_minus_micro,
    "top_by_category": top_by_category,
    "pareto_by_category": pareto_by_category,
    "specialisation": specialisation,
}


def save_figures(results: pd.DataFrame, labels: pd.DataFrame, folder: Path) -> None:
    """Draws every figure into `folder` as .svg and .png.

    Args:
        results: Results table with the regimes full, 10shot and 1shot.
        labels: Labels of the models; those without are left out where size is shown.
        folder: Made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(_STYLE):
        for name, draw in FIGURES.items():
            figure = draw(results, labels)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            figure.savefig(folder / f"{name}.png", dpi=200)
            plt.close(figure)


def _heatmap(
    axis: Axes,
    table: pd.DataFrame,
    low: float,
    high: float,
    colours: str = "viridis",
    form: str = "{:.2f}",
) -> None:
    values = table.to_numpy(float)
    axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(table.columns)), list(table.columns), rotation=35, ha="right")
    axis.set_yticks(range(len(table)), list(table.index))
    for i, j in np.argwhere(np.isfinite(values)):
        share = (values[i, j] - low) / (high - low)
        dark = share < 0.6 if colours == "viridis" else abs(share - 0.5) > 0.35
        text = form.format(values[i, j])
        colour = "white" if dark else "black"
        axis.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
