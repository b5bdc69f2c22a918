"""All that shows a set of scores: tables, figures and the report, into one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from absl import logging

from geneb_jax.audit.findings import TaskAudit
from geneb_jax.config import AuditSettings, PaperVersion
from geneb_jax.presentation.analysis import of_benchmark
from geneb_jax.presentation.auditing import audit_tables
from geneb_jax.presentation.claims import claims_table
from geneb_jax.presentation.figures.save import save_figures
from geneb_jax.presentation.intervals import interval_tables
from geneb_jax.presentation.numbers import group_text
from geneb_jax.presentation.published import model_labels, published_results
from geneb_jax.presentation.report import ModelExtras, Sureness, TaskExtras, write_report
from geneb_jax.presentation.results import (
    as_own,
    beside_published,
    common_cells,
    labels_of,
    say_fewer_tasks,
    with_cards,
)
from geneb_jax.presentation.strand import strand_tables
from geneb_jax.presentation.summary import unfinished_fits
from geneb_jax.presentation.tables import write_tables
from geneb_jax.presentation.verdicts import Verdict, leaky_table, leaky_tasks, sentences


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
    audits: Sequence[TaskAudit] = (),
    thresholds: AuditSettings | None = None,
    verdicts: Mapping[str, Verdict] | None = None,
    called: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Writes `tables/`, `figures/` and `report/index.html`.

    Averages, the paper's tables and its figures are of tasks of the benchmark; custom tasks have
    tables of their scores, audits, intervals and pairs, each by itself. The report always shows the
    published scores beside a run's.

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
        audits: Audits of the run's tasks, for the tables of what they show.
        thresholds: From where on a task is leaky; None: the defaults.
        verdicts: The verdict of an audit on tasks, by id: intervals of macro scores, pairs and the
            paper's statements are computed without the leaky ones, too, and the report has them
            beside the tasks that `audits` are not of; None: those of `audits`.
        called: What the report calls scores without `provenance`, such as the name of their file;
            None: they are of submissions.

    Returns:
        The tables by name.

    Raises:
        ValueError: With `beside`, the results and the published ones share no task.
    """
    everything = published_results() if results is None else beside_published(results)
    shown = everything if results is None else common_cells(everything) if beside else results
    averaged = of_benchmark(shown)
    say_fewer_tasks(averaged)
    models, cards = list(shown["model"].unique()), (provenance or {}).get("cards", {})
    labels = labels_of(models, model_labels(version))
    given = verdicts or {}
    found: dict[str, pd.DataFrame] = {}
    if scores is not None and audits:
        settings = thresholds or AuditSettings()
        found |= audit_tables(scores, audits, predictions or {}, settings)
    if scores is not None:
        found |= strand_tables(scores, predictions or {})
    of_run = set(found)
    if intervals:
        logging.info("intervals over other records, shots and tasks")
        if verdicts is None and "audit" in found:
            rows = found["audit"][["task", "verdict", "reasons"]]
            verdicts = {task: Verdict(*said) for task, *said in rows.itertuples(index=False)}
        leaky = leaky_tasks(verdicts or {})
        found |= interval_tables(shown, scores, predictions, leaky)
        claims = claims_table(averaged, labels, verdicts)
        found |= {} if claims.empty else {"claims": claims}
        named = leaky_table(verdicts or {}, set(averaged["task"]))
        found |= {} if named.empty else {"leaky_tasks": named}
    logging.info("tables: %s", folder / "tables")
    tables = write_tables(shown, folder / "tables", scores, version, found, cards=cards)
    logging.info("figures: %s", folder / "figures")
    taken = (provenance or {}).get("taken")
    sized = with_cards(models, model_labels(version), cards)
    save_figures(averaged, sized, folder / "figures", scores, taken, tables)
    published = set(published_results()["model"])
    in_report = {
        name: table if beside and name not in of_run else as_own(table, everything)
        for name, table in tables.items()
    }
    logging.info("report: %s", folder / "report")
    write_report(
        folder / "report" / "index.html",
        everything,
        [model for model in everything["model"].unique() if model not in published],
        version=version,
        scores=scores,
        statistics=in_report.get("paper_statistics"),
        claims=in_report.get("claims"),
        leaky=in_report.get("leaky_tasks"),
        figures=folder / "figures",
        unfinished={} if scores is None else unfinished_fits(scores),
        provenance=provenance,
        of_models=_of_models(in_report.get("intervals_macro")),
        of_tasks=_of_verdicts(given) | _of_tasks(in_report.get("audit")),
        pairs=in_report.get("pairs"),
        alone=in_report,
        called=called,
        audit=in_report,
    )
    return tables


def _of_models(macro: pd.DataFrame | None) -> dict[str, ModelExtras]:
    """Returns the intervals over other tasks and the groups of each model, by regime."""
    if macro is None:
        return {}
    rows = macro[macro["question"] == "tasks"]
    models = rows["regime"].value_counts()
    found: dict[str, dict[str, Sureness]] = {}
    for row in rows.to_dict("records"):
        found.setdefault(row["model"], {})[row["regime"]] = Sureness(
            interval=[row["low"], row["high"]],
            ranks=[int(row["rank low"]), int(row["rank high"])],
            group=group_text(row["group"]),
            tasks=int(row["tasks"]),
            models=int(models[row["regime"]]),
        )
    return {model: ModelExtras(sure=sure) for model, sure in found.items()}


def _of_verdicts(verdicts: Mapping[str, Verdict]) -> dict[str, TaskExtras]:
    """Returns what an audit that was given says of each task."""
    return {
        task: TaskExtras(
            verdict=verdict.word,
            reasons=sentences(verdict.reasons),
            audited_files=verdict.files or "those of the audit that was given",
        )
        for task, verdict in verdicts.items()
    }


def _of_tasks(audit: pd.DataFrame | None) -> dict[str, TaskExtras]:
    """Returns the verdict and the counts of each task that was audited."""
    found: dict[str, TaskExtras] = {}
    for row in [] if audit is None else audit.to_dict("records"):
        found[row["task"]] = TaskExtras(
            verdict=row["verdict"],
            reasons=sentences(row["reasons"]),
            copies=int(row["copies"]),
            twins=int(row["twins"]),
            near_50=int(row["near_50"]),
        )
    return found
