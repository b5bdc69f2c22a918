"""What is written and shown when all scores are there: submissions, tables, figures, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from absl import logging
from rich.console import Console

from geneb_jax.audit.copies import task_keys
from geneb_jax.audit.findings import TaskAudit
from geneb_jax.config import ConfigError, Settings
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.failures import Failure
from geneb_jax.files.counts import counted
from geneb_jax.presentation.auditing import print_audit, print_hidden, write_audit
from geneb_jax.presentation.card_checks import identity_problems
from geneb_jax.presentation.guide import print_guide
from geneb_jax.presentation.published import PUBLISHED
from geneb_jax.presentation.results import check_out, read_source, run_results
from geneb_jax.presentation.submission import claims, write_submission
from geneb_jax.presentation.summary import (
    data_note,
    print_claims,
    print_failures,
    print_intervals,
    print_layers,
    print_order_without_leaky,
    print_problems,
    print_speeds,
    print_statistics,
    print_table,
    print_unfinished_fits,
)
from geneb_jax.presentation.verdicts import read_verdicts
from geneb_jax.scoring.evaluation import Evaluation, asked_rows, represented_rows
from geneb_jax.scoring.predictions import predictions_folder
from geneb_jax.scoring.scores import protocol_rows
from geneb_jax.tasks.task import Task

_MOST_NAMED = 3  # models in one line


def close_run(
    settings: Settings,
    evaluation: Evaluation,
    failures: Sequence[Failure],
    tasks: Sequence[Task],
    audits: Sequence[TaskAudit],
    provenance: Mapping[str, Any],
    workdir: Path,
    console: Console,
) -> None:
    """Writes and prints what a run leaves beside scores.csv and run.json.

    The workdir may hold other models, presets and tasks: a submission takes all tasks of a model
    as it was computed now, tables and figures show what was asked.

    Args:
        settings: What was asked.
        evaluation: What came of it.
        failures: What could not be computed.
        tasks: The tasks that were asked.
        audits: Audits of these; none where they were not asked for.
        provenance: The content of run.json.
        workdir: Takes the files.
        console: Shows the tables.
    """
    _submit(settings, evaluation, represented_rows(evaluation), workdir)
    shown = asked_rows(evaluation, tasks, settings.probes)
    audited = pd.DataFrame()
    if audits:
        keys = [task_keys(task) for task in tasks]
        audited = write_audit(workdir, audits, keys, settings.audit)
    local = _local_names(evaluation.cards)
    shown = shown.assign(model=shown["model"].replace(local))
    tables: dict[str, pd.DataFrame] = {}
    if settings.output.report and not shown.empty:
        tables = _present(settings, evaluation, shown, audits, provenance, local, workdir)
    print_table(shown, console)
    for name in ("intervals_macro", "intervals_custom"):
        print_intervals(tables.get(name, pd.DataFrame()), console)
    print_order_without_leaky(tables, console)
    print_audit(audited, console, settings.data.max_train)
    print_hidden(tables, console)
    print_layers(shown, console)
    print_unfinished_fits(shown, console)
    print_speeds(evaluation.speeds, console)
    _say_whose_weights(local, console)
    _say_what_is_not_shown(evaluation, shown, console)
    print_failures(failures, console)
    print_problems(provenance.get("processes", ()), console)
    report = workdir / "report" / "index.html" if tables else None
    print_guide(shown, report, console)
    if report:
        console.print(f"report: {report}", highlight=False)
    console.print(f"results: {workdir}")


def _present(
    settings: Settings,
    evaluation: Evaluation,
    shown: pd.DataFrame,
    audits: Sequence[TaskAudit],
    provenance: Mapping[str, Any],
    names: Mapping[str, str],
    workdir: Path,
) -> dict[str, pd.DataFrame]:
    """Draws the heat map of some scores and writes tables, figures and report; returns the tables.

    Args:
        names: What `shown` calls some of the models; see `_local_names`. For the others see
            `close_run`.
    """
    # matplotlib is loaded where figures are wanted.
    from geneb_jax.presentation.figures.heatmap import save_heatmap  # noqa: PLC0415
    from geneb_jax.presentation.present import present  # noqa: PLC0415

    save_heatmap(shown, workdir / "figures")
    if protocol_rows(shown).empty:
        return {}
    results, version = run_results(shown), settings.output.labels
    return present(
        results,
        workdir,
        scores=shown,
        provenance=_as_shown(provenance, names),
        version=version,
        predictions={
            names.get(name, name): predictions_folder(workdir, name) for name in evaluation.cards
        },
        intervals=settings.output.intervals,
        audits=audits,
        thresholds=settings.audit,
        verdicts=read_verdicts(leaky) if (leaky := settings.audit.leaky) else None,
    )


def _as_shown(provenance: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Returns the content of run.json with its models named as tables and report name them.

    Args:
        provenance: The content.
        names: What these call some of the models; see `_local_names`.
    """
    of_models = {
        part: {names.get(model, model): value for model, value in provenance[part].items()}
        for part in ("models", "taken", "unseen")
    }
    failures = [
        {**failure, "model": names.get(failure["model"], failure["model"])}
        for failure in provenance["failures"]
    ]
    return {**provenance, **of_models, "failures": failures}


