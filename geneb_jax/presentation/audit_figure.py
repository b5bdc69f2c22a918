"""The figure of an audit: what answers each task without a model, beside published models."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geneb_jax.benchmark import GENEB

# By verdict; of Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = {"leaky": "#D55E00", "caution": "#E69F00", "clean": "#0072B2"}


def save_audit_figure(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws the MCC of each task's chosen rule beside the median of the published models.

    Args:
        table: See `auditing.audit_table`; at least one row.
        folder: Takes the files.

    Returns:
        The paths of `audit.png` and `.svg`.
    """
    # A $ in a name is a $, and the same figure gives the same file.
    with plt.rc_context({"text.parse_math": False, "svg.hashsalt": "geneb", "font.size": 8}):
        figure = _draw(table)
        folder.mkdir(parents=True, exist_ok=True)
        png, svg = (folder / f"audit.{kind}" for kind in ("png", "svg"))
        figure.savefig(png, dpi=150)
        figure.savefig(svg, metadata={"Date": None})
        plt.close(figure)
    return [png, svg]


def _draw(table: pd.DataFrame) -> Figure:
    labels = {task.id: task.label for task in GENEB.tasks}
    excess = table["best_rule_MCC"] - table["published_median"].fillna(0)
    rows = table.iloc[np.argsort(excess.to_numpy(), kind="stable")]
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(8.6, 1.1 + 0.17 * len(rows)),
        width_ratios=(3, 1),
        sharey=True,
        layout="constrained",
    )
    height = np.arange(len(rows))
    colours = rows["verdict"].map(_COLOURS).tolist()
    medians, reached = rows["published_median"].to_numpy(), rows["best_rule_MCC"].to_numpy()
    left.hlines(height, medians, reached, color="0.8", linewidth=0.8, zorder=0)
    left.scatter(medians, height, marker="|", s=50, color="black")
    left.scatter(reached, height, s=20, color=colours)
    for y, x, median, name in zip(height, reached, medians, rows["best_rule"], strict=True):
        # On the side that the median is not on.
        offset, side = ((-4, 0), "right") if x < median else ((4, 0), "left")
        text = {"textcoords": "offset points", "va": "center", "ha": side, "fontsize": 6}
        left.annotate(name, (x, y), offset, **text)
    names = [labels.get(task, task) for task in rows["task"]]
    left.set_yticks(height, names, fontsize=7)
    left.set(xlabel="MCC on the test records", ylim=(-0.8, len(rows) - 0.2))
    left.margins(x=0.15)
    marks = [Line2D([], [], color="black", marker="|", linestyle="")]
    marks += [Line2D([], [], color=c, marker="o", linestyle="") for c in _COLOURS.values()]
    words = ["median of the paper's models", *(f"chosen rule, {word}" for word in _COLOURS)]
    figure.legend(marks, words, fontsize=7, loc="outside upper left", frameon=False, ncols=4)
    start = np.zeros(len(rows))
    for column, colour in (("copies", "#D55E00"), ("near", "#E69F00"), ("twins", "#CC79A7")):
        share = rows[column].to_numpy() / rows["n_test"].to_numpy()
        right.barh(height, share, left=start, color=colour, label=column)
        start += share
    right.set(xlabel="share of test records", xlim=(0, 1))
    figure.legend(
        *right.get_legend_handles_labels(),
        **{"fontsize": 7, "loc": "outside lower right", "frameon": False, "ncols": 3},
    )
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure
