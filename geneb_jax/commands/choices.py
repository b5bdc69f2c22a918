"""`geneb-jax choices`: how much layers, presets, solvers, C and others move the leaderboard."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from geneb_jax.presentation.console import wide_console
from model_ports.exits import DONE, WRONG, Parser

_SAME = 1e-9  # MCC of the same rows, by two engines


def main(words: Sequence[str]) -> int:
    """Compares the choices in one or several workdirs; writes and prints the tables."""
    parser = Parser(prog="geneb-jax choices", description=__doc__)
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        help="scores.csv of runs, or their workdirs; rows of all count together",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(words)

    from geneb_jax.ownership import held

    with held(arguments.out):
        return _compare(arguments)


def _compare(arguments: argparse.Namespace) -> int:
    """Writes and prints the tables."""
    import functools

    import pandas as pd

    from geneb_jax.presentation.choices import CHOICES, choices_tables
    from geneb_jax.presentation.summary import print_choices
    from geneb_jax.presentation.tables import remove_tables, write_table
    from geneb_jax.scoring.scores import KEY_COLUMNS, merge, read_scores

    files = [path / "scores.csv" if path.is_dir() else path for path in arguments.scores]
    # Where two runs have a row, that with a choice on train counts.
    read = sorted(map(read_scores, files), key=lambda scores: "train_MCC" in scores)
    merged, other = (functools.reduce(merge, tables) for tables in (read, read[::-1]))
    keys = list(KEY_COLUMNS)
    apart = merged.set_index(keys)["MCC"] - other.set_index(keys)["MCC"].reindex(
        pd.MultiIndex.from_frame(merged[keys])
    )
    if differing := int((apart.abs() > _SAME).sum()):
        raise ValueError(
            f"--scores: {differing:,} rows of two runs are of the same choice and differ in MCC: "
            "the runs are of other weights, data or versions; compare one of them at a time"
        )
    tables = choices_tables(merged)
    if "choices" not in tables:
        print("these scores have one choice of everything; there is nothing to compare")
        return WRONG
    for name, table in tables.items():
        write_table(table, arguments.out / name)
    remove_tables(set(CHOICES) - tables.keys(), arguments.out)
    print_choices(tables, wide_console(160))
    print(f"{', '.join(tables)} are in {arguments.out}")
    return DONE
