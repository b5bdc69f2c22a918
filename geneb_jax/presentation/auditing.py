"""What a reader sees of the audit of tasks: files, a line a task, the reasons of each verdict."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from geneb_jax.audit.copies import TaskKeys, copies_across
from geneb_jax.audit.findings import TaskAudit, audit_row, rule_rows
from geneb_jax.benchmark import GENEB
from geneb_jax.config import AuditSettings
from geneb_jax.files.atomic import write_whole
from geneb_jax.files.counts import counted
from geneb_jax.presentation.cleaning import clean_tables
from geneb_jax.presentation.floors import floor_tables
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.verdicts import VERDICTS

_MOST_LINES = 12  # reasons that a run prints; the others are counted


def published_medians() -> dict[str, float]:
    """Returns the median full-shot MCC of the paper's 40 models, by task."""
    results = published_results()
    full = results[results["regime"] == "full"]
    return {str(task): float(mcc) for task, mcc in full.groupby("task")["MCC"].median().items()}


def audit_table(audits: Sequence[TaskAudit], settings: AuditSettings) -> pd.DataFrame:
    """Returns audit.csv: one row a task, with its verdict (see `audit.audit_row`)."""
    medians = published_medians()
    return pd.DataFrame([audit_row(each, medians.get(each.task), settings) for each in audits])


def audit_tables(
    scores: pd.DataFrame,
    audits: Sequence[TaskAudit],
    predictions: Mapping[str, Path],
    settings: AuditSettings,
) -> dict[str, pd.DataFrame]:
    """Makes the tables that follow from audits: `audit`, and see `clean_tables`, `floor_tables`.

    Args:
        scores: A run's scores table.
        audits: Audits of its tasks, and maybe of others, which are left out.
        predictions: Folder of the kept predictions of each model, by its name in `scores`.
        settings: From where on a task is leaky.
    """
    there = set(scores["task"])
    order = {task.id: number for number, task in enumerate(GENEB.tasks)}
    audits = sorted(
        (audit for audit in audits if audit.task in there),
        key=lambda audit: (order.get(audit.task, len(order)), audit.task),
    )
    if not audits:
        return {}
    return {
        "audit": audit_table(audits, settings),
        **clean_tables(scores, audits, predictions),
        **floor_tables(scores, audits),
    }


def write_audit(
    folder: Path, audits: Sequence[TaskAudit], keys: Sequence[TaskKeys], settings: AuditSettings
) -> pd.DataFrame:
    """Writes audit.csv, rules.csv and copies_across.csv, and returns the first.

    Args:
        folder: Takes the files.
        audits: Of some tasks.
        keys: What finds the records of these tasks in each other (see `copies.task_keys`).
        settings: From where on a task is leaky.
    """
    table = audit_table(audits, settings)
    columns = ["task", "other_task", "split", "copies", "same_label"]
    files = {
        "audit.csv": table,
        "rules.csv": pd.DataFrame([row for audit in audits for row in rule_rows(audit)]),
        "copies_across.csv": pd.DataFrame(copies_across(keys), columns=columns),
    }
    for name, content in files.items():
        write_whole(folder / name, content.to_csv(index=False, lineterminator="\n").encode())
    return table


def audit_summary(row: Mapping[Any, Any]) -> dict[str, str]:
    """Returns a row of audit.csv in few columns, as texts."""
    return {
        "task": row["task"],
        "train": f"{row['n_train']}",
        "test": f"{row['n_test']}",
        "copies": f"{row['copies']}",
        "near\ncopies": f"{row['near']}",
        "twins": f"{row['twins']}",
        "clean": f"{row['clean']}",
        "best rule": row["best_rule"],
        "its MCC\non train": f"{row['best_rule_train_MCC']:.3f}",
        "\non test": f"{row['best_rule_MCC']:.3f}",
        "published\nmedian": _shown(row["published_median"]),
        "verdict": row["verdict"],
    }


def audit_lines(rows: Iterable[Mapping[Any, Any]]) -> list[str]:
    """Returns the reasons of each verdict that has any, a line each, the leaky first."""
    found = sorted(
        (row for row in rows if row["reasons"]), key=lambda row: VERDICTS.index(row["verdict"])
    )
    return [f"{row['verdict']}: {row['task']}: {row['reasons']}" for row in found]


def print_audit(table: pd.DataFrame, console: Console, max_train: int = 0) -> None:
    """Prints how many tasks are leaky and why the first are; nothing where none was audited.

    Args:
        table: See `audit_table`.
        console: Takes the lines.
        max_train: Train records of a task that the run read at most, which is said; 0: all.
    """
    if table.empty:
        return
    counts = Counter(table["verdict"])
    found = ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])
    console.print(f"audit of {counted(len(table), 'task')}: {found} (audit.csv, rules.csv)")
    if max_train:
        console.print(
            f"  of at most {counted(max_train, 'train record')} of a task (config.max_train); "
            "whole files may be leaky where these are not: `geneb-jax tasks --audit` reads them"
        )
    lines = audit_lines(row for row in table.to_dict("records") if row["verdict"] == "leaky")
    for line in lines[:_MOST_LINES]:
        console.print(f"  {line}", highlight=False, markup=False)
    if len(lines) > _MOST_LINES:
        console.print(f"  ... and {counted(len(lines) - _MOST_LINES, 'more leaky task')}")


_HIDDEN_WORDS = {
    "clean_leaderboard": "macro MCC over all and over clean test records of the tasks that have "
    "enough clean ones (tables/clean_tasks), with the 95 % interval over other clean records",
    "lift": "MCC beyond the best floor of each task, of models that are none",
    "strand": "share of predictions that change under reverse complement",
}


def print_hidden(tables: Mapping[str, pd.DataFrame], console: Console) -> None:
    """Prints what clean scores, floors and the other strand say of each model, where they are.

    Args:
        tables: See `audit_tables` and `strand.strand_tables`; of the first regime that is there.
        console: Takes the table.
    """
    columns = {
        "clean_leaderboard": (
            ("macro", "macro"),
            ("rank", "rank"),
            ("macro_clean", "clean\nmacro"),
            ("low", "from"),
            ("high", "to"),
            ("clean rank", "clean\nrank"),
            ("tasks", "tasks"),
        ),
        "lift": (("macro lift", "lift over\nbest floor"),),
        "strand": (("macro", "changed by\nother strand"),),
    }
    there = {name: tables[name] for name in columns if name in tables}
    if not there:
        return
    regime = next(iter(there.values()))["regime"].iloc[0]
    rows = {
        name: table[table["regime"] == regime].set_index("model") for name, table in there.items()
    }
    models = list(dict.fromkeys(model for table in rows.values() for model in table.index))
    shown = Table(
        box=None,
        title=f"what scores hide ({regime})",
        caption="; ".join(_HIDDEN_WORDS[name] for name in there),
    )
    shown.add_column("model", overflow="fold", min_width=16)
    wanted = [(name, *each) for name in rows for each in columns[name]]
    for _, _, title in wanted:
        shown.add_column(title, justify="right", no_wrap=True)
    for model in models:
        cells = [
            _cell(rows[name].loc[model, column]) if model in rows[name].index else ""
            for name, column, _ in wanted
        ]
        shown.add_row(str(model), *cells)
    console.print(shown)


def _cell(value: Any) -> str:
    number = float(value)
    return f"{number:.0f}" if number >= 1 and number.is_integer() else f"{number:z.3f}"


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
