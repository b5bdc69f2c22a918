"""How models rank over tasks, and how far the choice of the average moves them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geneb_jax.presentation import analysis
from geneb_jax.presentation.figures import theme

_MEDIAN = {"color": theme.COLOURS[5], "linewidth": 1.2}
_THIN = {"linewidth": 0.6}
_MOST_TASKS = 10  # where no task has a high variance


def distribution(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws the ranks of each model over the tasks; None of a single model."""
    ranks = analysis.task_ranks(results)
    if len(ranks) < 2:
        return None
    order = ranks.mean(axis=1).sort_values(ascending=False).index
    names = theme.short_names(order)
    figure, axis = theme.lines(theme.COLUMN, 0.6, 0.14, len(order))
    axis.boxplot(
        [ranks.loc[model].dropna().to_numpy() for model in order],
        orientation="horizontal", showfliers=False, widths=0.6, medianprops=_MEDIAN,
        boxprops=_THIN, whiskerprops=_THIN, capprops=_THIN,
    )  # fmt: skip
    axis.set_yticks(range(1, len(order) + 1), [names[str(model)] for model in order])
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlim(left=0.5)
    axis.set_xlabel("rank on a task (1 is best)")
    return figure


def wins(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws how many tasks each model wins; None of a single model."""
    counts = analysis.rank_summary(results)["wins"]
    if len(counts) < 2:
        return None
    counts = counts[counts > 0].sort_values()
    counts = counts.rename(index=theme.short_names(counts.index))
    figure, axis = theme.lines(theme.COLUMN, 0.6, 0.15, len(counts))
    axis.bar_label(axis.barh(counts.index, counts, color=theme.COLOURS[0]), padding=2, fontsize=6.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axis.set_xlabel("tasks won, full")
    return figure


def macro_minus_micro(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws how the two averages differ by model; None where they are the same."""
    shift = analysis.macro_micro_agreement(results)["macro - micro"].sort_values()
    if np.allclose(shift, 0):
        return None
    shift = shift.rename(index=theme.short_names(shift.index))
    figure, axis = theme.lines(theme.COLUMN, 0.6, 0.135, len(shift))
    colours = np.where(shift < 0, theme.COLOURS[5], theme.COLOURS[0]).tolist()
    axis.barh(shift.index, shift, color=colours)
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set_xlabel("macro minus micro MCC, full")
    axis.margins(y=0.01)
    return figure


def high_variance(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws the scores of all models on the tasks where they differ most; None of one model."""
    matrix = analysis.score_matrix(results)
    if len(matrix) < 2:
        return None
    tasks = analysis.task_difficulty(results).sort_values("SD", ascending=False)
    chosen = tasks[tasks["high variance"]] if tasks["high variance"].any() else tasks[:_MOST_TASKS]
    figure, axis = theme.lines(theme.PAGE, 0.6, 0.2, len(chosen))
    for line, task in enumerate(chosen.index[::-1], 1):
        axis.boxplot(
            matrix[task].dropna().to_numpy(), positions=[line], orientation="horizontal",
            showfliers=False, widths=0.6, medianprops=_MEDIAN, boxprops=_THIN, whiskerprops=_THIN,
            capprops=_THIN,
        )  # fmt: skip
        theme.field_ticks(axis, matrix[task], line, theme.COLOURS[0])
    names = [f"{row['label']} (SD {row['SD']:.2f})" for _, row in chosen[::-1].iterrows()]
    axis.set_yticks(range(1, len(chosen) + 1), names)
    axis.set_xlabel("MCC over models, full")
    return figure
