"""A table as LaTeX that a page of a journal takes (booktabs), to stand between \\begin{table} and
\\end{table}, or alone where it is longer than a page."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.escapes import latex_text
from geneb_jax.presentation.numbers import are_numbers

_LONGEST, _LONGEST_TURNED = 50, 30  # lines on a page, and on one that lies on its side
_TURNED = 1.4  # times as wide as a line is such a page's
_WIDEST = 36  # letters of a column whose texts do not break
_BROKEN, _MOST_BROKEN = 0.6, 0.36  # shares of the line for all columns that break, and for one
# Type sizes with the digits that a line of 17 cm has room for, and those between two columns.
_SIZES = (("", 96, 2.5), (r"\footnotesize", 112, 1.4), (r"\scriptsize", 120, 1.5))
_UPRIGHT = 2.0  # digits that an upright head takes
# Widths of letters in digits, of Computer Modern; the others are about as wide as a digit.
_WIDTHS = {
    **dict.fromkeys("ijl.,:;'|!()[]", 0.56),
    **dict.fromkeys("frst -/", 0.75),
    **dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ", 1.4),
    **dict.fromkeys("mwMW−", 1.7),
}
_BREAKS = re.compile(r"(\\_|[:./])")  # after which a name may go on in the next line
_COMMENT = "% \\usepackage{array, booktabs, graphicx, longtable, pdflscape}\n"


class _Column(NamedTuple):
    """A column, and how it is set.

    Attributes:
        group: What stands above it and its neighbours; '': nothing does.
        name: Its head.
        cells: Its texts.
    """

    group: str
    name: str
    cells: Sequence[str]

    @property
    def numbers(self) -> bool:
        return are_numbers(self.cells)

    @property
    def breaks(self) -> bool:
        return max(map(len, self.cells)) > _WIDEST

    def width(self, upright: bool) -> float:
        """Returns the digits that the column is wide, with its head upright or not."""
        return max(_UPRIGHT if upright else _width(self.name), *map(_width, self.cells))


def latex_table(table: pd.DataFrame) -> str:
    """Returns a table as LaTeX, in a type so small that it is no wider than a page's text.

    Names of categories stand upright, so that their columns are as wide as their numbers; where
    that is not enough, the heads of all columns of numbers do, and then the page lies on its side.
    A table of more lines than a page has breaks over pages and repeats its head there.

    Args:
        table: Of texts, with a row at least. Columns go by their names, or by pairs: a name that
            stands above several ('': nothing does), and one below it. Columns of numbers are set to
            the right, and what is missing of them is a dash.

    Returns:
        The table, or '' where it is wider than a page on its side in the smallest type.
    """
    columns = [
        _Column(str(group), str(name), list(map(str, table.iloc[:, i])))
        for i, (group, name) in enumerate(
            name if isinstance(name, tuple) else ("", name) for name in table.columns
        )
    ]
    broken = sum(column.breaks for column in columns)
    share = min(_BROKEN / max(broken, 1), _MOST_BROKEN)  # of the line, for each that breaks
    categories = [column.name in GENEB.categories for column in columns]
    numbers = [column.numbers for column in columns]
    ways = [*((*size, categories) for size in _SIZES), (*_SIZES[-1], numbers)]
    for turned, (size, room, gap, upright) in itertools.product((False, True), ways):
        line = room * (_TURNED if turned else 1)
        each = zip(columns, upright, strict=True)
        width = sum(column.width(up) for column, up in each if not column.breaks)
        if width + gap * len(columns) <= line * (1 - share * broken):
            return _typeset(columns, upright, size, share, line, turned)
    return ""


def _width(text: str) -> float:
    return sum(_WIDTHS.get(letter, 1.0) for letter in text)


def _typeset(
    columns: Sequence[_Column],
    upright: Sequence[bool],
    size: str,
    share: float,
    room: float,
    turned: bool,
) -> str:
    """Returns the table.

    Args:
        columns: Its columns.
        upright: Whether their heads stand upright.
        size: Of the type; '': as around it.
        share: Of the line, for each column that breaks.
        room: Digits, and about as many letters, of a line.
        turned: Whether the page lies on its side.
    """
    paragraph = rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
    aligned = "".join(
        "r" if column.numbers else paragraph if column.breaks else "l" for column in columns
    )
    rows = list(zip(*(map(_cell(column), column.cells) for column in columns), strict=True))
    texts = zip(*(column.cells for column in columns), strict=True)
    lines = sum(math.ceil(max(map(len, row)) / (room * share)) for row in texts)
    long = lines > (_LONGEST_TURNED if turned else _LONGEST)
    environment = "longtable" if long else "tabular"
    heads = [_head(column.name, up) for column, up in zip(columns, upright, strict=True)]
    found = [
        rf"\begin{{{environment}}}{{{aligned}}}",
        r"\toprule",
        *_groups([column.group for column in columns]),
        _row(heads),
        r"\midrule",
        *([r"\endhead"] if long else []),
        *map(_row, rows),
        r"\bottomrule",
        rf"\end{{{environment}}}",
    ]
    if size:
        found = [rf"\begingroup{size}\setlength{{\tabcolsep}}{{3pt}}", *found, r"\endgroup"]
    if turned:
        found = [r"\begin{landscape}", *found, r"\end{landscape}"]
    return _COMMENT + "\n".join(found) + "\n"


def _cell(column: _Column) -> Callable[[str], str]:
    """Returns what makes a cell of a column of a text."""

    def cell(text: str) -> str:
        shown = latex_text(text) or ("--" if column.numbers else "")
        return _BREAKS.sub(r"\1\\allowbreak{}", shown) if column.breaks else shown

    return cell


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _head(name: str, upright: bool) -> str:
    text = latex_text(name)
    return rf"\rotatebox{{90}}{{{text}}}" if upright else text


def _groups(names: Sequence[str]) -> list[str]:
    """Returns the lines of the names above several columns; none where there are no such names."""
    if not any(names):
        return []
    cells, rules, start = [], [], 0
    while start < len(names):
        end = start + 1
        while end < len(names) and names[end] == names[start]:
            end += 1
        cells.append(rf"\multicolumn{{{end - start}}}{{c}}{{{latex_text(names[start])}}}")
        if names[start]:
            rules.append(rf"\cmidrule(lr){{{start + 1}-{end}}}")
        start = end
    return [_row(cells), "".join(rules)]
