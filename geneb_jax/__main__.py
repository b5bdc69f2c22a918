"""`python -m geneb_jax tasks`: what the tasks are and what data is at hand."""

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

from geneb_jax.benchmark import GENEB, select_tasks
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


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {"tasks": show_tasks}


def main() -> int:
    """Runs a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m geneb_jax", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tasks = commands.add_parser("tasks", help="list tasks, or describe those of a folder")
    tasks.add_argument("--tasks_dir", type=Path, help="folder of task files")
    tasks.add_argument("--tasks", default="all", help="ids, labels, categories, suites, subsets")
    tasks.add_argument("--csv", type=Path, help="write the table, digests in full")
    arguments = parser.parse_args()
    try:
        return COMMANDS[arguments.command](arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
