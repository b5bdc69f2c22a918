"""The tables of figures with their titles and captions, and how they become files."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.benchmark import GENEB
from geneb_jax.files.atomic import write_whole
from geneb_jax.presentation.escapes import markdown_text
from geneb_jax.presentation.figures import (
    audit,
    categories,
    intervals,
    probes,
    ranks,
    shots,
    size_and_score,
)
from geneb_jax.presentation.figures.files import save_figure
from geneb_jax.presentation.figures.theme import STYLE

# Of results and labels; None where they have nothing to show.
Draw = Callable[[pd.DataFrame, pd.DataFrame], Figure | None]
# Of a run's scores table and what its models took; None where the run has nothing to show.
DrawRun = Callable[[pd.DataFrame, probes.Taken], Figure | None]
# Of the tables that were made of results; None where they have nothing to show.
DrawTables = Callable[[Mapping[str, pd.DataFrame]], Figure | None]


class PaperFigure(NamedTuple):
    """A figure of results.

    Attributes:
        draw: Draws it of a results table and the models' labels, or returns None.
        title: What it shows.
        caption: What to see in it.
        regimes: Regimes that it needs.
    """

    draw: Draw
    title: str
    caption: str
    regimes: tuple[str, ...] = ("full",)


class RunFigure(NamedTuple):
    """A figure of a run's probes.

    Attributes:
        draw: Draws it of a scores table and the seconds of each model by stage, or returns None.
        title: What it shows.
        caption: What to see in it.
    """

    draw: DrawRun
    title: str
    caption: str


class TableFigure(NamedTuple):
    """A figure of tables, such as those of intervals.

    Attributes:
        draw: Draws it of the tables by name, or returns None.
        title: What it shows.
        caption: What to see in it.
    """

    draw: DrawTables
    title: str
    caption: str


# All in the order in which the report shows them.
TABLE_FIGURES: Mapping[str, TableFigure] = {
    "intervals": TableFigure(
        intervals.macro_and_rank,
        "How sure are macro MCC and rank?",
        "Bars are 95 % intervals, had others of what the legend names been drawn; ticks are the "
        "scores and ranks themselves. A long bar of ranks is a rank that says little. Whether two "
        "models can be told apart is in tables/pairs: their bars may overlap.",
    ),
    "audit": TableFigure(
        audit.rules,
        "What answers the tasks without a model",
        "A mark is the rule or shortcut that train chooses, a black tick the median of the paper's "
        "models; where the mark is right of the tick, a score says little about models. Bars are "
        "test records that train has or nearly has.",
    ),
}
FIGURES: Mapping[str, PaperFigure] = {
    "size_and_score": PaperFigure(
        size_and_score.overall,
        "Size and macro MCC",
        "Of the models on the line, no model of their size or smaller scores higher. The flatter "
        "the line, the less size buys; points far below it are large models that smaller ones "
        "beat. Models that the paper does not have are named, too, where there is room.",
    ),
    "category_heatmap": PaperFigure(
        categories.heat_map,
        "Mean MCC by model and category, full",
        "Rows from the best macro MCC. A column of one colour is a category that does not tell "
        "models apart; a light cell low in the table is a specialist.",
    ),
    "category_profiles": PaperFigure(
        categories.profiles,
        "Category profiles, full",
        "Five models a panel, in the order of their macro MCC; grey ticks are all models. A "
        "model's marks that lie on both sides of the grey crowd show an uneven profile.",
    ),
    "few_shot": PaperFigure(
        shots.by_model,
        "Macro MCC in the three regimes",
        "Left, what a probe reaches with all, ten and one train rows of each class; right, the "
        "share of the full score that is lost with ten. Short bars are embeddings that few labels "
        "suffice for.",
        GENEB.regimes,
    ),
    "few_shot_by_category": PaperFigure(
        shots.by_category,
        "Regimes by category",
        "Means over models. Categories whose marks lie apart need labels; where 1-shot is near "
        "zero, its ranking of models is mostly noise.",
        GENEB.regimes,
    ),
    "high_variance": PaperFigure(
        ranks.high_variance,
        "Tasks on which models differ most",
        "Tasks with a standard deviation over models above 0.12, or the ten with the largest; a "
        "tick is a model. These tasks decide most of what an average says.",
    ),
    "rank_distribution": PaperFigure(
        ranks.distribution,
        "Ranks over tasks",
        "Boxes hold the middle half of a model's ranks, whiskers all but a few. Boxes that "
        "overlap widely are models whose order depends on the choice of tasks.",
    ),
    "wins": PaperFigure(
        ranks.wins,
        "Tasks won",
        "How often a model is the best of all; ties count for each. A model with many wins and a "
        "middling macro MCC is a specialist.",
    ),
    "macro_minus_micro": PaperFigure(
        ranks.macro_minus_micro,
        "Macro minus micro MCC",
        "Left of zero are models that live on the categories with many tasks, right of it those "
        "that are good on the small ones.",
    ),
    "top_by_category": PaperFigure(
        categories.best,
        "The best models of each category, full",
        "Up to ten a category; axes differ, so look at the spread within a panel: where dots are "
        "close, the order says little.",
    ),
    "size_and_score_by_category": PaperFigure(
        size_and_score.by_category,
        "Size and MCC by category",
        "Grey are all models, blue those that none of their size or smaller beats. Where the line "
        "is flat, size does not help that category.",
    ),
    "specialisation": PaperFigure(
        categories.specialisation,
        "Specialisation, full",
        "Mean rank outside a category minus that inside: blue, the model ranks better in this "
        "category than elsewhere; red, worse.",
    ),
}
RUN_FIGURES: Mapping[str, RunFigure] = {
    "strength_sensitivity": RunFigure(
        probes.strengths,
        "MCC against the strength of the penalty",
        "Lines that cross are models whose order depends on C; the protocol's is 1.",
    ),
    "linear_against_mlp": RunFigure(
        probes.linear_against_mlp,
        "Linear against MLP probe",
        "A point is a model on a task; above the line a small neural network (MLP) reads more out "
        "of the embedding than a linear probe can.",
    ),
    "solvers": RunFigure(
        probes.solvers,
        "The harness's early stop against the optimum",
        "Points off the line are heads whose score depends on when the solver stops.",
    ),
    "layers": RunFigure(
        probes.layers,
        "MCC by hidden state",
        "Diamonds are the final state, after the last norm. A peak in the middle means that the "
        "last layers are shaped to the pretraining task.",
    ),
    "throughput": RunFigure(
        probes.throughput,
        "Wall time by model and stage",
        "What a model cost on its machine, over all runs in the workdir: those that were stopped, "
        "and those that added tasks or probes.",
    ),
}
# The tasks of each category; they lie in figures/ only: the report's page shows the same itself.
TASK_FIGURES: Mapping[str, PaperFigure] = {
    f"tasks_{re.sub(r'[^a-z0-9]+', '_', category.lower()).strip('_')}": PaperFigure(
        categories.tasks_of(category),
        f"MCC by model and task, full: {category}",
        "Rows from the best mean over these tasks.",
    )
    for category in GENEB.categories
}
_OF_CATEGORY = dict(zip(TASK_FIGURES, GENEB.categories, strict=True))
_OF_REPORT = {**TABLE_FIGURES, **FIGURES, **RUN_FIGURES}
TITLES = {name: figure.title for name, figure in _OF_REPORT.items()}
CAPTIONS = {name: figure.caption for name, figure in _OF_REPORT.items()}


def save_figures(
    results: pd.DataFrame,
    labels: pd.DataFrame,
    folder: Path,
    scores: pd.DataFrame | None = None,
    taken: probes.Taken | None = None,
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> list[str]:
    """Draws every figure that the scores allow into `folder` as .svg and .png, with captions.md.

    Args:
        results: Results table.
        labels: Labels of the models; those without are left out where size is shown.
        folder: Made where it is missing; what an earlier call drew there goes.
        scores: The run's scores table, for the figures of its probes; None: they are left out.
        taken: The wall time of each model by stage, over all runs in the workdir.
        tables: Tables that were made of the results, by name.

    Returns:
        The names of the figures drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    regimes, present = set(results["regime"]), set(results["category"])
    tasks = {name: f for name, f in TASK_FIGURES.items() if _OF_CATEGORY[name] in present}
    draws: dict[str, Callable[[], Figure | None]] = {
        name: functools.partial(figure.draw, tables) for name, figure in TABLE_FIGURES.items()
    }
    draws |= {
        name: functools.partial(figure.draw, results, labels)
        for name, figure in (*FIGURES.items(), *tasks.items())
        if regimes.issuperset(figure.regimes)
    }
    if scores is not None:
        draws |= {
            name: functools.partial(figure.draw, scores, taken or {})
            for name, figure in RUN_FIGURES.items()
        }
    drawn = []
    with plt.rc_context(STYLE):
        for name, draw in draws.items():
            figure = draw()
            if figure is None:
                continue
            save_figure(figure, folder / name, dpi=300)
            drawn.append(name)
    every = {**_OF_REPORT, **TASK_FIGURES}
    for name in every.keys() - set(drawn):
        for ending in ("svg", "png"):
            (folder / f"{name}.{ending}").unlink(missing_ok=True)
    captions = [
        f"- **{name}**: {markdown_text(_sentence(every[name].title))} "
        f"{markdown_text(every[name].caption)}\n"
        for name in drawn
    ]
    write_whole(folder / "captions.md", "".join(captions).encode())
    return drawn


def _sentence(title: str) -> str:
    return title if title.endswith((".", "?")) else f"{title}."
