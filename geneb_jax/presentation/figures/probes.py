"""Figures of a run's probes: strengths, kinds of probes, solvers, hidden states, time."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import analysis
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.numbers import regime_name
from geneb_jax.scoring.scores import preset_rows

Taken = Mapping[str, Mapping[str, float]]  # seconds by model and stage; see `RunProgress.taken`

_LINES = [(line, colour) for line in ("-", "--", ":") for colour in theme.COLOURS]


def _ordered(regimes: Iterable[str]) -> list[str]:
    """Regimes each once, those of the benchmark first: their colours are those of all figures."""
    known = [regime for regime in GENEB.regimes if regime in set(regimes)]
    return [*known, *sorted(set(regimes) - set(known))]


def _by_regime(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, table[table["regime"] == name]) for name in _ordered(table["regime"])]


def strengths(scores: pd.DataFrame, taken: Taken) -> Figure | None:
    """Draws the mean MCC of each model against C, a panel a regime; None of a single C."""
    table = analysis.strength_scores(scores)
    if table.shape[1] < 2 or table.empty:
        return None
    found = table.index.get_level_values("regime")
    regimes = _ordered(found)
    figure, axes = plt.subplots(
        1, len(regimes), figsize=(theme.PAGE, 2.6), squeeze=False, layout="constrained"
    )
    names = theme.short_names(table.index.get_level_values("model").unique())
    for axis, regime in zip(axes[0], regimes, strict=True):
        for i, (model, row) in enumerate(table.xs(regime, level="regime").iterrows()):
            line, colour = _LINES[i % len(_LINES)]
            name = names[str(model)]
            axis.plot(row.index, row, line, color=colour, marker="o", ms=2, lw=0.8, label=name)
        theme.plain_log_axis(axis)
        axis.set(xlabel="C", title=regime_name(str(regime)))
    axes[0, 0].set_ylabel("mean MCC over tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def linear_against_mlp(scores: pd.DataFrame, taken: Taken) -> Figure | None:
    """Draws the linear probe's MCC against the MLP's, one point a model, regime and task.

    Returns:
        The figure; None where no cell has both.
    """
    cells = analysis.linear_against_mlp(scores)
    if cells.empty:
        return None
    figure, axis = plt.subplots(figsize=(theme.COLUMN, theme.COLUMN), layout="constrained")
    for i, (regime, group) in enumerate(_by_regime(cells)):
        name = regime_name(regime)
        axis.scatter(group["linear"], group["mlp"], s=7, label=name, linewidths=0, **theme.style(i))
    axis.axline((0, 0), slope=1, color="0.7", lw=0.6, zorder=0)
    axis.set(xlabel="MCC, linear probe", ylabel="MCC, MLP probe")
    axis.legend()
    return figure


def solvers(scores: pd.DataFrame, taken: Taken) -> Figure | None:
    """Draws MCC and iterations at the harness's early stop and at the optimum.

    Returns:
        The figure; None where no head was fitted by both solvers.
    """
    keys = ["model", "task", "regime", "C", "seed"]
    heads = preset_rows(scores)
    heads = heads[heads["probe"] == "logistic"]
    heads = heads.drop_duplicates([*keys, "solver"]).pivot(
        index=keys, columns="solver", values=["MCC", "iterations"]
    )
    if not {("MCC", "geneb"), ("MCC", "converged")} <= set(heads.columns):
        return None
    heads = heads.dropna()
    figure, axes = plt.subplots(1, 2, figsize=(theme.PAGE, theme.PAGE / 2), layout="constrained")
    for axis, what in zip(axes, ("MCC", "iterations"), strict=True):
        for i, (regime, group) in enumerate(_by_regime(heads.reset_index())):
            pair = group[what, "geneb"], group[what, "converged"]
            name = regime_name(regime)
            axis.scatter(*pair, s=7, label=name, linewidths=0, **theme.style(i))
        axis.set(xlabel=f"{what}, solver geneb", ylabel=f"{what}, solver converged")
    axes[0].axline((0, 0), slope=1, color="0.7", lw=0.6, zorder=0)
    axes[1].set(xscale="symlog", yscale="symlog")
    for ticks in (axes[1].xaxis, axes[1].yaxis):
        ticks.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=[1, 2, 5]))
        ticks.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0].legend()
    return figure


def layers(scores: pd.DataFrame, taken: Taken) -> Figure | None:
    """Draws mean MCC by depth of the hidden state, a line a model and pooling, a panel a regime.

    Returns:
        The figure; None where no model was probed at two hidden states.
    """
    table = analysis.layer_scores(scores)
    if table["tap"].nunique() < 2:
        return None
    regimes = [column for column in table if column not in ("model", "pooling", "tap", "tasks")]
    figure, axes = plt.subplots(
        1, len(regimes), figsize=(theme.PAGE, 3), squeeze=False, sharey=True, layout="constrained"
    )
    names = theme.short_names(table["model"].unique())
    for axis, regime in zip(axes[0], regimes, strict=True):
        groups: Any = table.groupby(["model", "pooling"])
        for i, ((model, pooling), rows) in enumerate(groups):
            line, colour = _LINES[i % len(_LINES)]
            inner = rows[rows["tap"].str.isdigit()]  # those with a name are of no depth
            depth = inner["tap"].astype(int)
            axis.plot(
                depth, inner[regime], line, color=colour, marker="o", ms=2, lw=0.8,
                label=f"{names[model]}, {pooling}",
            )  # fmt: skip
            final = rows[rows["tap"] == "-1"]
            axis.plot(
                [depth.max() if len(depth) else 0] * len(final), final[regime], "D",
                color=colour, ms=4, mfc="none",
            )  # fmt: skip
        axis.set(xlabel="block (0: embedding)", title=regime_name(str(regime)))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("mean MCC over tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def throughput(scores: pd.DataFrame, taken: Taken) -> Figure | None:
    """Draws the wall time of embedding and of probing by model; None where it is not known."""
    models = [name for name in dict.fromkeys(scores["model"]) if "probe" in taken.get(name, {})]
    if not models:
        return None
    names = list(theme.short_names(models).values())
    figure, axis = theme.lines(theme.COLUMN, 0.7, 0.16, len(models))
    start = np.zeros(len(models))
    for stage, colour in zip(("embed", "probe"), theme.COLOURS, strict=False):
        spent = np.array([taken[name].get(stage, 0.0) for name in models])
        axis.barh(names, spent, left=start, color=colour, label=stage)
        start += spent
    axis.invert_yaxis()
    axis.set_xlabel("wall time (s)")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
