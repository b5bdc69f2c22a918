"""Subsets of tasks as a table: how many order models as all tasks do, and what `lite` costs."""

import numpy as np
import pandas as pd

from geneb_jax.benchmark import GENEB, LITE
from geneb_jax.presentation.analysis import score_matrix, task_categories
from geneb_jax.tasks.sizes import KINDS, published_tokens
from geneb_jax.uncertainty.comparing import category_means
from geneb_jax.uncertainty.fewer_tasks import (
    GOALS,
    HALVINGS,
    ORDERS,
    Agreement,
    held_out_agreement,
    rank_correlation,
    subset_macro,
)

FEWEST_MODELS = 20  # so that ten order what ten others have chosen
SIZES = tuple(range(2, 41))
LIMITS = (512, 1024)  # tokens that models cut a record to


def subset_agreement(results: pd.DataFrame) -> dict[str, Agreement]:
    """Returns how subsets of full-shot tasks agree with all tasks, by the way of choosing them.

    Raises:
        ValueError: Fewer than `FEWEST_MODELS` models, or fewer tasks than `SIZES` has.
    """
    matrix = score_matrix(results).dropna(axis=1)
    if len(matrix) < FEWEST_MODELS or matrix.shape[1] < SIZES[-1]:
        raise ValueError(
            f"{len(matrix)} models on {matrix.shape[1]} tasks are too few to judge subsets; "
            f"{FEWEST_MODELS} models on {SIZES[-1]} tasks are needed"
        )
    known = task_categories(results)
    categories = [known[str(task)] for task in matrix]
    values = matrix.to_numpy(float)
    return {
        name: held_out_agreement(order, values, categories, SIZES) for name, order in ORDERS.items()
    }


def subset_table(agreement: dict[str, Agreement]) -> pd.DataFrame:
    """Returns median and lower decile of the rank correlations, a row a size.

    Args:
        agreement: Of `subset_agreement`.
    """
    columns = {"tasks": np.array(SIZES)}
    for name, found in agreement.items():
        columns |= {f"{name}, median": found.median, f"{name}, lower decile": found.decile}
    return pd.DataFrame(columns)


def lite_table() -> pd.DataFrame:
    """Returns what embedding the records of `lite` costs in tokens, a row a kind of tokenizer.

    Returns:
        Columns tokenizer; all tasks and lite, million tokens of train and test records; share, of
        lite in all; `share, at most L tokens a record` for each of `LIMITS`, where every task's
        mean record is cut at L; and counted and counted in lite, the share of these tokens that
        comes from counted records. The rest follows from lengths that the tasks' sources state.
    """
    known = published_tokens()
    records = np.array([task.records for task in known.values()])
    counted = np.array([task.counted for task in known.values()])
    lite = np.array([label in LITE for label in known])
    rows = []
    for kind in KINDS:
        mean = np.array([task.tokens[kind] for task in known.values()])
        tokens = records * mean
        row = {
            "tokenizer": kind,
            "all tasks": tokens.sum() / 1e6,
            "lite": tokens[lite].sum() / 1e6,
            "share": tokens[lite].sum() / tokens.sum(),
        }
        for limit in LIMITS:
            cut = records * np.minimum(mean, limit)
            row[f"share, at most {limit} tokens a record"] = cut[lite].sum() / cut.sum()
        row["counted"] = tokens[counted].sum() / tokens.sum()
        row["counted in lite"] = tokens[counted & lite].sum() / tokens[lite].sum()
        rows.append(row)
    return pd.DataFrame(rows)


def subset_lines(results: pd.DataFrame, agreement: dict[str, Agreement]) -> list[str]:
    """Says in sentences which sizes reach the goals, and what `lite` is and costs."""
    lines = []
    for goal in GOALS:
        sizes = {name: found.smallest(goal) for name, found in agreement.items()}
        each = ", ".join(
            f"{name} {size or f'more than {SIZES[-1]}'}" for name, size in sizes.items()
        )
        lines.append(
            f"tasks needed for a rank correlation of {goal} with all tasks, in nine of ten of "
            f"{HALVINGS} halvings, on the models that did not choose: {each}"
        )
    cost = lite_table()
    cut = cost[f"share, at most {LIMITS[0]} tokens a record"]
    line = (
        f"config.tasks=lite: {len(LITE)} tasks, {_range(cost['share'])} of the tokens of all "
        f"tasks, {_range(cut)} where a model cuts records at {LIMITS[0]} tokens (tables/lite, by "
        "kind of tokenizer)"
    )
    matrix = score_matrix(results).dropna(axis=1)
    known, ids = task_categories(results), list(matrix)
    lite = [task.id for task in GENEB.tasks if task.label in LITE]
    if set(lite) <= set(ids):
        categories = [known[str(task)] for task in ids]
        values = matrix.to_numpy(float)
        numbers = np.array([ids.index(task) for task in lite])
        rho = rank_correlation(
            subset_macro(values, categories, numbers), category_means(values, categories).mean(-1)
        )
        line += (
            f"; its rank correlation with all tasks, which it is part of and which chose it, is "
            f"{rho:.3f} over {len(values)} models"
        )
    return [*lines, line]


def _range(shares: pd.Series) -> str:
    """Returns the smallest and the largest of some shares, one number where they look alike."""
    return " to ".join(dict.fromkeys(f"{share:.0%}" for share in (shares.min(), shares.max())))
