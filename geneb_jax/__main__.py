"""`python -m geneb_jax tasks`: what the tasks are and what data is at hand.

`python -m geneb_jax tables`: the paper's tables and figures from published or own scores.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from geneb_jax.benchmark import CUSTOM, GENEB, select_tasks
from geneb_jax.figures import FIGURES, save_figures
from geneb_jax.published import model_labels, published_results, run_results
from geneb_jax.scores import read_scores
from geneb_jax.submission import read_submissions
from geneb_jax.tables import write_tables
from geneb_jax.tasks import describe, find_tasks, read_task

_LENGTHS = ("min", "median", "max")
_DUPLICATES = ("duplicates in train", "duplicates in test", "test rows in train")
_SHA_SHOWN = 12  # digits; --csv writes all


def show_tasks(arguments: argparse.Namespace) -> int:
    """Prints the tasks of a folder, or the benchmark's definition without one."""
    if arguments.tasks_dir is None:
        chosen = select_tasks(arguments.tasks)
        rows = [asdict(task) for task in chosen]
        _print(rows)
        print(f"{len(rows)} of {len(GENEB.tasks)} tasks; --tasks_dir DIR describes data at hand")
        return 0
    found = find_tasks(arguments.tasks_dir)
    if arguments.tasks != "all":
        wanted = {task.id for task in select_tasks(arguments.tasks)}
        found = {name: info for name, info in found.items() if name in wanted}
    rows, problems = [], []
    for info in track(found.values(), "reading", console=Console(stderr=True), transient=True):
        try:
            rows.append(describe(read_task(arguments.tasks_dir, info)))
        except ValueError as error:
            problems.append(str(error))
    if arguments.csv:
        pd.DataFrame(rows).to_csv(arguments.csv, index=False)
    if rows:
        _print([_compact(row) for row in rows])
    print(f"{len(rows)} tasks in {arguments.tasks_dir}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return int(bool(problems) or not rows)


def _compact(row: Mapping[str, Any]) -> dict[str, Any]:
    """A task's description in few columns."""
    return {
        "id": row["id"],
        "category": row["category"],
        "train": row["train"],
        "test": row["test"],
        "classes": row["classes"],
        "share of\nclasses": f"{row['smallest class']:.0%}-{row['largest class']:.0%}",
        "length\nmin/median/max": "/".join(str(row[f"{w} length"]) for w in _LENGTHS),
        "duplicates in train/\ntest/across": "/".join(str(row[name]) for name in _DUPLICATES),
        "sha256\ntrain": row["train sha256"][:_SHA_SHOWN],
        "\ntest": row["test sha256"][:_SHA_SHOWN],
    }


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as wide as they need, so that no cell is cut."""
    table = Table(box=None, pad_edge=False)
    for column, value in rows[0].items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    width = Console(width=10**4).measure(table).maximum
    Console(width=width).print(table)


def show_tables(arguments: argparse.Namespace) -> int:
    """Writes tables and figures of a set of scores; prints the paper's statistics beside ours."""
    if arguments.scores:
        results = run_results(read_scores(arguments.scores))
    elif arguments.submissions:
        results = read_submissions(arguments.submissions)
    else:
        results = published_results()
    tables = write_tables(results, arguments.out / "tables", arguments.labels)
    save_figures(results, model_labels(arguments.labels), arguments.out / "figures")
    statistics = tables["paper_statistics"]
    shown = statistics[statistics["ours"].notna()].to_dict("records")
    _print([{name: _short(value) for name, value in row.items()} for row in shown])
    benchmark = results[results["category"] != CUSTOM]
    print(
        f"{benchmark['model'].nunique()} models, {benchmark['task'].nunique()} of "
        f"{len(GENEB.tasks)} tasks; {len(tables)} tables and {len(FIGURES)} figures in "
        f"{arguments.out}"
    )
    return 0


def _short(value: object) -> str:
    return f"{value:.3f}".removesuffix(".000") if isinstance(value, float) else str(value)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "tasks": show_tasks,
    "tables": show_tables,
}


def main() -> int:
    """Runs a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m geneb_jax", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tasks = commands.add_parser("tasks", help="list tasks, or describe those of a folder")
    tasks.add_argument("--tasks_dir", type=Path, help="folder of task files")
    tasks.add_argument("--tasks", default="all", help="ids, labels, categories, suites, subsets")
    tasks.add_argument("--csv", type=Path, help="write the table, digests in full")
    tables = commands.add_parser("tables", help="the paper's tables and figures")
    source = tables.add_mutually_exclusive_group()
    source.add_argument("--scores", type=Path, help="scores.csv of a run")
    source.add_argument("--submissions", type=Path, help="folder of GENEB submission files")
    source.add_argument("--published", action="store_true", help="the published 40 (default)")
    tables.add_argument("--labels", choices=("v1", "v4"), default="v1", help="the paper's version")
    tables.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    try:
        return COMMANDS[arguments.command](arguments)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
