"""Tables that somebody wrote, read strictly: CSV, TSV and Parquet.

A row whose fields are not those of the header is refused, never shifted. Rows are counted from 1
below the header, without blank lines: a warning says where one stands between rows, and in a
table of one column it is an empty field. Messages name a row's line of the file too, where blank
lines or quoted newlines make it another than the row's number plus one.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from absl import logging

from geneb_jax.files.counts import counted
from geneb_jax.tasks.content import line_of, read_content

_SHOWN = 3  # problems of a kind that are named; the others are counted
_SHOWN_LETTERS = 40  # of a long field
_SHOWN_HEADER = 200  # letters of a header
_DELIMITER_NAMES = {",": "comma", "\t": "tab"}
# What may stand between fields instead, for a hint.
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


class TableError(ValueError):
    """A file is not the table that it must be; the message has a line for each problem."""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        name: What messages call the file.
        header: The names of its C columns.
        rows: N rows of C fields each.
        lines: The line of the file, from 1, in which each row begins.
    """

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def has(self, *names: str) -> bool:
        """Says whether a column has one of these lower-case names, in any case."""
        return bool(self._positions(names))

    def column(self, *names: str) -> list[str]:
        """Returns the fields of the one column that has one of these names.

        Args:
            names: Lower-case names; the case of the header and white space around it do not count.

        Returns:
            N fields, without white space around them.

        Raises:
            TableError: No column has such a name, or several have.
        """
        positions = self._positions(names)
        if not positions:
            header = ", ".join(" ".join(name.split()) for name in self.header)  # on one line
            raise TableError(
                f"{self.name} has no column {' or '.join(names)}; "
                f"it has {shown(header, _SHOWN_HEADER)}{self._delimiter_hint()}"
            )
        if len(positions) > 1:
            several = ", ".join(self.header[i].strip() for i in positions)
            raise TableError(
                f"{self.name} has {len(positions)} columns for one thing: {several}; "
                "rename or remove all but one"
            )
        return list(map(str.strip, map(itemgetter(*positions), self.rows)))

    def where(self, row: int) -> str:
        """Names a row, given by its index from 0, as in 'row 3 (line 5) of mine.csv'."""
        line = self.lines[row]
        return f"row {row + 1}{'' if line == row + 2 else f' (line {line})'} of {self.name}"

    def _positions(self, names: Sequence[str]) -> list[int]:
        return [i for i, name in enumerate(self.header) if name.strip().casefold() in names]

    def _delimiter_hint(self) -> str:
        if len(self.header) > 1:
            return ""
        found = [name for sign, name in _OTHER_DELIMITERS.items() if sign in self.header[0]]
        return f"; its fields seem to stand between {found[0]}" if found else ""


def shown(value: str, letters: int = _SHOWN_LETTERS) -> str:
    """Returns a text, or the first letters of a long one and its length."""
    return value if len(value) <= letters else f"{value[:letters]}... ({len(value)} letters)"


def first_problems(problems: Sequence[str], name: str) -> list[str]:
    """Returns the first three problems of a kind, and a line that counts the others.

    Args:
        problems: One a row of the file, in its order.
        name: The file's name.
    """
    more = len(problems) - _SHOWN
    rest = [f"... and {counted(more, 'more such row')} in {name}"] if more > 0 else []
    return [*problems[:_SHOWN], *rest]


def read_table(path: Path, name: str) -> Table:
    """Reads a table by the file's ending, one of `ENDINGS` in any case.

    A CSV or TSV file is UTF-8, with or without byte order mark; lines end with LF, CR LF or CR;
    a field that holds the delimiter, a quote or a newline stands in double quotes (RFC 4180).

    Args:
        path: The file.
        name: What messages call it.

    Raises:
        TableError: The file cannot be read, or is no table; every such row is counted.
    """
    ending = table_ending(path.name)
    if ending is None:
        raise TableError(f"{name} is not a table; valid endings: {', '.join(ENDINGS)}")
    return ENDINGS[ending](path, name)


