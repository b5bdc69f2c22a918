"""The heat map of a run: models by categories."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.figure_files import save_figure
from geneb_jax.presentation.summary import data_note, headline
from geneb_jax.scoring.scores import category_means


def save_heatmap(scores: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws the mean MCC of each model and category, a panel a regime.

    Returns:
        The paths of `scores.svg` and `.png`.

    Raises:
        WriteError: A file cannot be written.
    """
    # A $ in a name is a $, and the same figure gives the same file.
    with plt.rc_context({"text.parse_math": False, "svg.hashsalt": "geneb"}):
        return save_figure(_draw(scores), folder / "scores", dpi=150)


def _draw(scores: pd.DataFrame) -> Figure:
    means = category_means(headline(scores))
    regimes = list(dict.fromkeys(means.index.get_level_values("regime")))
    models = list(dict.fromkeys(means.index.get_level_values("model")))
    columns = [category for category in (*GENEB.categories, CUSTOM) if category in means]
    longest = max(map(len, models))
    height = 1.9 + 0.3 * len(models)
    figure, axes = plt.subplots(
        len(regimes),
        1,
        figsize=(1.8 + 0.07 * longest + 0.62 * len(columns), height * len(regimes)),
        squeeze=False,
        layout="constrained",
    )
    image = None
    for axis, regime in zip(axes[:, 0], regimes, strict=True):
        panel = means.xs(regime, level="regime").reindex(models)[columns].to_numpy(float)
        image = axis.imshow(panel, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        axis.set_title(regime, loc="left", fontsize=10)
        axis.set_yticks(range(len(models)), models, fontsize=8)
        axis.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
        for i, j in np.argwhere(np.isfinite(panel)):
            value = panel[i, j]
            colour = "black" if value > 0.6 else "white"
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    if note := data_note(scores).lstrip("; "):
        figure.suptitle(note, fontsize=9)
    if image is not None:
        figure.colorbar(image, ax=axes, label="MCC", shrink=0.6)
    return figure
