"""How numbers are written where people read them; .csv files have them in full."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pandas as pd

Unit = Literal["score", "count", "rank", "share", "p"]

MINUS = "\N{MINUS SIGN}"
# "rank" is of mean ranks and other numbers beyond 1 that count nothing.
_FORMS: Mapping[Unit, str] = {"score": "z.3f", "rank": "z.1f", "share": "z.0%", "count": ",.0f"}
DECIMALS: Mapping[Unit, int] = {"score": 3, "rank": 1, "share": 2, "count": 0, "p": 3}
_SMALLEST_P = 0.001  # that is written with its digits
_SIZES = ((1e9, "B"), (1e6, "M"), (1e3, "K"))  # of parameters
_RUN = 3  # letters that follow each other, from which on their first and last one are written
# Columns whose names tell the unit of numbers that might be of several.
_P = re.compile(r"(smallest )?p(, .*)?")
_SHARES = re.compile(r"relative drop")
_COUNTS = re.compile(r"\b(rank|models|wins|pairs|tasks)\b")
_GROUP = re.compile(r"\(\d+\)|[a-zA-Z]")
_DIGITS = re.compile(r"[1-9]")
_NUMBER = re.compile(r"([-−<]?\d.*)?")


def number_text(value: float, unit: Unit = "score", sign: str = "") -> str:
    """Returns a number as text.

    Args:
        value: The number; NaN gives ''.
        unit: `score` gives three decimals, `rank` one, `count` none where it is whole and one where
            it is not, `share` whole per cents, `p` three decimals or <0.001.
        sign: '+': positive numbers have their sign.
    """
    if math.isnan(value):
        return ""
    if unit == "p":
        return f"{value:.3f}" if value >= _SMALLEST_P else f"<{_SMALLEST_P}"
    form = "z.1f" if unit == "count" and not float(value).is_integer() else _FORMS[unit]
    text = format(value, sign + form).replace("%", " %")
    return text if _DIGITS.search(text) else text.lstrip("+-")  # what rounds to zero has no sign


def interval_text(low: float, high: float, unit: Unit = "score", between: str = " to ") -> str:
    """Returns an interval as text, its ends alike; '' where one is missing.

    Args:
        low, high: Its ends.
        unit: See `number_text`.
        between: What stands between them.
    """
    if unit == "count" and (low % 1 or high % 1):
        unit = "rank"
    ends = [number_text(end, unit) for end in (low, high)]
    return between.join(ends) if all(ends) else ""


def column_unit(name: str, column: pd.Series) -> Unit:
    """Returns the unit of a column of numbers.

    Scores are not above 1, so that larger numbers tell of counts and ranks; of columns that may be
    either, the name tells.

    Args:
        name: What stands above the column.
        column: Its values.
    """
    if _P.fullmatch(name):
        return "p"
    if _SHARES.search(name):
        return "share"
    if not pd.api.types.is_float_dtype(column):
        return "count"
    numbers = column.dropna().to_numpy(float)
    beyond = bool((abs(numbers) > 1).any())
    if (numbers % 0.5 == 0).all() and (beyond or _COUNTS.search(name)):
        return "count"
    return "rank" if beyond else "score"


def column_texts(name: str, column: pd.Series, minus: str = "-") -> list[str]:
    """Returns a table's column as texts: truths as yes and no, missing values as ''.

    Args:
        name: What stands above the column.
        column: Its values, of any type.
        minus: The sign of negative numbers.
    """
    unit = column_unit(name, column)

    def text(value: Any) -> str:
        if isinstance(value, str):
            return value
        if pd.isna(value):
            return ""
        if pd.api.types.is_bool(value):
            return "yes" if value else "no"
        return number_text(float(value), unit).replace("-", minus)

    return [text(value) for value in column]


def are_numbers(texts: Iterable[str]) -> bool:
    """Returns whether texts are numbers, intervals, shares or sizes, or nothing."""
    return all(map(_NUMBER.fullmatch, texts))


def regime_name(regime: str) -> str:
    """Returns a regime as it is written: full, 10-shot."""
    return regime.replace("shot", "-shot")


def group_text(letters: str) -> str:
    """Returns the letters of a model's groups as people read them: a-d, f for abcdf.

    Args:
        letters: One letter a group, a before b and Z after z, and then numbers such as (53); see
            `intervals.interval_tables`.

    Returns:
        Of three or more letters that follow each other the first and the last, and ', ' between
        such runs and the other letters.
    """
    runs: list[str] = []
    for name in _GROUP.findall(letters):
        last = runs[-1][-1] if runs else ""
        follows = len(name) == 1 and last.isalpha() and ord(name) == ord(last) + 1
        runs = [*runs[:-1], runs[-1] + name] if follows else [*runs, name]
    whole = len(runs) > 1 and any(map(_is_run, runs))
    texts = [f"{run[0]}-{run[-1]}" if _is_run(run) else run for run in runs]
    return (", " if whole else "").join(texts)


def _is_run(letters: str) -> bool:
    return letters.isalpha() and len(letters) >= _RUN


def size_text(params: float) -> str:
    """Returns a number of parameters as text: 87.3K, 2M, 1.2B."""
    unit, letter = next((each for each in _SIZES if params >= each[0]), _SIZES[-1])
    return f"{params / unit:.3g}{letter}"
