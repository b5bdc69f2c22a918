"""How sure macro scores and ranks are: the table of intervals as a figure."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geneb_jax.presentation.figures import theme

_REGIME = "full"
# Questions that full-shot scores are asked, with their colours; the widest stands below.
_COLOURS = {"records": theme.COLOURS[0], "tasks": theme.COLOURS[1]}
_APART = 0.2  # lines of one model


def macro_and_rank(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Draws the 95 % intervals of macro scores and of ranks, full shot, by question.

    Args:
        tables: Has `intervals_macro` (see `presentation.intervals.interval_tables`).

    Returns:
        None where no two models have intervals in full shot.
    """
    rows = tables.get("intervals_macro", pd.DataFrame(columns=["regime", "question", "model"]))
    rows = rows[(rows["regime"] == _REGIME) & rows["question"].isin(_COLOURS)]
    questions = [question for question in _COLOURS if (rows["question"] == question).any()]
    models = list(dict.fromkeys(rows["model"]))[::-1]
    if len(models) < 2:
        return None
    height = {model: i for i, model in enumerate(models)}
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(theme.PAGE, max(0.8 + 0.15 * len(models), 1.8)),
        sharey=True,
        layout="constrained",
    )
    for i, question in enumerate(questions):
        of_question = rows[rows["question"] == question]
        shift = _APART * ((len(questions) - 1) / 2 - i)
        y = of_question["model"].map(height).to_numpy(float) + shift
        wide = {"color": _COLOURS[question], "linewidth": 1.6}
        left.hlines(y, of_question["low"], of_question["high"], label=f"other {question}", **wide)
        left.plot(of_question["macro"], y, "|", color="black", markersize=4)
        right.hlines(y, of_question["rank low"] - 0.4, of_question["rank high"] + 0.4, **wide)
        right.plot(of_question["rank"], y, "|", color="black", markersize=4)
    names = theme.short_names(models)
    left.set_yticks(np.arange(len(models)), [names[model] for model in models])
    left.set_ylim(-0.7, len(models) - 0.3)
    left.set_xlabel("macro MCC, full")
    right.set(xlabel="rank (1 is best)", xlim=(0.3, len(models) + 0.7))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=len(questions))
    return figure
