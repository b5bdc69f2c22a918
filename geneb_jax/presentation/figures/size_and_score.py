"""Parameters against score, with the Pareto frontier: macro, and by category."""

import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.presentation import analysis
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.figures.point_names import name_points
from geneb_jax.presentation.published import model_labels

_FEWEST = 2  # models of known size; one says nothing of size
_NOT_STATED = "not stated"  # an architecture that a run does not say


def overall(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws parameters against macro MCC, coloured by architecture; the frontier as a line.

    Named are the models of the frontier and, where there is room, those that the paper lacks.

    Returns:
        The figure; None where fewer than two models have a known size.
    """
    macro = analysis.category_matrix(results).mean(axis=1)
    models = macro.index.intersection(labels.index)
    if len(models) < _FEWEST:
        return None
    known = labels.loc[models].fillna({"architecture": _NOT_STATED}).assign(macro=macro)
    figure, axis = theme.lines(theme.PAGE, 3.6, 0, 0)
    # Numbered over all of the paper's models: a group looks the same whichever models there are.
    everything = model_labels()["architecture"].value_counts().index
    groups = [*everything, *sorted(set(known["architecture"]) - set(everything))]
    for i, architecture in enumerate(groups):
        chosen = known[known["architecture"] == architecture]
        if chosen.empty:
            continue
        axis.scatter(
            chosen["params"], chosen["macro"], s=16, label=architecture, linewidths=0,
            **theme.style(i),
        )  # fmt: skip
    frontier = analysis.pareto_frontier(results, labels)
    axis.plot(frontier["params"], frontier["macro"], color="0.45", linewidth=0.7, zorder=0)
    theme.size_axis(axis)
    axis.set(xlabel="parameters", ylabel="macro MCC, full")
    axis.margins(x=0.06, y=0.08)
    figure.legend(loc="outside right upper")
    names = theme.short_names(known.index)
    best = frontier.index[::-1]  # the best model's name first
    own = known.index.difference(model_labels().index).difference(best)
    named = known.loc[[*best, *own]]
    points = list(zip(named["params"], named["macro"], strict=True))
    name_points(axis, [names[str(model)] for model in named.index], points)
    return figure


def by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure | None:
    """Draws parameters against MCC in each category, with its frontier.

    Returns:
        The figure; None where fewer than two models have a known size.
    """
    by = analysis.category_matrix(results)
    known = by.loc[by.index.intersection(labels.index)]
    if len(known) < _FEWEST:
        return None
    figure, axes = theme.panels(by.shape[1], 4, 1.25)
    for axis, category in zip(axes, by, strict=True):
        axis.scatter(
            labels.loc[known.index, "params"], known[category], s=5, color=theme.FIELD, linewidths=0
        )
        frontier = analysis.pareto_frontier(results, labels, str(category))
        axis.plot(
            frontier["params"], frontier[category], color=theme.COLOURS[0], marker="o", ms=2, lw=0.8
        )
        theme.size_axis(axis)
        axis.set_title(str(category))
    figure.supxlabel("parameters", fontsize=7)
    figure.supylabel("MCC, full", fontsize=7)
    return figure
