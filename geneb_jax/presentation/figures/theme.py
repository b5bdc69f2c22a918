"""What all figures have in common: widths, colours, type, how numbers and names are written.

A figure is drawn in the size in which it is printed, with type of 6 to 8 points.
"""

from collections.abc import Iterable
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import rcsetup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from geneb_jax.presentation.numbers import size_text
from geneb_jax.presentation.published import paper_names

COLUMN, PAGE = 3.4, 7.0  # inches: one column of a journal's page, and two
# Okabe and Ito's colours, told apart by colour-blind readers too; a brown instead of their yellow,
# which is too pale for thin lines.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#000000")
MARKERS = ("o", "s", "D", "^", "v")
FIELD = "0.72"  # the grey of models that are no subject
STYLE: dict[Any, Any] = {
    # Matplotlib brings this font along: a figure looks the same on every machine, and its letters
    # are outlines, which every printer has.
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    "font.size": 7,
    "axes.prop_cycle": rcsetup.cycler(color=COLOURS),
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "legend.handletextpad": 0.3,
    "legend.columnspacing": 1.0,
    "svg.hashsalt": "geneb",  # the same figure gives the same file
    "text.parse_math": False,  # a $ in a name is a $
}
_LONGEST = 34  # letters of a name


def style(number: int) -> dict[str, Any]:
    """Returns colour and marker of the group of a number, different for the first 40.

    Groups next to each other differ in both.
    """
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def number(value: float, decimals: int = 2) -> str:
    """Returns a number as text, with a minus sign instead of a hyphen and none before a zero."""
    return f"{value:z.{decimals}f}".replace("-", "−")


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Returns what figures call models, by their names in the results.

    A model that is named by the catalog's id, such as an untrained one, is called by its name in
    the paper, and a name that is too long loses its middle where it stays the only one of its kind.
    """
    catalog = paper_names()
    names = {}
    for model in models:
        start, colon, rest = model.partition(":")
        name = f"{catalog.get(start, start)}{colon}{rest}"
        half = (_LONGEST - 1) // 2
        names[model] = name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"
    counts = pd.Series(names).value_counts()
    return {model: model if counts[name] > 1 else name for model, name in names.items()}


def lines(width: float, margins: float, line: float, count: int) -> tuple[Figure, Axes]:
    """Makes a figure with a line a model or task.

    Args:
        width: Inches.
        margins: Height above and below the lines, in inches.
        line: Height of a line, in inches.
        count: How many lines; a few still leave room for the margins.
    """
    return plt.subplots(figsize=(width, max(margins + line * count, 1.3)), layout="constrained")


def panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Makes a figure as wide as a page of panels in rows.

    Args:
        count: How many panels.
        columns: How many stand in a row.
        height: Of a row, in inches.
    """
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PAGE, height * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.ravel()[count:]:
        axis.remove()
    return figure, list(axes.ravel()[:count])


def field_ticks(axis: Axes, values: pd.Series, line: float, colour: str = FIELD) -> None:
    """Draws a short upright tick for each value on a line, as one path: files stay small.

    Args:
        axis: Takes them.
        values: Missing ones are left out.
        line: The height in data coordinates.
        colour: Of the ticks.
    """
    known = values.dropna().to_numpy(float)
    x = np.stack([known, known, np.full_like(known, np.nan)], 1).ravel()
    y = np.tile([line - 0.28, line + 0.28, np.nan], len(known))
    axis.plot(x, y, color=colour, linewidth=0.5, zorder=0.5)


def size_axis(axis: Axes) -> None:
    """Makes x a logarithmic axis of parameters: 1M, 10M, 100M, ..."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(numticks=12))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_text(value)))
    axis.xaxis.set_minor_locator(LogLocator(subs=np.arange(2, 10).tolist(), numticks=12))
    axis.xaxis.set_minor_formatter(NullFormatter())


def plain_log_axis(axis: Axes) -> None:
    """Makes x a logarithmic axis of plain numbers: 0.01, 0.1, 1, 10."""
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def heat_map(
    axis: Axes,
    table: pd.DataFrame,
    low: float,
    high: float,
    colours: str = "viridis",
    decimals: int | None = 2,
) -> AxesImage:
    """Colours a table and writes its numbers into the cells.

    Args:
        axis: Takes it.
        table: Rows by name, columns by name; missing values stay white.
        low: Value of the first colour.
        high: Value of the last colour.
        colours: 'viridis', or 'RdBu' for values on both sides of zero.
        decimals: Of the numbers; None: the cells are too narrow for numbers.
    """
    values = table.to_numpy(float)
    image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(table.columns)), list(table.columns), rotation=40, ha="right")
    axis.tick_params(axis="x", rotation=40)
    for label in axis.get_xticklabels():
        label.set_rotation_mode("anchor")
    axis.set_yticks(range(len(table)), list(table.index))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if decimals is None:
        return image
    for i, j in np.argwhere(np.isfinite(values)).tolist():
        value = float(values[i, j])
        share = (value - low) / (high - low)
        dark = share < 0.6 if colours == "viridis" else abs(share - 0.5) > 0.35
        words = number(value, decimals)
        colour = "white" if dark else "black"
        cell = axis.text(j, i, words, ha="center", va="center", fontsize=5.5, color=colour)
        cell.set_in_layout(False)  # it is within the axis: the layout need not measure it
    return image
