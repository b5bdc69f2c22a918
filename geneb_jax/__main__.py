"""`python -m geneb_jax tasks`: what the tasks are and what data is at hand."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from geneb_jax.benchmark import GENEB, select_tasks
from geneb_jax.tasks import describe, find_tasks, read_task

_FORMATS = {"smallest class": "{:.0%}", "largest class": "{:.0%}"}
_SHA_SHOWN = 12


def show_tasks(arguments: argparse.Namespace) -> int:
    """Prints the tasks of a folder, or the benchmark's definition without one."""
    if arguments.tasks_dir is None:
        chosen = select_tasks(arguments.tasks)
        rows = [
            {"id": t.id, "label": t.label, "category": t.category, "suite": t.suite} for t in chosen
        ]
        _print(pd.DataFrame(rows))
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
    table = pd.DataFrame(rows)
    if arguments.csv:
        table.to_csv(arguments.csv, index=False)
    if rows:
        _print(table)
    print(f"{len(rows)} tasks in {arguments.tasks_dir}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return int(bool(problems) or not rows)


def _print(frame: pd.DataFrame) -> None:
    """Prints a frame wide enough that no cell is cut, digests shortened."""
    table = Table(box=None, pad_edge=False)
    numeric = frame.select_dtypes("number").columns
    for column in frame:
        heading = str(column).replace(" ", "\n")
        table.add_column(heading, justify="right" if column in numeric else "left", no_wrap=True)
    for row in frame.to_dict("records"):
        table.add_row(*(_cell(str(column), value) for column, value in row.items()))
    console = Console()
    console = Console(width=max(console.width, console.measure(table).maximum))
    console.print(table)


def _cell(column: str, value: object) -> str:
    if column.endswith("sha256"):
        return str(value)[:_SHA_SHOWN]
    return _FORMATS.get(column, "{}").format(value)


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
