"""Names from files and other people, made harmless in the tables that show them.

A text that spreadsheets, Markdown or LaTeX would act on is shown as it reads. scores.csv, which is
read back exactly, does without: names that begin like a formula are refused when tasks are read.
"""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"[=+@\t\r-]")  # OWASP, CSV injection
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in "\\`*[]|<&"})
_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "\N{MINUS SIGN}": "$-$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
    }
)


def csv_text(text: str) -> str:
    """Returns a text with an apostrophe before it, if a spreadsheet would take it for a formula."""
    harmless = not _FORMULA.match(text) or _NUMBER.fullmatch(text)
    return text if harmless else f"'{text}"


def markdown_text(text: str) -> str:
    """Returns a text for a cell of a Markdown table: one line, without markup and HTML."""
    return " ".join(text.split()).translate(_MARKDOWN)


def latex_text(text: str) -> str:
    """Returns a text for a cell of a LaTeX table: one line, without commands."""
    return " ".join(text.split()).translate(_LATEX)


def escaped(table: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """Returns a table whose texts went through a function: cells, index and headers."""

    def of(value: Any) -> Any:
        return escape(value) if isinstance(value, str) else value

    found = table.map(of)
    found.index = table.index.map(of).rename(of(table.index.name))
    found.columns = table.columns.map(of)
    return found
