"""The figure of an audit: what answers each task without a model, beside published models."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.figures.files import save_figure

_BLUE, _AMBER, _PINK, _RED = (theme.COLOURS[i] for i in (0, 1, 3, 5))
# By verdict, its colour and marker: told apart in grey, too.
_VERDICTS = {"leaky": (_RED, "D"), "caution": (_AMBER, "s"), "passed": (_BLUE, "o")}
# Shares of the test records, by what the figure calls them.
_SHARES = {"copies": ("copies", _RED), "near": ("near copies", _AMBER), "twins": ("twins", _PINK)}


def save_audit_figure(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Writes the figure of an audit without scores.

    Args:
        table: See `auditing.audit_table`; at least one row.
        folder: Made where it is missing.

    Returns:
        The paths of `audit.svg` and `.png`.

    Raises:
        WriteError: A file cannot be written.
    """
    with plt.rc_context(theme.STYLE):
        return save_figure(draw(table), folder / "audit", dpi=300)


def rules(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Draws the table `audit` of a run's tables (see `draw`); None where there is none."""
    return draw(tables["audit"]) if "audit" in tables else None


def draw(table: pd.DataFrame) -> Figure:
    """Draws the MCC of each task's chosen rule beside the median of the published models.

    Args:
        table: See `auditing.audit_table`; at least one row.
    """
    labels = {task.id: task.label for task in GENEB.tasks}
    excess = table["best_rule_MCC"] - table["published_median"].fillna(0)
    rows = table.iloc[np.argsort(excess.to_numpy(), kind="stable")]
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(theme.PAGE, 0.9 + 0.15 * len(rows)),
        width_ratios=(3, 1),
        sharey=True,
        layout="constrained",
    )
    height = np.arange(len(rows))
    medians, reached = rows["published_median"].to_numpy(), rows["best_rule_MCC"].to_numpy()
    left.hlines(height, medians, reached, color="0.8", linewidth=0.8, zorder=0)
    left.scatter(medians, height, marker="|", s=40, color="black")
    for verdict, (colour, marker) in _VERDICTS.items():
        of_verdict = (rows["verdict"] == verdict).to_numpy()
        left.scatter(
            reached[of_verdict], height[of_verdict], s=16, color=colour, marker=marker, linewidths=0
        )
    for y, x, median, name in zip(height, reached, medians, rows["best_rule"], strict=True):
        # On the side that the median is not on.
        offset, side = ((-4, 0), "right") if x < median else ((4, 0), "left")
        text = {"textcoords": "offset points", "va": "center", "ha": side, "fontsize": 6}
        left.annotate(name.replace("_", " "), (x, y), offset, **text)
    left.set_yticks(height, [labels.get(task, task) for task in rows["task"]])
    left.set(xlabel="MCC on the test records", ylim=(-0.8, len(rows) - 0.2))
    left.margins(x=0.22)  # names stand beside the outermost marks
    marks = [Line2D([], [], color="black", marker="|", linestyle="")]
    marks += [
        Line2D([], [], color=colour, marker=marker, markersize=4, linestyle="")
        for colour, marker in _VERDICTS.values()
    ]
    words = ["median of the paper's models", *(f"chosen rule, {word}" for word in _VERDICTS)]
    figure.legend(marks, words, loc="outside upper left", ncols=4)
    start = np.zeros(len(rows))
    for column, (name, colour) in _SHARES.items():
        share = rows[column].to_numpy() / rows["n_test"].to_numpy()
        right.barh(height, share, left=start, color=colour, label=name)
        start += share
    right.set(xlabel="share of test records", xlim=(0, 1))
    right.tick_params(axis="y", length=0)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure
