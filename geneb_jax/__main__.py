"""`python -m geneb_jax tasks`: what the tasks are and what data is at hand.

`python -m geneb_jax tables`: the paper's tables, figures and a report of published or own scores.

`python -m geneb_jax embed`: the embeddings of any sequences, as geneb_jax.embed gives them.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from geneb_jax.benchmark import GENEB, select_tasks
from geneb_jax.config import LABELS, PRESETS
from geneb_jax.models import DTYPES, OWN_DTYPE
from geneb_jax.presentation import present
from geneb_jax.results import read_source
from geneb_jax.scores import write_whole
from geneb_jax.sequences import read_sequences
from geneb_jax.summary import print_statistics
from geneb_jax.tasks import describe, find_tasks, read_task

_LENGTHS = ("min", "median", "max")
_DUPLICATES = ("duplicates in train", "duplicates in test", "test rows in train")
_TAPS = "-1 final, 0 embedding, i after block i; several with commas, or all"
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
    """Writes tables, figures and report of a set of scores; prints the paper's statistics."""
    chosen = arguments.scores or arguments.submissions
    source = read_source(str(chosen)) if chosen else None
    tables = present(
        source.results if source else None,
        arguments.out,
        scores=source.scores if source else None,
        provenance=source.provenance if source else None,
        version=arguments.labels,
        beside=arguments.published,
    )
    if "paper_statistics" in tables:
        print_statistics(tables["paper_statistics"], _wide_console())
    print(f"{len(tables)} tables, the figures and report/index.html are in {arguments.out}")
    return 0


def _wide_console() -> Console:
    """A terminal as it is; a file or pipe wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def embed_file(arguments: argparse.Namespace) -> int:
    """Embeds the records of a file."""
    # These load JAX, which the other commands do without.
    from geneb_jax.features import embed_views  # noqa: PLC0415

    names, sequences = read_sequences(arguments.input)
    if arguments.out.suffix != ".npz":
        raise ValueError(f"{arguments.out}: name a file that ends with .npz")
    if not arguments.out.absolute().parent.is_dir():
        raise ValueError(f"{arguments.out.absolute().parent}: no such folder")
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(arguments.model, total=len(set(sequences)))
        found = embed_views(
            arguments.model,
            sequences,
            checkpoints_dir=arguments.checkpoints_dir,
            taps=() if arguments.taps == "all" else [*map(_tap, arguments.taps.split(","))],
            poolings=arguments.poolings.split(","),
            preset=arguments.preset,
            dtype=arguments.dtype,
            names=names,
            advance=lambda done: bars.advance(bar, done),
        )
    arrays = {
        "embeddings" if len(found) == 1 else f"{view.tap}/{view.pooling}": array
        for view, array in found.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.array(names), **arrays)  # pyright: ignore (its stub)
    write_whole(arguments.out, buffer.getvalue())
    for name, array in arrays.items():
        print(f"{name}: float32 {list(array.shape)}")
    print(f"ids: {len(names)} names; all in {arguments.out}")
    return 0


def _tap(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--taps: '{text}' is no number; valid: {_TAPS}") from None


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "tasks": show_tasks,
    "tables": show_tables,
    "embed": embed_file,
}


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    Args:
        words: The command line behind the program's name; None: that of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m geneb_jax", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tasks = commands.add_parser("tasks", help="list tasks, or describe those of a folder")
    tasks.add_argument("--tasks_dir", type=Path, help="folder of task files")
    tasks.add_argument("--tasks", default="all", help="ids, labels, categories, suites, subsets")
    tasks.add_argument("--csv", type=Path, help="write the table, digests in full")
    tables = commands.add_parser("tables", help="the paper's tables, figures and the report")
    source = tables.add_mutually_exclusive_group()
    source.add_argument("--scores", type=Path, help="scores.csv of a run, or its workdir")
    source.add_argument("--submissions", type=Path, help="folder of GENEB submission files")
    tables.add_argument(
        "--published",
        action="store_true",
        help="the published 40 (the default), beside --scores or --submissions on common tasks",
    )
    tables.add_argument("--labels", choices=LABELS, default="v1", help="the paper's version")
    tables.add_argument("--out", type=Path, required=True, help="folder to write")
    embed = commands.add_parser("embed", help="embeddings of the sequences of a file")
    embed.add_argument("--model", required=True, help="model id, ID:random, ID:random:tiny, kmer-4")
    embed.add_argument("--input", type=Path, required=True, help=".fa, .csv or .txt, also .gz")
    embed.add_argument("--out", type=Path, required=True, help=".npz of `ids` and `embeddings`")
    embed.add_argument("--checkpoints_dir", type=Path, help="one folder a model id; else the hub")
    embed.add_argument("--taps", default="-1", help=_TAPS)
    embed.add_argument("--poolings", default="preset", help="preset,mean,max,first,last")
    embed.add_argument("--preset", default="corrected", choices=PRESETS)
    embed.add_argument("--dtype", default=OWN_DTYPE, choices=DTYPES)
    arguments = parser.parse_args(words)
    try:
        return COMMANDS[arguments.command](arguments)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