def present_scores(settings: Settings, workdir: Path, console: Console) -> pd.DataFrame:
    """Writes tables, figures and report of scores that are there already, and returns them.

    Raises:
        ConfigError: The settings' `scores` names no scores.
    """
    from geneb_jax.presentation.present import present  # noqa: PLC0415 (it loads matplotlib)

    output = settings.output
    try:
        check_out(workdir, output.scores)
        source = read_source(output.scores)
    except ValueError as error:
        raise ConfigError([f"config.scores: {error}"]) from error
    try:
        verdicts = read_verdicts(leaky) if (leaky := settings.audit.leaky) else None
    except ValueError as error:
        raise ConfigError([f"config.leaky: {error}"]) from error
    tables = present(
        None if output.scores == PUBLISHED else source.results,
        workdir,
        scores=source.scores,
        provenance=source.provenance,
        version=output.labels,
        predictions=source.predictions,
        intervals=output.intervals,
        audits=source.audits if settings.audit.audit else (),
        thresholds=settings.audit,
        verdicts=verdicts,
    )
    for name in ("intervals_macro", "intervals_custom"):
        print_intervals(tables.get(name, pd.DataFrame()), console)
    print_order_without_leaky(tables, console)
    print_hidden(tables, console)
    print_statistics(tables["paper_statistics"], console)
    print_claims(tables.get("claims", pd.DataFrame()), console)
    console.print(f"results: {workdir}")
    return source.results


def _submit(
    settings: Settings, evaluation: Evaluation, scores: pd.DataFrame, workdir: Path
) -> None:
    """Writes a submission for each model that has rows of GENEB's tasks and protocol."""
    if evaluation.prepared:
        logging.info(
            "submissions leave out tasks whose records config.letters or config.max_train changed, "
            "such as '%s'",
            evaluation.prepared[0],
        )
        scores = scores[~scores["task"].isin(evaluation.prepared)]
    said = {name: {**card, **claims(settings.output)} for name, card in evaluation.cards.items()}
    written = {name: write_submission(name, card, scores, workdir) for name, card in said.items()}
    for name, card in said.items():
        for problem in identity_problems(card, evaluation.cards[name]) if written[name] else ():
            logging.warning("%s: `geneb-jax submission` refuses it: %s", written[name], problem)
    without = [name for name, path in written.items() if not path]
    if without and not data_note(scores):  # of generated tasks nobody expects one
        named = ", ".join(without[:_MOST_NAMED])
        more = len(without) - _MOST_NAMED
        logging.info(
            "no submission of %s%s: that takes GENEB's tasks, protocol and all seeds",
            *(named, f" and {more} more" if more > 0 else ""),
        )
    if any(written.values()) and settings.data.tasks_dir:
        logging.warning(
            "submissions are of the task files in %s; whether these are GENEB's is not known",
            settings.data.tasks_dir,
        )


def _local_names(cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns what tables call models of the catalog whose weights may not be the authors'.

    Under its name a model has the paper's size and corpus, and stands beside its published scores.
    """
    return {name: card["model_id"] for name, card in cards.items() if card["url"] == LOCAL_WEIGHTS}


def _say_whose_weights(names: Mapping[str, str], console: Console) -> None:
    """Prints which names of the config and scores.csv have another one in tables and report."""
    for name, shown in names.items():
        console.print(
            f"'{shown}' is '{name}' of the config and scores.csv: the folder's weights may not be "
            "the authors', so tables, report and submission do not call them that",
            highlight=False,
        )


def _say_what_is_not_shown(evaluation: Evaluation, shown: pd.DataFrame, console: Console) -> None:
    """Prints how many results of other calls the workdir holds, and why some are in no table."""
    others = len(evaluation.scores) - len(shown)
    if others:
        console.print(
            f"scores.csv holds {counted(others, 'more row')}, of other calls in this workdir; "
            "`geneb-jax tables --scores WORKDIR --out DIR` shows all of them"
        )
    if evaluation.set_aside:
        model, task = evaluation.set_aside[0]
        others = len(evaluation.set_aside) - 1
        more = f" and {counted(others, 'more pair')} of model and task" if others else ""
        console.print(
            "left out of scores.csv, because they were computed from other weights or other "
            f"records: '{model}' on '{task}'{more}; evaluate them again to have them back"
        )
