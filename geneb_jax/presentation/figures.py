"""The paper's figures of a results table, and those of a run's probes, as SVG and PNG."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import analysis
from geneb_jax.scoring.scores import preset_rows

WIDTH = 7.2  # inches, two journal columns
# Okabe and Ito's colours, told apart by colour-blind readers too; a brown instead of their yellow,
# which is too pale for thin lines.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#000000")
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "geneb",  # the same figure gives the same file
    "text.parse_math": False,  # a $ in a name is a $
}
_MOST_NUMBERED = 12  # columns of a heat map whose cells are wide enough for numbers
Draw = Callable[[pd.DataFrame, pd.DataFrame], Figure]  # of results and labels
# Of a run's scores table and its wall time by stage; None where the run has nothing to show.
DrawRun = Callable[[pd.DataFrame, Mapping[str, float]], Figure | None]


def pareto(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws parameters against macro MCC, coloured by architecture; the frontier as a line."""
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
    axis.set(xscale="log", xlabel="parameters", ylabel="macro MCC, full")
    axis.margins(x=0.12, y=0.08)
    # No model stands above the frontier: names go there, kept apart by lifting them.
    gap, height = 0.026 * np.ptp(axis.get_ylim()), -np.inf
    for model, row in frontier.iterrows():
        height = max(row["macro"] + gap / 2, height + gap)
        axis.annotate(
            str(model),
            (row["params"], row["macro"]),
            (row["params"] / 1.25, height),
            ha="right",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.5},
        )
    axis.legend(fontsize=7, loc="upper left")
    return figure


def category_heatmap(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the mean MCC by model and category, the best model on top."""
    by = analysis.category_matrix(results)
    by = by.loc[by.mean(axis=1).sort_values(ascending=False).index]
    figure, axis = _lined(1.2, 0.17, len(by))
    _heatmap(axis, by, 0, 1)
    return figure


def few_shot(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the macro MCC of each model in the three regimes, with the relative drop to 10-shot."""
    drops = analysis.few_shot_drops(results).iloc[::-1]
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(WIDTH, _height(1.0, 0.16, len(drops))),
        width_ratios=(2, 1),
        sharey=True,
        layout="constrained",
    )
    for regime, colour, marker in zip(GENEB.regimes, _COLOURS, "osD", strict=False):
        left.scatter(drops[regime], drops.index, color=colour, marker=marker, s=14, label=regime)
    left.hlines(drops.index, drops["1shot"], drops["full"], color="0.8", linewidth=1, zorder=0)
    left.set_xlabel("macro MCC")
    figure.legend(loc="outside upper center", ncols=3)
    right.barh(drops.index, 100 * drops["relative drop to 10shot"], color=_COLOURS[0])
    right.set_xlabel("relative drop,\nfull to 10-shot (%)")
    left.margins(y=0.01)
    return figure


def few_shot_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the mean MCC over models by category in the three regimes."""
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
    """Draws the scores of all models on the tasks where they differ most."""
    tasks = analysis.task_difficulty(results).sort_values("SD", ascending=False)
    chosen = tasks[tasks["high variance"]] if tasks["high variance"].any() else tasks.iloc[:10]
    matrix = analysis.score_matrix(results)
    figure, axis = _lined(1, 0.28, len(chosen))
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
    """Draws the ranks of each model over the tasks."""
    ranks = analysis.task_ranks(results)
    order = ranks.mean(axis=1).sort_values(ascending=False).index
    figure, axis = _lined(1, 0.16, len(order))
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
    """Draws how many tasks each model wins."""
    counts = analysis.rank_summary(results)["wins"]
    counts = counts[counts > 0].sort_values()
    figure, axis = _lined(0.8, 0.2, len(counts))
    axis.bar_label(axis.barh(counts.index, counts, color=_COLOURS[0]), padding=2)
    axis.set_xlabel("tasks won, full")
    return figure


def macro_minus_micro(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws how the two averages differ by model."""
    shift = analysis.macro_micro_agreement(results)["macro - micro"].sort_values()
    figure, axis = _lined(0.9, 0.16, len(shift))
    colours = np.where(shift < 0, _COLOURS[5], _COLOURS[0]).tolist()
    axis.barh(shift.index, shift, color=colours)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlabel("macro - micro MCC, full")
    axis.margins(y=0.01)
    return figure


