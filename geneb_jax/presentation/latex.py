"""A table as LaTeX that a page of a journal takes (booktabs), to stand between \\begin{table} and
\\end{table}, or alone where it is longer than a page."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.escapes import latex_text

_LONGEST = 50  # rows on a page
_WIDEST = 36  # letters of a column whose texts do not break
_BROKEN = 0.6  # share of the line that columns of longer texts have together, and at most 0.36 each
# Type sizes with the letters that a line 16 cm wide has room for.
_SIZES = (("", 96), (r"\footnotesize", 106), (r"\scriptsize", 999))
_GAP = 2  # letters between columns
_NUMBERS = re.compile("([−<]?\\d.*)?")  # and intervals, shares, sizes; also nothing
_COMMENT = "% \\usepackage{array, booktabs, graphicx, longtable}\n"


def latex_table(table: pd.DataFrame) -> str:
    """Returns a table as LaTeX, in a type so small that it is no wider than a page's text.

    Names of categories stand upright, so that their columns are as wide as their numbers. A table
    of more than 50 rows breaks over pages and repeats its head there.

    Args:
        table: Of texts, with a row at least. Columns go by their names, or by pairs: a name that
            stands above several ('': nothing does), and one below it. Columns of numbers are set to
            the right, and what is missing of them is a dash.
    """
    heads = [name if isinstance(name, tuple) else ("", str(name)) for name in table.columns]
    cells = [list(map(str, column)) for _, column in table.items()]
    numbers = [all(map(_NUMBERS.fullmatch, column)) for column in cells]
    widths = [max(map(len, column)) for column in cells]
    broken = min(_BROKEN / max(sum(width > _WIDEST for width in widths), 1), 0.36)
    paragraph = rf">{{\raggedright\arraybackslash}}p{{{broken:.2f}\linewidth}}"
    aligned = "".join(
        "r" if of_numbers else paragraph if width > _WIDEST else "l"
        for width, of_numbers in zip(widths, numbers, strict=True)
    )
    rows = [
        _row(
            latex_text(text) or ("--" if of_numbers else "")
            for text, of_numbers in zip(row, numbers, strict=True)
        )
        for row in zip(*cells, strict=True)
    ]
    head = [r"\toprule", *_groups([group for group, _ in heads])]
    head += [_row(_head(name) for _, name in heads), r"\midrule"]
    long = len(rows) > _LONGEST
    environment = "longtable" if long else "tabular"
    body = [*head, *([r"\endhead"] if long else []), *rows, r"\bottomrule"]
    lines = [rf"\begin{{{environment}}}{{{aligned}}}", *body, rf"\end{{{environment}}}"]
    letters = sum(
        _GAP + (100 * broken if width > _WIDEST else max(width, _head_width(name)))
        for width, (_, name) in zip(widths, heads, strict=True)
    )
    size = next(size for size, room in _SIZES if letters <= room)
    if size:
        lines = [rf"\begingroup{size}\setlength{{\tabcolsep}}{{3pt}}", *lines, r"\endgroup"]
    return _COMMENT + "\n".join(lines) + "\n"


def _head_width(name: str) -> int:
    return 0 if name in GENEB.categories else len(name)


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _head(name: str) -> str:
    text = latex_text(name)
    return rf"\rotatebox{{90}}{{{text}}}" if name in GENEB.categories else text


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
