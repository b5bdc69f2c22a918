"""The heat map of a run: models by categories and custom tasks, a panel a regime."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.benchmark import CUSTOM
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.figures.files import save_figure
from geneb_jax.presentation.numbers import regime_name
from geneb_jax.presentation.summary import data_note, headline
from geneb_jax.scoring.scores import category_means, task_means

_MOST_NUMBERED = 16  # columns whose cells are wide enough for numbers


def save_heatmap(scores: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws the mean MCC of each model and category, and its MCC on each custom task.

    Args:
        scores: A run's scores table.
        folder: Made where it is missing.

    Returns:
        The paths of `scores.svg` and `.png`.

    Raises:
        WriteError: A file cannot be written.
    """
    with plt.rc_context(theme.STYLE):
        return save_figure(_draw(scores), folder / "scores", dpi=300)


def _columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns MCC by model and regime (rows), of each category, then of each custom task."""
    means = category_means(rows)
    custom = task_means(rows[rows["category"] == CUSTOM])
    of_tasks = custom.pivot(index=["model", "regime"], columns="task", values="MCC")
    return pd.concat([means, of_tasks.reindex(means.index)], axis=1)


def _draw(scores: pd.DataFrame) -> Figure:
    means = _columns(headline(scores))
    regimes = list(dict.fromkeys(means.index.get_level_values("regime")))
    models = list(dict.fromkeys(means.index.get_level_values("model")))
    height = 0.45 + 0.19 * len(models)
    figure, axes = plt.subplots(
        len(regimes),
        1,
        figsize=(theme.PAGE, height * len(regimes) + 0.7),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    image = None
    for axis, regime in zip(axes[:, 0], regimes, strict=True):
        panel = pd.DataFrame(means.xs(regime, level="regime")).reindex(models)
        panel = panel.rename(index=theme.short_names(models))
        decimals = 2 if len(panel.columns) <= _MOST_NUMBERED else None
        image = theme.heat_map(axis, panel, 0, 1, decimals=decimals)
        axis.set_title(regime_name(str(regime)), loc="left")
    if note := data_note(scores).lstrip("; "):
        figure.suptitle(note, fontsize=7)
    if image is not None:
        figure.colorbar(image, ax=axes, label="MCC", shrink=0.6)
    return figure
