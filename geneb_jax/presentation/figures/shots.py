"""What fewer train rows cost: by model, and by category."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import analysis
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.numbers import regime_name


def by_model(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the macro MCC of each model in the three regimes, with the relative drop to 10-shot."""
    drops = analysis.few_shot_drops(results).iloc[::-1]
    drops = drops.rename(index=theme.short_names(drops.index))
    height = max(0.9 + 0.135 * len(drops), 1.8)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(theme.PAGE, height), width_ratios=(2, 1), sharey=True, layout="constrained"
    )
    for i, regime in enumerate(GENEB.regimes):
        name = regime_name(regime)
        left.scatter(drops[regime], drops.index, s=12, label=name, linewidths=0, **theme.style(i))
    scores = drops[list(GENEB.regimes)]
    ends = scores.min(axis=1), scores.max(axis=1)
    left.hlines(drops.index, *ends, color="0.85", linewidth=1, zorder=0)
    left.set_xlabel("macro MCC")
    figure.legend(loc="outside upper center", ncols=3)
    right.barh(drops.index, 100 * drops["relative drop to 10shot"], color=theme.COLOURS[0])
    right.set_xlabel("relative drop, full to 10-shot (%)")
    left.margins(y=0.02)
    return figure


def by_category(results: pd.DataFrame, labels: pd.DataFrame) -> Figure:
    """Draws the mean MCC over models by category in the three regimes."""
    means = analysis.few_shot_by_category(results).iloc[::-1]
    figure, axis = theme.lines(theme.COLUMN, 0.8, 0.16, len(means))
    scores = means[list(GENEB.regimes)]
    ends = scores.min(axis=1), scores.max(axis=1)
    axis.hlines(means.index, *ends, color="0.85", linewidth=1, zorder=0)
    for i, regime in enumerate(GENEB.regimes):
        name = regime_name(regime)
        axis.scatter(means[regime], means.index, s=14, label=name, linewidths=0, **theme.style(i))
    axis.set_xlabel("mean MCC over models")
    figure.legend(loc="outside upper center", ncols=3)
    return figure