def table_ending(name: str) -> str | None:
    """Returns the one of `ENDINGS` that a file's name has, in any case; None: it has none."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)


def _delimited(path: Path, name: str, delimiter: str) -> Table:
    """Reads a CSV or TSV file."""
    text = _text(path, name)
    lines = io.StringIO(text, newline="").readlines()
    spans, problems = _spans(lines, delimiter, name)
    if not spans and not problems:
        raise TableError(f"{name} is empty")
    (_, _, header), *rows = spans or [(0, 0, [])]
    if not rows and not problems:
        raise TableError(f"{name} has a header and no rows")
    problems = [
        *_wrong_counts(rows, header, delimiter, name),
        *_swallowed(rows, header, lines, delimiter, name),
        *problems,
    ]
    if problems:
        raise TableError("\n".join(problems))
    _say_blank_lines(spans, name)
    return Table(name, header, [row for _, _, row in rows], [start + 1 for start, _, _ in rows])


def _text(path: Path, name: str) -> str:
    try:
        content = read_content(path, name)
    except ValueError as error:
        raise TableError(str(error)) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = line_of(error.object, error.start)
        at = f"row {line - 1} (line {line})" if line > 1 else "its header"
        raise TableError(f"{name} is not UTF-8 in {at}; save it as UTF-8") from error
    if "\0" in text:
        line = line_of(content, content.index(b"\0"))
        raise TableError(
            f"{name} holds a NUL byte in line {line}: it is damaged or not UTF-8; save it as UTF-8"
        )
    return text


_Span = tuple[int, int, list[str]]  # a row is lines[start:end]; its fields


def _spans(lines: Sequence[str], delimiter: str, name: str) -> tuple[list[_Span], list[str]]:
    """Parses rows, up to what is no CSV; that is a problem.

    Blank lines are left out, but for those between the rows of one column: there they are a row
    whose field is empty.
    """
    spans, one_column_gap, problems, start = [], [], [], 0
    # A field may be as long as the file: the module's limit is for all of its users.
    limit = csv.field_size_limit(max(sum(map(len, lines)), 1))
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        for row in reader:
            if not _is_blank(lines[start : reader.line_num], row):
                spans += one_column_gap
                spans.append((start, reader.line_num, row))
                one_column_gap = []
            elif spans and len(spans[0][2]) == 1:
                one_column_gap.append((start, reader.line_num, [""]))
            start = reader.line_num
    except csv.Error as error:
        kind = "CSV" if delimiter == "," else "TSV"
        reason = (
            f"a quote that opens in the row of line {start + 1} is never closed"
            if "unexpected end of data" in str(error)
            else f"in the row of line {start + 1} text follows a closing quote"
        )
        problems = [f"{name} is not a {kind} file: {reason}; write a quote inside a field twice"]
    finally:
        csv.field_size_limit(limit)
    return spans, problems


def _is_blank(lines: Sequence[str], row: Sequence[str]) -> bool:
    """Says whether nothing stands in the lines of a row, which a quoted empty field is not."""
    return len(row) < 2 and not "".join(lines).strip()


def _say_blank_lines(spans: Sequence[_Span], name: str) -> None:
    """Warns of blank lines between rows, which whoever counts lines would take for rows."""
    gaps = [(end + 1, start - end) for (_, end, _), (start, _, _) in pairwise(spans) if start > end]
    if gaps:
        logging.warning(
            "%s: %s between its rows, first line %d: no row is read there; remove it, or give it "
            "the fields that are missing",
            *(name, counted(sum(lines for _, lines in gaps), "blank line"), gaps[0][0]),
        )


def _wrong_counts(
    rows: Sequence[_Span], header: Sequence[str], delimiter: str, name: str
) -> list[str]:
    """Names rows that have not as many fields as the header."""
    width = len(header)
    if {len(row) for _, _, row in rows} <= {width}:
        return []
    wrong = [(i, start, len(row)) for i, (start, _, row) in enumerate(rows) if len(row) != width]
    counts = [count for _, _, count in wrong]
    mends = []
    if max(counts) > width:
        mends.append(f"quote a field that holds a {_DELIMITER_NAMES[delimiter]}")
    if min(counts) < width:
        mends.append("add the fields that are missing; the file may be cut short")
    if len(wrong) == len(rows) and set(counts) == {width + 1}:
        mends.append(
            "or, where R wrote row names, which have no name in its header, leave them out "
            "(row.names = FALSE) or name their column"
        )
    problems = [
        f"line {start + 1} (row {i + 1}) of {name} has {count} fields, but the header has {width}"
        for i, start, count in wrong
    ]
    problems[0] = f"{problems[0]}: {'; '.join(mends)}"
    return first_problems(problems, name)


def _swallowed(
    rows: Sequence[_Span],
    header: Sequence[str],
    lines: Sequence[str],
    delimiter: str,
    name: str,
) -> list[str]:
    """Names rows that a stray quote seems to have made of several.

    A row of several lines is suspect where each of them, split at the delimiter alone, has as
    many fields as the header.
    """
    suspect = [
        f"lines {start + 1} to {end} of {name} are one row because of a quote, but each could be "
        "a row: remove the stray quote, or the newlines inside the field"
        for start, end, _ in rows
        if end - start > 1
        and all(
            line.count(delimiter) == len(header) - 1 for line in lines[start:end] if line.strip()
        )
    ]
    return first_problems(suspect, name)


def _parquet(path: Path, name: str) -> Table:
    """Reads a Parquet file through pandas, where a library for it is installed."""
    import pandas as pd  # noqa: PLC0415 (no other table needs it)

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise TableError(
            f"{name}: a Parquet file needs the package pyarrow, which is not installed; "
            "install it or save the table as CSV"
        ) from error
    except Exception as error:  # whatever the installed library raises for a damaged file
        raise TableError(f"{name} cannot be read: {error}") from error
    if frame.empty:
        raise TableError(f"{name} has a header and no rows")
    text = frame.astype(object).where(frame.notna(), "").map(str)
    rows = text.to_numpy().tolist()
    return Table(name, list(map(str, frame.columns)), rows, range(2, len(rows) + 2))


# Reads a file of each ending; a name ends with at most one of them.
ENDINGS: Mapping[str, Callable[[Path, str], Table]] = {
    ".csv": lambda path, name: _delimited(path, name, ","),
    ".tsv": lambda path, name: _delimited(path, name, "\t"),
    ".csv.gz": lambda path, name: _delimited(path, name, ","),
    ".tsv.gz": lambda path, name: _delimited(path, name, "\t"),
    ".parquet": _parquet,
}
