"""What probing, tables and report will cost, by the sizes of tasks.

The rates are of one core (docs/measured.md). How many iterations a fit of all rows takes depends on
what the features say of the labels: of made embeddings it was from two thirds of to twice
`ITERATIONS`.
"""

from collections.abc import Sequence

from geneb_jax.config import ProbeSettings, Settings
from geneb_jax.embedding.source import ITERATIONS, SourcePlan
from geneb_jax.scoring.heads import presents
from geneb_jax.tasks.sizes import TaskSize
from probes.logistic import is_large

# Seconds of a task; of an iteration of a fit of all rows, by numbers in features times columns of
# targets; of a few-shot fit and of its iterations, by these columns; of scoring a head, by numbers
# in test features times columns.
_A_TASK, _A_STEP, _A_FEW, _A_FEW_STEP, _A_SCORED = 0.01, 7.5e-10, 0.001, 6e-6, 1e-9
_SHARED = 0.75  # of the time of a strength that fits which are compiled share with the first
# Seconds of tables, figures and report; of a score in them; of a prediction that is resampled.
_A_REPORT, _A_SHOWN, _A_RESAMPLED = 8.0, 0.001, 1e-6


def probing_seconds(
    size: TaskSize, width: int, probes: ProbeSettings, iterations: int = ITERATIONS
) -> float:
    """Returns about how long one core takes for the logistic probes of a task.

    Args:
        size: The task's.
        width: Features of a record.
        probes: What is fitted; each kind of probe, and what a selection fits besides, counts as
            logistic heads do. See `is_known`.
        iterations: Of a fit of all rows.
    """
    columns = size.classes if size.classes > 2 else 1
    grid = len(probes.C) * len(probes.class_weight) * len(probes.probes)
    few = grid * len(probes.seeds) * sum(shots is not None for shots in probes.regimes)
    full = grid * (None in probes.regimes)
    alone = 1 - _SHARED if is_large(size.train, width, size.classes) else 1.0
    fits = (1 + (full - 1) * alone) * bool(full)
    return (
        _A_TASK
        + fits * iterations * _A_STEP * size.train * width * columns
        + few * (_A_FEW + iterations * _A_FEW_STEP) * columns
        + (full + few) * _A_SCORED * size.test * width * columns
    )


def is_known(probes: ProbeSettings) -> bool:
    """Says whether `probing_seconds` is of what is fitted: heads as GENEB's protocol fits them."""
    once = probes.selection == "none" and not probes.cross_validate
    as_measured = probes.solver.startswith("geneb") and not probes.standardised
    return once and as_measured and set(probes.probes) == {"logistic"}


def probing_in_all(
    sizes: Sequence[TaskSize], plan: SourcePlan, probes: ProbeSettings
) -> float | None:
    """Returns about how long one core takes for the probes of a model, in seconds.

    Args:
        sizes: The tasks that are probed.
        plan: What is known of the model.
        probes: See `probing_seconds`.

    Returns:
        The seconds; None: the width of its features is not known.
    """
    if sizes and not plan.width:
        return None
    views = max(len(plan.representations), 1)
    each = (probing_seconds(size, plan.width, probes, plan.iterations) for size in sizes)
    return views * sum(each)


def showing_seconds(sizes: Sequence[TaskSize], models: int, settings: Settings) -> float:
    """Returns about how long one core takes for tables, figures and report of a run, in seconds.

    Args:
        sizes: Its tasks.
        models: How many models are evaluated on them.
        settings: Say what is shown.
    """
    probes, output = settings.probes, settings.output
    if not presents(probes, output):
        return 0.0
    scores = models * len(sizes) * len(probes.regimes)
    few = len(probes.seeds) * sum(shots is not None for shots in probes.regimes)
    predictions = models * (few + (None in probes.regimes)) * sum(size.test for size in sizes)
    return _A_REPORT + _A_SHOWN * scores + _A_RESAMPLED * predictions * output.intervals
