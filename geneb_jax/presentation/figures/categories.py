"""Scores by category: heat maps, profiles of models, and the best models of each category."""

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import analysis
from geneb_jax.presentation.figures import theme

_NARROW = 3  # tasks of a heat map of one column's width
_MOST_NUMBERED = 12  # columns of a heat map whose cells are wide enough for numbers
_BELOW = 14  # points from an axis to a legend below it
_PROFILES = 5  # models in a panel
_BEST = 10  # models of a category


def _from_the_best(table: pd.DataFrame) -> pd.DataFrame:
    """The models in the order of their mean, under their names in figures."""
    ordered = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
    return ordered.rename(index=theme.short_names(ordered.index))


def heat_map(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the mean MCC by model and category, the best model on top."""
    by = _from_the_best(analysis.category_matrix(results))
    figure, axis = theme.lines(theme.PAGE, 0.9, 0.14, len(by))
    theme.heat_map(axis, by, 0, 1)
    return figure


def tasks_of(category: str) -> Callable[[pd.DataFrame, pd.DataFrame], Figure]:
    """Returns what draws the MCC of every model on each task of a category, best model on top."""
    names = {task.id: task.label for task in GENEB.tasks}

    def draw(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
        matrix = analysis.score_matrix(results[results["category"] == category])
        matrix = _from_the_best(matrix.rename(columns=names))
        width = theme.COLUMN if len(matrix.columns) <= _NARROW else theme.PAGE
        figure, axis = theme.lines(width, 1.5, 0.14, len(matrix))
        few = len(matrix.columns) <= _MOST_NUMBERED
        image = theme.heat_map(axis, matrix, 0, 1, decimals=2 if few else None)
        if not few:
            figure.colorbar(image, ax=axis, label="MCC, full", shrink=0.5)
        axis.set_title(category)
        return figure

    return draw


def profiles(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the category means of five models a panel, in the order of their macro MCC.

    Grey ticks are all models.
    """
    by = _from_the_best(analysis.category_matrix(results))
    groups = [by.iloc[start : start + _PROFILES] for start in range(0, len(by), _PROFILES)]
    columns = min(len(groups), 2)
    figure, axes = theme.panels(len(groups), columns, max(0.85 + 0.105 * by.shape[1], 1.2))
    rows = range(by.shape[1])
    for i, (axis, group) in enumerate(zip(axes, groups, strict=True)):
        for line, category in enumerate(by):
            theme.field_ticks(axis, by[category], line)
        for j, (model, row) in enumerate(group.iterrows()):
            axis.scatter(row, rows, s=11, label=str(model), linewidths=0, **theme.style(j))
        axis.set_yticks(rows, list(by.columns))
        axis.invert_yaxis()
        axis.grid(axis="y", color="0.92", lw=0.5)
        axis.set_axisbelow(True)
        first, last = _PROFILES * i + 1, _PROFILES * i + len(group)
        axis.set_title(f"rank {first} to {last}" if last > first else f"rank {first}")
        # Below the numbers of the axis, whatever its height is.
        below = axis.transAxes + ScaledTranslation(0, -_BELOW / 72, figure.dpi_scale_trans)
        axis.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=2, borderpad=0
        )
    figure.supxlabel("MCC, full", fontsize=7)
    return figure


def best(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the ten best models of each category."""
    by = analysis.category_matrix(results)
    by = by.rename(index=theme.short_names(by.index))
    figure, axes = theme.panels(by.shape[1], 3, max(0.5 + 0.1 * min(len(by), _BEST), 1.0))
    for axis, category in zip(axes, by, strict=True):
        chosen = by[category].nlargest(_BEST)[::-1]
        axis.grid(axis="y", color="0.92", lw=0.5)
        axis.set_axisbelow(True)
        axis.scatter(chosen, chosen.index, s=9, color=theme.COLOURS[0], linewidths=0)
        axis.tick_params(axis="y", labelsize=5.5, length=0)
        axis.margins(x=0.08, y=0.08)
        axis.set_title(str(category))
    figure.supxlabel("MCC, full", fontsize=7)
    return figure


def specialisation(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws the mean rank outside a category minus that inside.

    Returns:
        The figure; None of one category, which has no outside, or one model, which has no ranks.
    """
    score = analysis.specialisation(results)
    limit = float(score.abs().max().max())
    if not limit > 0:
        return None
    score = score.loc[analysis.rank_summary(results).index]
    score = score.rename(index=theme.short_names(score.index))
    figure, axis = theme.lines(theme.PAGE, 0.9, 0.14, len(score))
    theme.heat_map(axis, score, -limit, limit, "RdBu", 0)
    return figure
