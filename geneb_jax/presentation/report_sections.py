"""The parts of the report that its template writes: statistics, figures, limits, provenance."""

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import markupsafe
import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.figures.save import CAPTIONS, TITLES
from geneb_jax.presentation.glossary import meanings, words_in
from geneb_jax.presentation.intervals import one_class_words
from geneb_jax.presentation.numbers import are_numbers
from geneb_jax.presentation.pages import PAGES, page
from geneb_jax.presentation.statements import claim_texts, statistic_texts
from geneb_jax.presentation.verdicts import audited_words, order_words

_WIDTH = re.compile(rb'<svg[^>]* width="([0-9.]+)pt"')  # of a figure of Matplotlib's
_SVG = "data:image/svg+xml;charset=utf-8,"
# What may stand in such an address between single quotes of HTML: a quarter shorter than base64.
_PLAIN = ' !"$()*+,/:;<=>?@[\\]^`{|}~'
_ZOOM = 1.75  # pixels of the page for a point of paper: type of 7 points is read on a screen
# Tables of the audit that the page shows, with their captions; `asked` is what is asked in them.
AUDIT: Mapping[str, str] = {
    "audit": "Tasks: test records that are copies or near copies of train records or shuffle twins "
    "of them, the rule or shortcut without a model that train chooses, and the median of the "
    "published models.",
    "intervals_macro": "How sure macro MCC and ranks are, whichever metric is shown: 95 % "
    "intervals, had other {asked} been drawn. Ranks and groups are of the models of a question: "
    "two share a letter where they cannot be told apart.{leaky}{one_class}",
    "intervals_custom": "How sure MCC and ranks are on each custom task: 95 % intervals, had other "
    "test records (records) or few-shot rows (shots) been drawn. Ranks and groups are of the "
    "models on that task: two share a letter where they cannot be told apart.{one_class}",
    "pairs_custom": "Every two models on each custom task: MCC of the first minus that of the "
    "second with its 95 % interval, and whether they are told apart, after Holm's correction over "
    "the pairs of the task, regime and question.",
    "clean_leaderboard": "Macro MCC over all and over clean test records of the same tasks, with "
    "95 % intervals over other clean records; tables/clean_tasks says which tasks are left out.",
    "floors": "Floors: MCC of what needs no pretraining, macro and by category; what answers a "
    "task as well as a model says that its score is not of its pretraining.",
    "strand": "Share of test records whose prediction changes under reverse complement.",
    "lift": "Lift: MCC of a model minus that of the best floor of each task.",
}
# What the questions of a table of intervals ask of, by their names in its column.
_QUESTIONS: Mapping[str, str] = {
    "records": "test records (records)",
    "shots": "few-shot rows (shots; not in full, where all seeds fit the same rows)",
    "tasks": "tasks of each category (tasks)",
}
_CLAIMS = (
    "The paper's statements, with 95 % intervals over other tasks and, where they are of models in "
    "general, over other models. Differences of two models are one comparison each here; "
    "tables/pairs corrects for all pairs at once, and tells fewer of them apart."
)
_STATISTICS = "Numbers that the paper prints, beside the ones computed from these scores."
# Kinds of columns that their values do not tell.
_TEXTS = {
    **dict.fromkeys(("statement", "statistic", "holds", "holds without them"), "text"),
    **{"reasons": "sentences", "note": "sentences"},
}
Rows = list[tuple[str, str]]  # names with values, as texts


