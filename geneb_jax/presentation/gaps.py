"""What scores lack beside each other: tasks of a model, seeds of a task."""

from collections.abc import Iterator

import pandas as pd

from geneb_jax.files.counts import counted
from geneb_jax.presentation.analysis import regimes_of
from geneb_jax.presentation.numbers import regime_name
from geneb_jax.scoring.scores import protocol_rows

_NAMED = 2  # tasks in a line


def lacking_tasks(results: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each model and regime without a score on tasks that others have one on.

    Args:
        results: Results table.
    """
    scored = results[results["MCC"].notna()]
    for regime in regimes_of(results):
        rows = scored[scored["regime"] == regime]
        tasks = list(rows["task"].unique())
        for model in results["model"].unique():
            there = set(rows.loc[rows["model"] == model, "task"])
            if lacking := [task for task in tasks if task not in there]:
                yield (
                    f"{model} has no score in {regime_name(regime)} on {len(lacking)} of "
                    f"{counted(len(tasks), 'task')} ({_some(lacking)}): its averages are of other "
                    "tasks than the others', and it has no rank among them; intervals are of the "
                    "tasks that all have"
                )


def lacking_seeds(scores: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each model and regime with fewer seeds on a task than elsewhere.

    Args:
        scores: Scores table of a run; rows after GENEB's protocol count.
    """
    rows = protocol_rows(scores)
    keys = ["regime", "model", "task"]
    cells = rows.groupby(keys, sort=False)["MCC"].count().rename("seeds").reset_index()
    for (regime, model), of_model in cells.groupby(keys[:2], sort=False):
        most = int(cells.loc[cells["regime"] == regime, "seeds"].max())
        fewer = of_model[of_model["seeds"] < most]
        if len(fewer):
            tasks = list(fewer["task"])
            where = f"{regime_name(str(regime))} on {counted(len(tasks), 'task')} ({_some(tasks)})"
            yield (
                f"{model} has {fewer['seeds'].min()} of {counted(most, 'seed')} in {where}: its "
                "score there is the mean of these"
            )


def _some(tasks: list[str]) -> str:
    more = len(tasks) - _NAMED
    return ", ".join(tasks[:_NAMED]) + (f" and {more} more" if more > 0 else "")
