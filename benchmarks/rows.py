"""Rows of what is measured: each is printed as it ends, and kept as a line of JSON."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Rows:
    """A table that is printed row by row, and the file that keeps its rows."""

    def __init__(self, columns: Mapping[str, str], out: Path | None = None) -> None:
        """Prints the head.

        Args:
            columns: The name of each column, and the format of its values, such as '50s', '9,d' or
                '8.2f', with the width. Columns whose format ends in 's' lie on the left.
            out: Takes each row as a line of JSON, behind those that are there; None: none is kept.
        """
        self._columns, self._out = columns, out
        self._print({name: name for name in columns})

    def add(self, row: Row) -> Row:
        """Prints a row, writes it to the file, and returns it.

        Args:
            row: Values by name: numbers (NumPy's too), strings, lists or tuples of these, or None
                for what there is not. What has no column is written alone.
        """
        self._print({name: _cell(row.get(name), own) for name, own in self._columns.items()})
        keep(self._out, row)
        return row

    def _print(self, cells: Mapping[str, str]) -> None:
        padded = []
        for name, own in self._columns.items():
            width = max([len(name), *map(int, re.findall(r"^[+]?(\d+)", own))])
            align = str.ljust if own.endswith("s") else str.rjust
            padded.append(align(cells[name], width))
        print("  ".join(padded).rstrip())


def _cell(value: Any, format_: str) -> str:
    """Returns a value as its column has it; words in a column of numbers as they are."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(_cell(part, re.sub(r"^\d+", "", format_)) for part in value)
    return str(value) if isinstance(value, str | bool) else format(value, format_)


def keep(out: Path | None, row: Row) -> None:
    """Writes a row at the end of a file, as a line of JSON; NumPy's numbers as Python's."""
    if out is not None:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, default=lambda number: number.item()) + "\n")


def read_rows(out: Path | None) -> list[Row]:
    """Returns the rows that stand in a file; none where there is no file.

    Raises:
        ValueError: A line is not a row; names file and line.
    """
    if out is None or not out.is_file():
        return []
    rows = []
    for number, line in enumerate(out.read_text("utf-8", "replace").splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(
                f"{out}, line {number}: no row of a benchmark: {line[:60]!r}; remove the line, or "
                "give another file"
            ) from error
    return rows
