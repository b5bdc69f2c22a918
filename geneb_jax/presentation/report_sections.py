"""The parts of the report that its template writes: statistics, figures, limits, provenance."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from geneb_jax.presentation.figures.save import CAPTIONS, TITLES

_WIDTH = re.compile(rb'<svg[^>]* width="([0-9.]+)pt"')  # of a figure of Matplotlib's
_ZOOM = 1.75  # pixels of the page for a point of paper: type of 7 points is read on a screen
Rows = list[tuple[str, str]]  # names with values, as texts


def statistics_rows(statistics: pd.DataFrame) -> list[dict[str, str]]:
    """Returns the paper's statistics that could be computed, every number as a text.

    Args:
        statistics: See `tables.paper_statistics`.

    Returns:
        A row each, with statistic, ours, paper, difference and note.
    """
    shown = statistics[statistics["ours"].notna()]
    return [
        {
            "statistic": row["statistic"],
            "ours": _number(row["ours"]),
            "paper": _number(row["paper"]),
            "difference": _number(row["difference"], "+"),
            "note": row["note"],
        }
        for row in shown.to_dict("records")
    ]


def _number(value: float, sign: str = "") -> str:
    whole = float(value).is_integer()
    return f"{value:{sign}.0f}" if whole else f"{value:{sign}z.3f}"


def figure_rows(folder: Path) -> list[dict[str, str]]:
    """Returns the figures of a folder that the report shows, in their order.

    Returns:
        By figure its name, title, caption, width in pixels and address, which holds the whole .svg
        file: an image cannot reach into the page.
    """
    found = []
    for name, caption in CAPTIONS.items():
        path = folder / f"{name}.svg"
        if path.is_file():
            content = path.read_bytes()
            points = _WIDTH.search(content)
            found.append(
                {
                    "name": name,
                    "title": TITLES[name],
                    "caption": caption,
                    "width": f"{_ZOOM * float(points[1]):.0f}" if points else "",
                    "address": f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}",
                }
            )
    return found


def unseen_rows(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns a row, over all tasks, for each model and kind of records that it cannot see in full.

    Args:
        content: The part `unseen` of run.json.
    """
    rows = []
    for model, tasks in content.items():
        for kind in dict.fromkeys(kind for found in tasks.values() for kind in found):
            of_kind = {task: found[kind] for task, found in tasks.items() if kind in found}
            shares = {task: facts["records"] / facts["of"] for task, facts in of_kind.items()}
            most = max(shares, key=lambda task: shares[task])
            letters = {letter for facts in of_kind.values() for letter in facts.get("letters", "")}
            rows.append(
                {
                    "model": model,
                    "kind": kind,
                    "letters": " ".join(sorted(letters)),
                    "tasks": f"{len(of_kind)}",
                    "records": f"{sum(facts['records'] for facts in of_kind.values()):,}",
                    "most": f"{most}: {of_kind[most]['records']:,} of {of_kind[most]['of']:,}",
                }
            )
    return rows


def provenance_sections(content: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Returns a section for each part of run.json; nested values are `name: value` lists."""
    sections = []
    for name, value in content.items():
        rows = value.items() if isinstance(value, Mapping) else [("", value)]
        sections.append((name, [(str(key), plain(item)) for key, item in rows]))
    return sections


def plain(value: Any) -> str:
    """Returns a value of run.json as a text in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return str(value)