def statement_sections(
    statistics: pd.DataFrame | None,
    claims: pd.DataFrame | None,
    leaky: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """Returns the paper's statements and statistics as tables of texts.

    Args:
        statistics: See `tables.paper_statistics`; None: it was not made.
        claims: See `claims.claims_table`; None: it was not made.
        leaky: See `verdicts.leaky_table`; None: no task is left out.

    Returns:
        Those that have rows, in the form of `audit_sections`; the table of statistics has the rows
        that are shown.
    """
    tables = []
    if claims is not None and not claims.empty:
        caption = f"{_CLAIMS} Without leaky tasks: {audited_words(claims)}."
        named = [] if leaky is None else list(map(_left_out, leaky.to_dict("records")))
        tables.append(("claims", caption, claims, claim_texts(claims), named))
    if statistics is not None and statistics["ours"].notna().any():
        known = statistics[statistics["ours"].notna()]
        tables.append(("statistics", _STATISTICS, known, statistic_texts(known), []))
    return [
        {
            "name": name,
            "caption": caption,
            "left_out": left_out,
            "header": [(str(column), _TEXTS.get(str(column), "")) for column in texts],
            "rows": texts.to_numpy().tolist(),
            "regimes": [],
            "meanings": meanings(texts) | words_in(texts.iloc[:, 0]),
            "table": table,
        }
        for name, caption, table, texts, left_out in tables
    ]


def _left_out(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Returns the name of a leaky task, the address of its page, and its audited files if known."""
    address = f"#{urllib.parse.urlencode({'view': 'task', 'task': row['task']})}"
    return row["label"], address, row.get("files", "")


def figure_rows(folder: Path) -> list[dict[str, str]]:
    """Returns the figures of a folder that the report shows, in their order.

    Returns:
        By figure its name, title, caption, width in pixels and address, which holds the whole .svg
        file: an image cannot reach into the page. It is to stand between single quotes.
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
                    "address": markupsafe.Markup(_SVG + urllib.parse.quote(content, _PLAIN)),
                }
            )
    return found


def audit_sections(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Returns the tables of the audit as texts.

    Args:
        tables: Tables by name, of which those that `AUDIT` names are taken.

    Returns:
        By table its name and caption, the names and addresses of the tasks that are left out of
        it and what their audited files are, its header, its rows, of which the first column is the
        name, the regime of each row where it has one, the meanings of its words, and the table
        with all columns and digits, which is saved. The header has the name of each column and its
        kind: text, sentences, heat (of a category, whose name stands upright) or nothing (numbers).
    """
    leaky = _sentence(order_words(tables))
    found = []
    for name, caption in AUDIT.items():
        if name in tables:
            table = tables[name]
            texts = PAGES.get(name, page)(table)
            if "reasons" in table:
                texts = texts.assign(reasons=table["reasons"])
            found.append(
                {
                    "name": name,
                    "caption": caption.format(
                        asked=_asked(table),
                        leaky=leaky,
                        one_class=_sentence(
                            one_class_words(table) if name.startswith("intervals_") else ""
                        ),
                    ),
                    "left_out": [],
                    "header": [
                        (str(column), _kind(str(column), texts[column])) for column in texts
                    ],
                    "rows": texts.to_numpy().tolist(),
                    "regimes": list(table["regime"]) if "regime" in table else [],
                    "meanings": meanings(texts),
                    "table": table,
                }
            )
    return found


def _sentence(clause: str) -> str:
    """Returns a clause as a sentence behind others; '' of none."""
    return f" {clause[0].upper()}{clause[1:]}." if clause else ""


def _asked(table: pd.DataFrame) -> str:
    """Returns what a table of intervals asks of, in words; '' of tables without questions."""
    asked = set(table["question"]) if "question" in table else set()
    *others, last = [words for name, words in _QUESTIONS.items() if name in asked] or [""]
    return " or ".join([", ".join(others), last] if others else [last])


def _kind(column: str, texts: pd.Series) -> str:
    if column in GENEB.categories:
        return "heat"
    return _TEXTS.get(column, "" if are_numbers(texts) else "text")


def unseen_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns a row, over all tasks, for each model and kind of records that it cannot see in full.

    Args:
        content: The part `unseen` of run.json.

    Returns:
        Of each row the model, the kind, the letters that are not known, how many tasks and records
        there are, the task with the largest share of them, and how many of how many it has.
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
                    "tasks": len(of_kind),
                    "records": sum(facts["records"] for facts in of_kind.values()),
                    "most in": most,
                    "there": of_kind[most]["records"],
                    "of": of_kind[most]["of"],
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
