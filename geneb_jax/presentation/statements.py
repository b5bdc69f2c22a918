"""The paper's statements and statistics as texts, in the words of the report's glossary."""

import re
from collections.abc import Mapping

import pandas as pd

from geneb_jax.presentation.numbers import MINUS, Unit, interval_text, number_text

# Units of the paper's numbers that are no scores, differences of scores or correlations, by the
# beginning of their names.
_UNITS: Mapping[Unit, re.Pattern[str]] = {
    "count": re.compile(
        r"small-beats-large|high-variance|hard tasks|tasks won|models that win|categories whose"
        r"|multi-species minus human, (.*, )?wins"
    ),
    "rank": re.compile(r"specialisation"),
    "share": re.compile(r"(median )?relative"),
}


def statement_unit(name: str) -> Unit:
    """Returns what the number of a statement or statistic of the paper is in."""
    for unit, names in _UNITS.items():
        if names.match(name):
            return unit
    return "score"


def claim_texts(claims: pd.DataFrame) -> pd.DataFrame:
    """Returns the paper's statements as texts.

    Args:
        claims: See `claims.claims_table`.

    Returns:
        Columns statement, paper, computed, other tasks, other models, null, by chance, holds, and
        of an audit without leaky tasks, its interval (over other tasks) and holds without them.
    """
    units = claims["statement"].map(statement_unit)
    columns = {
        "statement": claims["statement"],
        "paper": _numbers(claims["paper"], units),
        "computed": _numbers(claims["ours"], units),
        "other tasks": _intervals(claims, "low", "high", units),
        "other models": _intervals(claims, "models low", "models high", units),
        "null": _numbers(claims["null"], units.mask(claims["null"] == 0, "count")),
        "by chance": _numbers(claims["by chance"], units),
        "holds": claims["word"],
    }
    if "without leaky" in claims:
        columns["without leaky tasks"] = _numbers(claims["without leaky"], units)
        columns["its interval"] = _intervals(
            claims, "without leaky low", "without leaky high", units
        )
        columns["holds without them"] = claims["without leaky word"]
    return pd.DataFrame(columns)


def statistic_texts(statistics: pd.DataFrame) -> pd.DataFrame:
    """Returns the numbers that the paper prints and that could be computed, as texts.

    Args:
        statistics: See `tables.paper_statistics`.

    Returns:
        Columns statistic, paper, computed, difference, and note where there is any.
    """
    known = statistics[statistics["ours"].notna()]
    units = known["statistic"].map(statement_unit)
    texts = pd.DataFrame(
        {
            "statistic": known["statistic"],
            "paper": _numbers(known["paper"], units),
            "computed": _numbers(known["ours"], units),
            "difference": _numbers(known["difference"], units, "+"),
        }
    )
    return texts.assign(note=known["note"]) if known["note"].any() else texts


def _numbers(values: pd.Series, units: pd.Series, sign: str = "") -> list[str]:
    return [
        number_text(value, unit, sign).replace("-", MINUS)
        for value, unit in zip(values, units, strict=True)
    ]


def _intervals(table: pd.DataFrame, low: str, high: str, units: pd.Series) -> list[str]:
    ends = zip(table[low], table[high], units, strict=True)
    return [interval_text(*each).replace("-", MINUS) for each in ends]
