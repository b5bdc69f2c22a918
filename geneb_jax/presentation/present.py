"""All that shows a set of scores: tables, figures and the report, into one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from geneb_jax.benchmark import CUSTOM
from geneb_jax.config import PaperVersion
from geneb_jax.presentation.claims import claims_table
from geneb_jax.presentation.figures import save_figures
from geneb_jax.presentation.intervals import interval_tables
from geneb_jax.presentation.published import model_labels, published_results
from geneb_jax.presentation.report import write_report
from geneb_jax.presentation.results import beside_published, common_cells, labels_of
from geneb_jax.presentation.summary import unfinished_fits
from geneb_jax.presentation.tables import write_tables


def present(
    results: pd.DataFrame | None,
    folder: Path,
    *,
    scores: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None,
    version: PaperVersion = "v1",
    beside: bool = False,
    predictions: Mapping[str, Path] | None = None,
    intervals: bool = True,
    leaky: Sequence[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Writes `tables/`, `figures/` and `report/index.html`.

    Tables and figures need tasks of the benchmark; the report shows custom tasks too, and always
    the published scores beside a run's.

    Args:
        results: Results table of a run or of submissions; None: the published scores.
        folder: Where to write.
        scores: The run's scores table, for the tables and figures of its probes.
        provenance: Content of the run's run.json.
        version: Whose labels to use.
        beside: Put the published models into tables and figures too, on the tasks and regimes
            that all models have.
        predictions: Folder of the kept predictions of each model of `scores`.
        intervals: Make the tables of intervals, and that of the paper's statements.
        leaky: Tasks that an audit found leaky; None: there was no audit.

    Returns:
        The tables by name; none without a task of the benchmark.

    Raises:
        ValueError: With `beside`, the results and the published ones share no task.
    """
    everything = published_results() if results is None else beside_published(results)
    shown = everything if results is None else common_cells(everything) if beside else results
    shown = shown[shown["category"] != CUSTOM]
    tables = {}
    if not shown.empty:
        labels = labels_of(list(shown["model"].unique()), model_labels(version))
        found = {}
        if intervals:
            found = interval_tables(shown, scores, predictions)
            claims = claims_table(shown, labels, leaky)
            found |= {} if claims.empty else {"claims": claims}
        tables = write_tables(shown, folder / "tables", scores, version, found)
        seconds = (provenance or {}).get("seconds")
        save_figures(shown, labels, folder / "figures", scores, seconds)
    published = set(published_results()["model"])
    write_report(
        folder / "report" / "index.html",
        everything,
        [model for model in everything["model"].unique() if model not in published],
        version=version,
        statistics=tables.get("paper_statistics"),
        figures=folder / "figures" if tables else None,
        unfinished={} if scores is None else unfinished_fits(scores),
        provenance=provenance,
        intervals=tables.get("intervals_macro"),
    )
    return tables
