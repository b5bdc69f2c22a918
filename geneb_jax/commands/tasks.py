"""`geneb-jax tasks`: what the tasks of the benchmark are, what data is at hand, and its audit."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from geneb_jax.benchmark import GENEB, select_tasks
from geneb_jax.config import AuditSettings, fields
from geneb_jax.files.counts import counted
from geneb_jax.presentation.console import plain_console
from model_ports.exits import DONE, WRONG, Parser

if TYPE_CHECKING:
    from rich.progress import Progress

    from geneb_jax.tasks.task import Task

_LENGTHS = ("min", "median", "max")
_DUPLICATES = ("duplicates in train", "duplicates in test", "test rows in train")
_CONFLICTS = ("conflicting in train", "conflicting in test", "conflicting in train and test")
_THRESHOLDS = [field for field in fields() if field.name.startswith("leaky_")]
_CACHE = next(field for field in fields() if field.name == "cache_dir")
_LONG = 1.0  # seconds that an audit takes of which a line is printed where there is no terminal
_SHA_SHOWN = 12  # digits; --csv writes all


def main(words: Sequence[str]) -> int:
    """Prints the tasks of a folder, or the benchmark's definition without one.

    Returns:
        The exit status: WRONG where a task cannot be read, or none is there.
    """
    parser = Parser(prog="geneb-jax tasks", description=__doc__)
    parser.add_argument("--tasks_dir", type=Path, help="folder of task files")
    parser.add_argument("--tasks", default="all", help="ids, labels, categories, suites, subsets")
    parser.add_argument("--csv", type=Path, help="write the table, digests in full")
    parser.add_argument(
        "--audit",
        action="store_true",
        help="look for copies, shuffle twins and near copies of train records in test, and for "
        "rules that answer a task without a model; without --tasks_dir of the pinned data set",
    )
    parser.add_argument("--out", type=Path, help="folder of --audit: audit.csv, rules.csv, ...")
    for field in (*_THRESHOLDS, _CACHE):
        parser.add_argument(
            f"--{field.name}", type=field.check, default=field.default, help=field.help
        )
    arguments = parser.parse_args(words)
    if arguments.audit:
        if arguments.out is None:
            raise ValueError("--audit writes files: name a folder with --out=DIR")
        if arguments.csv is not None:
            raise ValueError("--csv writes the table of tasks; --audit writes into --out=DIR")
        settings = AuditSettings(
            **{field.name: getattr(arguments, field.name) for field in _THRESHOLDS}
        )
        from geneb_jax.ownership import held

        with held(arguments.out):
            return _audit(
                arguments.tasks_dir, arguments.tasks, arguments.out, settings, arguments.cache_dir
            )
    if arguments.out is not None:
        raise ValueError("--out is the folder of --audit; --csv=FILE writes the table of tasks")
    if arguments.csv and not arguments.csv.absolute().parent.is_dir():
        raise ValueError(f"--csv={arguments.csv}: no such folder {arguments.csv.parent}")
    if arguments.tasks_dir is not None:
        return _describe(arguments.tasks_dir, arguments.tasks, arguments.csv)
    chosen = select_tasks(arguments.tasks)
    _print([asdict(task) for task in chosen])
    if arguments.csv:
        _write_csv([asdict(task) for task in chosen], arguments.csv)
    print(f"{len(chosen)} of {len(GENEB.tasks)} tasks; --tasks_dir DIR describes data at hand")
    return DONE


def _describe(folder: Path, tasks: str, csv: Path | None) -> int:
    """Prints sizes, classes, duplicates and fingerprints of a folder's tasks."""
    from rich.progress import track

    from geneb_jax.audit.copies import describe_copies
    from geneb_jax.tasks.description import describe
    from geneb_jax.tasks.reading import find_tasks, read_task
    from geneb_jax.tasks.selection import choose_tasks

    chosen = find_tasks(folder).values() if tasks == "all" else choose_tasks(folder, tasks)
    rows, problems = [], []
    for info in track(list(chosen), "reading", console=Console(stderr=True), transient=True):
        try:
            task = read_task(folder, info)
            rows.append(describe(task) | describe_copies(task))
        except ValueError as error:
            problems.append(str(error))
    if csv:
        _write_csv(rows, csv)
    if rows:
        _print([_compact(row) for row in rows])
    print(f"{counted(len(rows), 'task')} in {folder}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return WRONG if problems or not rows else DONE


def _audit(
    folder: Path | None, tasks: str, out: Path, settings: AuditSettings, cache_dir: str
) -> int:
    """Audits the tasks of a folder, one after the other, and writes and prints what was found."""
    from geneb_jax.audit.cached import audits_folder
    from geneb_jax.audit.copies import task_keys
    from geneb_jax.audit.cost import expected_seconds
    from geneb_jax.audit.kept import find_kept, make_kept
    from geneb_jax.devices.programs import keep_programs
    from geneb_jax.presentation.auditing import audit_lines, audit_summary, write_audit
    from geneb_jax.presentation.figures.audit import save_audit_figure
    from geneb_jax.tasks.hub import fetch_tasks
    from geneb_jax.tasks.reading import read_task
    from geneb_jax.tasks.selection import choose_tasks

    chosen = list(select_tasks(tasks)) if folder is None else choose_tasks(folder, tasks)
    folder = folder or fetch_tasks([info.id for info in chosen])
    keep_programs(cache_dir)
    kept, cache = out / "audit", audits_folder(cache_dir)
    audits, keys, problems = [], [], []
    screen = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with _bars(screen) as bars:
        bar = bars.add_task("", total=len(chosen))
        for number, info in enumerate(chosen, 1):
            bars.update(bar, completed=number - 1, description=f"reading {info.id}")
            try:
                task = read_task(folder, info)
            except ValueError as error:
                problems.append(str(error))
                continue
            audit = find_kept(kept, task, cache)
            if audit is None:
                what = _announced(task)
                bars.update(bar, description=f"auditing {what}")
                if not screen.is_terminal and expected_seconds(task) >= _LONG:
                    screen.print(f"auditing task {number} of {len(chosen)}, {what}", soft_wrap=True)
                audit = make_kept(kept, task, cache)
            audits.append(audit)
            keys.append(task_keys(task))
    written = write_audit(out, audits, keys, settings)
    rows = written.to_dict("records")
    if rows:
        save_audit_figure(written, out)
        _print([audit_summary(row) for row in rows])
        print("\n".join(audit_lines(rows)))
    count = counted(len(rows), "task")
    print(f"{count} in {folder}; audit.csv, audit.png and the other files are in {out}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return WRONG if problems or not rows else DONE


def _announced(task: "Task") -> str:
    """Returns which task is audited, and about how long that takes."""
    from geneb_jax.audit.cost import expected_seconds

    train, test = (len(split.labels) for split in (task.train, task.test))
    seconds = max(expected_seconds(task), 1)
    return f"{task.info.id}: {train:,} x {test:,} records, about {seconds:.0f} s"


def _bars(screen: Console) -> "Progress":
    """Returns a bar over tasks, which is shown on terminals alone."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import pandas as pd

    from geneb_jax.files.atomic import write_whole

    write_whole(path, pd.DataFrame(rows).to_csv(index=False).encode())


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
        "of two labels in\ntrain/test/across": "/".join(str(row[name]) for name in _CONFLICTS),
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
    plain_console(plain_console(10**4).measure(table).maximum).print(table)