def top_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the ten best models of each category."""
    by = analysis.category_matrix(results)
    rows = -(-len(by.columns) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(WIDTH, 1.7 * rows), layout="constrained")
    for axis in axes.ravel()[len(by.columns) :]:
        axis.remove()
    for axis, category in zip(axes.ravel(), by, strict=False):
        best = by[category].nlargest(10)[::-1]
        axis.barh(best.index, best, color=_COLOURS[0], alpha=0.4)
        axis.set_yticks([])
        # On the bars: beside them, long names would leave three columns no width.
        for line, name in enumerate(best.index):
            axis.text(
                0.02, line, name, transform=axis.get_yaxis_transform(), va="center", fontsize=5.5
            )
        axis.set_title(category, fontsize=8)
        axis.tick_params(labelsize=5.5)
    return figure


def pareto_by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws parameters against MCC in each category, with its frontier."""
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
    """Draws category profiles of groups of five models in the order of their macro MCC."""
    by = analysis.category_matrix(results)
    by = by.loc[by.mean(axis=1).sort_values(ascending=False).index]
    groups = [by.iloc[start : start + 5] for start in range(0, len(by), 5)]
    rows = -(-len(groups) // 2)
    figure, axes = plt.subplots(
        rows,
        2,
        figsize=(WIDTH, 2.5 * rows),
        subplot_kw={"projection": "polar"},
        squeeze=False,
    )
    figure.subplots_adjust(
        left=0.09, right=0.76, top=1 - 0.4 / (2.5 * rows), bottom=0.06, wspace=1.6, hspace=0.42
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
        axis.tick_params(axis="x", pad=0)
        axis.set_ylim(0, 1)
        axis.set_yticks([0.25, 0.5, 0.75], ["", "0.5", ""], fontsize=5)
        axis.set_title(f"rank {5 * number + 1} to {5 * number + len(group)}", fontsize=8, pad=10)
        axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.32, 0.5), borderpad=0)
    return figure


def task_heatmap(category: str) -> Draw:
    """Returns what draws the MCC of every model on each task of a category, best model on top."""
    names = {task.id: task.label for task in GENEB.tasks}

    def draw(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
        matrix = analysis.score_matrix(results[results["category"] == category])
        matrix = matrix.rename(columns=names)
        matrix = matrix.loc[matrix.mean(axis=1).sort_values(ascending=False).index]
        figure, axis = _lined(1.8, 0.17, len(matrix))
        few = len(matrix.columns) <= _MOST_NUMBERED
        image = _heatmap(axis, matrix, 0, 1, form="{:.2f}" if few else "")
        if not few:
            axis.tick_params(axis="x", labelsize=6, labelrotation=60)
            figure.colorbar(image, ax=axis, label="MCC, full", shrink=0.5)
        axis.set_title(category, fontsize=8)
        return figure

    return draw


def specialisation(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the mean rank outside a category minus that inside."""
    score = analysis.specialisation(results)
    order = analysis.rank_summary(results).index
    figure, axis = _lined(1.2, 0.17, len(score))
    limit = score.abs().max().max()
    limit = float(limit) if limit > 0 else 1.0  # one category has no outside, one model no ranks
    _heatmap(axis, score.loc[order], -limit, limit, "RdBu", "{:.0f}")
    return figure


def strength_sensitivity(scores: pd.DataFrame, seconds: Mapping[str, float]) -> Figure | None:
    """Draws the mean MCC of each model against C, a panel a regime."""
    table = analysis.strength_scores(scores)
    if table.shape[1] < 2 or table.empty:
        return None
    found = table.index.get_level_values("regime")
    regimes = [regime for regime in GENEB.regimes if regime in found]
    regimes += sorted(set(found) - set(regimes))
    figure, axes = plt.subplots(
        1, len(regimes), figsize=(WIDTH, 3), squeeze=False, layout="constrained"
    )
    styles = [(line, colour) for line in ("-", "--", ":") for colour in _COLOURS]
    for axis, regime in zip(axes[0], regimes, strict=True):
        for i, (model, row) in enumerate(table.xs(regime, level="regime").iterrows()):
            line, colour = styles[i % len(styles)]
            axis.plot(row.index, row, line, color=colour, marker="o", ms=2, lw=1, label=str(model))
        axis.set(xscale="log", xlabel="C", title=regime)
    axes[0, 0].set_ylabel("mean MCC over tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def linear_against_mlp(scores: pd.DataFrame, seconds: Mapping[str, float]) -> Figure | None:
    """Draws the linear probe's MCC against the MLP's, one point a model, regime and task."""
    cells = analysis.linear_against_mlp(scores)
    if cells.empty:
        return None
    figure, axis = plt.subplots(figsize=(WIDTH / 2, WIDTH / 2), layout="constrained")
    for (regime, group), colour in zip(cells.groupby("regime"), _COLOURS, strict=False):
        axis.scatter(group["linear"], group["mlp"], s=9, color=colour, label=str(regime))
    axis.axline((0, 0), slope=1, color="0.7", lw=0.8, zorder=0)
    axis.set(xlabel="MCC, linear probe", ylabel="MCC, MLP probe")
    axis.legend()
    return figure


def solvers(scores: pd.DataFrame, seconds: Mapping[str, float]) -> Figure | None:
    """Draws MCC and iterations at the harness's early stop and at the optimum."""
    keys = ["model", "task", "regime", "C", "seed"]
    heads = preset_rows(scores)
    heads = heads[heads["probe"] == "logistic"]
    heads = heads.drop_duplicates([*keys, "solver"]).pivot(
        index=keys, columns="solver", values=["MCC", "iterations"]
    )
    if not {("MCC", "geneb"), ("MCC", "converged")} <= set(heads.columns):
        return None
    heads = heads.dropna()
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, WIDTH / 2), layout="constrained")
    for axis, what in zip(axes, ("MCC", "iterations"), strict=True):
        for (regime, group), colour in zip(heads.groupby("regime"), _COLOURS, strict=False):
            axis.scatter(
                group[what, "geneb"], group[what, "converged"], s=9, color=colour, label=str(regime)
            )
        axis.set(xlabel=f"{what}, solver geneb", ylabel=f"{what}, solver converged")
    axes[0].axline((0, 0), slope=1, color="0.7", lw=0.8, zorder=0)
    axes[1].set(xscale="symlog", yscale="symlog")
    axes[0].legend()
    return figure


