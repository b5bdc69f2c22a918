"""All that shows a set of scores: tables, figures and the report, into one folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from geneb_jax.benchmark import CUSTOM
from geneb_jax.config import PaperVersion
from geneb_jax.presentation.figures.save import save_figures
from geneb_jax.presentation.published import model_labels, published_results
from geneb_jax.presentation.report import ModelExtras, TaskExtras, write_report
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
    of_models: Mapping[str, ModelExtras] = MappingProxyType({}),
    of_tasks: Mapping[str, TaskExtras] = MappingProxyType({}),
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
        of_models: What else the report shows of models, by their names there.
        of_tasks: What an audit found of tasks, by id.

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
        tables = write_tables(shown, folder / "tables", scores, version)
        seconds = (provenance or {}).get("seconds")
        save_figures(shown, labels, folder / "figures", scores, seconds)
    published = set(published_results()["model"])
    write_report(
        folder / "report" / "index.html",
        everything,
        [model for model in everything["model"].unique() if model not in published],
        version=version,
        scores=scores,
        statistics=tables.get("paper_statistics"),
        figures=folder / "figures" if tables else None,
        unfinished={} if scores is None else unfinished_fits(scores),
        provenance=provenance,
        of_models=of_models,
        of_tasks=of_tasks,
    )
    return tables
