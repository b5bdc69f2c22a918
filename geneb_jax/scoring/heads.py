"""The heads that a run's settings ask for, and the rows that fitted ones become."""

import itertools
from typing import Any

import pandas as pd

from geneb_jax.config import OutputSettings, ProbeSettings
from geneb_jax.scoring.scores import HEAD_COLUMNS, METRIC_COLUMNS, PROTOCOL
from probes import HeadScore, Probe, solver_name


def regime_name(shots: int | None) -> str:
    """Returns the regime as scores.csv names it: 'full' or '10shot'."""
    return "full" if shots is None else f"{shots}shot"


def probes_of(settings: ProbeSettings) -> list[Probe]:
    """Returns one probe for each kind that the settings name."""
    return [
        Probe(
            kind,
            settings.solver,
            settings.C,
            settings.standardised,
            settings.class_weight,
            settings.selection,
            settings.cross_validate,
        )
        for kind in settings.probes
    ]


def departures(settings: ProbeSettings) -> list[str]:
    """Returns the fields by which no head follows GENEB's protocol, as in 'config.solver=...'.

    There are none where some head follows it, whatever the others do.
    """
    fields = {"probe": "probes"}  # the column probe has one of the field's values
    asked = {column: getattr(settings, fields.get(column, column)) for column in PROTOCOL}
    return [
        f"config.{fields.get(column, column)}={','.join(map(str, values))}"
        for column, given in asked.items()
        if PROTOCOL[column] not in (values := given if isinstance(given, tuple) else (given,))
    ]


def presents(settings: ProbeSettings, output: OutputSettings) -> bool:
    """Says whether a run writes tables and report, which are of GENEB's protocol alone."""
    return output.report and not departures(settings)


def not_presented(settings: ProbeSettings, output: OutputSettings) -> str | None:
    """Says why a run that is asked for tables and report writes none; None: it is not so."""
    if not output.report or presents(settings, output):
        return None
    return (
        "no tables, intervals or report will be written: they are of GENEB's protocol, which no "
        f"row follows ({', '.join(departures(settings))}); scores.csv and figures/scores will"
    )


def hold_all_heads(rows: pd.DataFrame, settings: ProbeSettings) -> bool:
    """Says whether every head that the settings ask for stands in the rows of a model and task."""
    if rows.empty or not set(METRIC_COLUMNS) <= set(rows.columns):  # of code with fewer metrics
        return False
    if settings.cross_validate and "train_MCC" not in rows:
        return False
    for probe in probes_of(settings):
        # Which class weight and C a selection will choose is not known before.
        selects = probe.selection != "none"
        columns = [c for c in HEAD_COLUMNS if not (selects and c in ("class_weight", "C"))]
        fitted = set(rows[columns].itertuples(index=False, name=None))
        grid = {
            "regime": [regime_name(shots) for shots in settings.regimes],
            "probe": [probe.kind],
            "solver": [solver_name(probe)],
            "standardised": [probe.standardised],
            "class_weight": probe.class_weights,
            "selection": [probe.selection],
            "C": probe.strengths,
            "seed": settings.seeds,
        }
        if not fitted.issuperset(itertools.product(*(grid[column] for column in columns))):
            return False
    return True


def asked_heads(rows: pd.DataFrame, settings: ProbeSettings) -> pd.DataFrame:
    """Returns the rows whose heads the settings ask for, of whatever model and task."""
    keep = rows["regime"].isin([regime_name(shots) for shots in settings.regimes])
    keep &= rows["seed"].isin(settings.seeds)
    keep &= rows["standardised"] == settings.standardised
    keep &= rows["selection"] == settings.selection
    keep &= rows["class_weight"].isin(settings.class_weight) & rows["C"].isin(settings.C)
    solvers = {probe.kind: solver_name(probe) for probe in probes_of(settings)}
    return rows[keep & (rows["solver"] == rows["probe"].map(solvers))]


def head_columns(head: HeadScore) -> dict[str, Any]:
    """Returns the columns of scores.csv that a fitted head fills."""
    return {
        "regime": regime_name(head.shots),
        "probe": head.probe,
        "solver": head.solver,
        "standardised": head.standardised,
        "class_weight": head.class_weight,
        "selection": head.selection,
        "C": head.C,
        "seed": head.seed,
        **{metric: getattr(head, metric) for metric in METRIC_COLUMNS},
        "iterations": head.iterations,
        "objective": head.objective,
        "gradient_norm": head.gradient_norm,
        "converged": head.converged,
        **({} if head.train_MCC is None else {"train_MCC": head.train_MCC}),
    }
