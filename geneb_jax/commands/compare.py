"""`geneb-jax compare WORKDIR WORKDIR`: what differs between two runs."""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, FAILED, Parser

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10  # differences of a kind that are printed


def main(words: Sequence[str]) -> int:
    """Prints what differs; ends with status 0 where nothing does, else with 1."""
    parser = Parser(prog="geneb-jax compare", description=__doc__)
    parser.add_argument("first", type=local_path, help="a run's workdir")
    parser.add_argument("second", type=local_path, help="another one")
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.0,
        help="largest difference of a metric that counts as none (default 0)",
    )
    parser.add_argument("--out", type=local_path, help="CSV file that takes all differences")
    arguments = parser.parse_args(words)

    from geneb_jax.files.atomic import write_whole
    from geneb_jax.files.counts import counted
    from geneb_jax.presentation.comparison import as_table, compare, read_side

    sides = read_side(arguments.first), read_side(arguments.second)
    differences = as_table(compare(*sides, arguments.tolerance))
    if arguments.out:
        text = differences.to_csv(index=False, lineterminator="\n")
        write_whole(arguments.out, text.encode())
    if differences.empty:
        rows = counted(len(sides[0].scores), "row")
        print(f"equal: {rows} of scores, their data, weights and versions")
        return DONE
    _print(differences)
    return FAILED


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of at least 0")
    return value


def _print(differences: "pd.DataFrame") -> None:
    from rich.table import Table

    from geneb_jax.benchmark import GENEB
    from geneb_jax.presentation.comparison import COLUMNS, KINDS
    from geneb_jax.presentation.console import wide_console

    labels = {task.id: task.label for task in GENEB.tasks}
    differences = differences.assign(task=differences["task"].replace(labels))
    table = Table()
    for name in COLUMNS:
        numeric = name in ("first", "second", "difference")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for kind in KINDS:
        rows = differences[differences["kind"] == kind]
        for row in rows.head(_SHOWN).itertuples(index=False, name=None):
            table.add_row(*map(_shown, row))
        if len(rows) > _SHOWN:
            table.add_row(kind, f"... and {len(rows) - _SHOWN} more", *[""] * (len(COLUMNS) - 2))
        if len(rows):
            table.add_section()
    console = wide_console(160)
    console.print(table)
    counts = differences["kind"].value_counts()
    console.print(
        "they differ: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts)
    )


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