def layers(scores: pd.DataFrame, seconds: Mapping[str, float]) -> Figure | None:
    """Draws mean MCC by depth of the hidden state, a line a model and pooling, a panel a regime."""
    table = analysis.layer_scores(scores)
    if table["tap"].nunique() < 2:
        return None
    regimes = [column for column in table if column not in ("model", "pooling", "tap", "tasks")]
    figure, axes = plt.subplots(
        1, len(regimes), figsize=(WIDTH, 3.4), squeeze=False, sharey=True, layout="constrained"
    )
    styles = [(line, colour) for line in ("-", "--", ":") for colour in _COLOURS]
    for axis, regime in zip(axes[0], regimes, strict=True):
        groups: Any = table.groupby(["model", "pooling"])
        for i, ((model, pooling), rows) in enumerate(groups):
            line, colour = styles[i % len(styles)]
            inner = rows[rows["tap"] != "-1"]
            depth = inner["tap"].astype(int)
            axis.plot(
                depth, inner[regime], line, color=colour, marker="o", ms=2, lw=1,
                label=f"{model}, {pooling}",
            )  # fmt: skip
            final = rows[rows["tap"] == "-1"]
            axis.plot(
                [depth.max() if len(depth) else 0] * len(final), final[regime], "D",
                color=colour, ms=4, mfc="none",
            )  # fmt: skip
        axis.set(xlabel="block (0: embedding)", title=regime)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("mean MCC over tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def throughput(scores: pd.DataFrame, seconds: Mapping[str, float]) -> Figure | None:
    """Draws the wall time of embedding and of probing by model."""
    models = [name for name in dict.fromkeys(scores["model"]) if f"probe {name}" in seconds]
    if not models:
        return None
    figure, axis = _lined(0.9, 0.2, len(models))
    start = np.zeros(len(models))
    for stage, colour in zip(("embed", "probe"), _COLOURS, strict=False):
        spent = np.array([seconds.get(f"{stage} {name}", 0.0) for name in models])
        axis.barh(models, spent, left=start, color=colour, label=stage)
        start += spent
    axis.invert_yaxis()
    axis.set_xlabel("wall time (s)")
    axis.legend()
    return figure


def _lined(margins: float, line: float, lines: int) -> tuple[Figure, Axes]:
    """An axis as wide as a page with a line a model or task; heights in inches."""
    return plt.subplots(figsize=(WIDTH, _height(margins, line, lines)), layout="constrained")


def _height(margins: float, line: float, lines: int) -> float:
    """A few lines still leave room for the margins."""
    return max(margins + line * lines, 2.6)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


class PaperFigure(NamedTuple):
    """A figure of results.

    Attributes:
        draw: Draws it of a results table and the models' labels.
        caption: What the report says of it.
        regimes: Regimes that it needs.
    """

    draw: Draw
    caption: str
    regimes: tuple[str, ...] = ("full",)


class RunFigure(NamedTuple):
    """A figure of a run's probes.

    Attributes:
        draw: Draws it of a scores table and the run's wall time by stage, or returns None.
        caption: What the report says of it.
    """

    draw: DrawRun
    caption: str


# Both in the order in which the report shows them.
FIGURES: Mapping[str, PaperFigure] = {
    "pareto": PaperFigure(pareto, "Size and macro MCC; the line is the Pareto frontier"),
    "category_heatmap": PaperFigure(category_heatmap, "Mean MCC by model and category, full"),
    "radar": PaperFigure(
        radar, "Category profiles of five models each, in the order of their macro MCC"
    ),
    "few_shot": PaperFigure(
        few_shot, "Macro MCC in the three regimes, and the relative drop to 10-shot", GENEB.regimes
    ),
    "few_shot_by_category": PaperFigure(
        few_shot_by_category, "Mean MCC over models by category and regime", GENEB.regimes
    ),
    "high_variance": PaperFigure(high_variance, "Tasks on which models differ most (SD > 0.12)"),
    "rank_distribution": PaperFigure(rank_distribution, "Ranks over tasks"),
    "wins": PaperFigure(wins, "Tasks won"),
    "macro_minus_micro": PaperFigure(macro_minus_micro, "Macro minus micro MCC"),
    "top_by_category": PaperFigure(top_by_category, "The ten best models of each category"),
    "pareto_by_category": PaperFigure(
        pareto_by_category, "Size and MCC by category, with the Pareto frontiers"
    ),
    "specialisation": PaperFigure(
        specialisation, "Specialisation: mean rank outside a category minus that inside"
    ),
}
RUN_FIGURES: Mapping[str, RunFigure] = {
    "strength_sensitivity": RunFigure(
        strength_sensitivity, "MCC against the regularisation strength"
    ),
    "linear_against_mlp": RunFigure(linear_against_mlp, "Linear against MLP probe"),
    "solvers": RunFigure(solvers, "The harness's early stop against the optimum"),
    "layers": RunFigure(
        layers, "MCC by hidden state; diamonds: the final one, after the last norm"
    ),
    "throughput": RunFigure(throughput, "Wall time by model and stage"),
}
# The tasks of each category; they lie in figures/ only: the report's page shows the same itself.
TASK_FIGURES: Mapping[str, Draw] = {
    category: task_heatmap(category) for category in GENEB.categories
}
CAPTIONS = {name: figure.caption for name, figure in (*FIGURES.items(), *RUN_FIGURES.items())}

TITLES = {name: name.replace("_", " ") for name in CAPTIONS}


def save_figures(
    results: pd.DataFrame,
    labels: pd.DataFrame,
    folder: Path,
    scores: pd.DataFrame | None = None,
    seconds: Mapping[str, float] | None = None,
) -> list[str]:
    """Draws every figure that the scores allow into `folder` as .svg and .png.

    Args:
        results: Results table.
        labels: Labels of the models; those without are left out where size is shown.
        folder: Made where it is missing.
        scores: The run's scores table, for the figures of its probes; None: they are left out.
        seconds: The run's wall time by stage.

    Returns:
        The names of the figures drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    regimes = set(results["regime"])
    draws: dict[str, Callable[[], Figure | None]] = {
        name: functools.partial(figure.draw, results, labels)
        for name, figure in FIGURES.items()
        if regimes.issuperset(figure.regimes)
    }
    if "full" in regimes:
        present = set(results["category"])
        draws |= {
            f"tasks_{_slug(category)}": functools.partial(draw, results, labels)
            for category, draw in TASK_FIGURES.items()
            if category in present
        }
    if scores is not None:
        draws |= {
            name: functools.partial(figure.draw, scores, seconds or {})
            for name, figure in RUN_FIGURES.items()
        }
    drawn = []
    with plt.rc_context(_STYLE):
        for name, draw in draws.items():
            figure = draw()
            if figure is None:
                continue
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            figure.savefig(folder / f"{name}.png", dpi=200)
            plt.close(figure)
            drawn.append(name)
    return drawn


def _heatmap(
    axis: Axes,
    table: pd.DataFrame,
    low: float,
    high: float,
    colours: str = "viridis",
    form: str = "{:.2f}",
) -> AxesImage:
    """Colours a table; `form` writes each value into its cell, '' writes none."""
    values = table.to_numpy(float)
    image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(table.columns)), list(table.columns), rotation=35, ha="right")
    axis.set_yticks(range(len(table)), list(table.index))
    for i, j in np.argwhere(np.isfinite(values)) if form else ():
        share = (values[i, j] - low) / (high - low)
        dark = share < 0.6 if colours == "viridis" else abs(share - 0.5) > 0.35
        text = form.format(values[i, j])
        colour = "white" if dark else "black"
        axis.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
    return image
