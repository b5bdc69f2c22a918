"""Verdicts of an audit on tasks: of a run's audit, of a file, or of the audit that is shipped.

The package has the audit of some files of GENEB's tasks that were put together from public
repositories (docs/audit.md). Many are rebuilt or subsamples, so that GENEB's own files may be leaky
where these are not, and the other way round; of the other tasks it says nothing.
"""

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import geneb_jax
from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.files.counts import counted
from geneb_jax.tasks.tabular import TableError, read_table, shown

LEAKY = "leaky"  # the verdict of an audit on a task
VERDICTS = (LEAKY, "caution", "passed")  # all of them, the worst first
SHIPPED = "shipped"  # names the audit of the package
SHIPPED_AUDIT = Path(geneb_jax.__file__).parent / "data" / "task_audit.csv"
_BETWEEN_SENTENCES = re.compile(r"(?<=[.?!]) (?=[A-Z0-9])")


class Verdict(NamedTuple):
    """What an audit says of a task.

    Attributes:
        word: `leaky`, `caution` or `passed`.
        reasons: Why; '': it is not said.
        files: What the audited files are, beside those of the benchmark; '': it is not said.
    """

    word: str
    reasons: str = ""
    files: str = ""


def read_verdicts(source: str) -> dict[str, Verdict]:
    """Returns the verdict of each task of an audit, by the task's id.

    Args:
        source: 'shipped', or the path of a CSV with the columns task (id or label) and verdict, and
            maybe reasons, files and category; custom tasks do not count.

    Raises:
        ValueError: The file cannot be read, lacks a column, has a verdict that is none of
            `VERDICTS`, or calls a task leaky that the benchmark does not have.
    """
    path = SHIPPED_AUDIT if source == SHIPPED else Path(source)
    if not path.is_file():
        raise ValueError(f"'{source}' is no file; name the CSV of an audit, or '{SHIPPED}'")
    try:
        table = read_table(path, source)
    except TableError as error:
        raise ValueError(str(error)) from error
    for column in ("task", "verdict"):
        if column not in table.header:
            raise ValueError(f"{source}: no column '{column}'; an audit has task and verdict")
    ids = {name: task.id for task in GENEB.tasks for name in (task.id, task.label)}
    found = {}
    for number, row in enumerate(table.rows):
        cells = dict(zip(table.header, row, strict=True))
        word, reasons, files = (
            cells.get(name, "").strip() for name in ("verdict", "reasons", "files")
        )
        if cells.get("category") == CUSTOM:
            continue  # it is in no average
        # A task stays unless it is leaky: a word that is written another way would keep it.
        if word not in VERDICTS:
            raise ValueError(
                f"{table.where(number)}: the verdict on '{shown(cells['task'])}' is "
                f"'{shown(word)}'; write one of {', '.join(VERDICTS)}"
            )
        found[cells["task"]] = Verdict(word, reasons, files)
    # A leaky task that the benchmark does not have may be a misspelt one.
    unknown = [name for name in found if name not in ids and found[name].word == LEAKY]
    if unknown:
        raise ValueError(f"{source}: '{shown(unknown[0])}' is no task of the benchmark")
    return {ids[name]: verdict for name, verdict in found.items() if name in ids}


def sentences(reasons: str) -> list[str]:
    """Returns the reasons of a verdict one by one.

    Args:
        reasons: Whole sentences with a blank between them, each of one reason. A sentence ends
            where a full stop, question or exclamation mark stands before a blank with a capital
            letter or a digit behind it; '': there is no reason.
    """
    return _BETWEEN_SENTENCES.split(reasons) if reasons else []


def leaky_tasks(verdicts: Mapping[str, Verdict]) -> list[str]:
    """Returns the ids of the tasks that an audit finds leaky."""
    return [task for task, verdict in verdicts.items() if verdict.word == LEAKY]


def leaky_table(verdicts: Mapping[str, Verdict], tasks: Container[str]) -> pd.DataFrame:
    """Returns the tasks of the benchmark that are left out as leaky, in the benchmark's order.

    Args:
        verdicts: The verdicts of an audit, by the task's id.
        tasks: Ids of the tasks of the scores; others do not count.

    Returns:
        Columns task (id), label (the paper's name), category, reasons and files (see `Verdict`),
        the last two where the audit says them of a task.
    """
    leaky = set(leaky_tasks(verdicts))
    rows = [
        {"task": task.id, "label": task.label, "category": task.category,
         "reasons": verdicts[task.id].reasons, "files": verdicts[task.id].files}
        for task in GENEB.tasks if task.id in leaky and task.id in tasks
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table[[name for name in table if table[name].any()]]


def counted_words(verdicts: Mapping[str, Verdict]) -> str:
    """Says how many tasks an audit finds leaky, and how many of the benchmark it did not see."""
    leaky, audited = len(leaky_tasks(verdicts)), len(verdicts)
    others = counted(
        len(GENEB.tasks) - audited, "of the benchmark's was", "of the benchmark's were"
    )
    are = "is" if 1 in (leaky, audited) else "are"
    return f"{leaky} of {counted(audited, 'audited task')} {are} leaky; {others} not audited"


def order_words(tables: Mapping[str, pd.DataFrame]) -> str:
    """Says which orders of two models that were told apart do not hold without leaky tasks.

    Args:
        tables: Of which `pairs` and `pairs_without_leaky` count (see
            `intervals.interval_tables`).

    Returns:
        A clause, which names a pair that turns and one that is no longer told apart, of the first
        regime where there is one, over how many tasks both orders are, and counts the others by
        regime;
        '': all orders hold, or nothing is left out.
    """
    if "pairs_without_leaky" not in tables:
        return ""
    keys, all_tasks = ["question", "regime", "A", "B"], ", all tasks"
    before = tables["pairs"][[*keys, "A - B"]]
    rows = tables["pairs_without_leaky"].merge(before, on=keys, suffixes=("", all_tasks))
    rows = rows[rows[f"told apart{all_tasks}"].astype(bool)]
    place = {name: i for i, name in enumerate(dict.fromkeys([*GENEB.regimes, *rows["regime"]]))}
    rows = rows.sort_values("regime", key=lambda names: names.map(place), kind="stable")
    turns = rows["A - B"] * rows[f"A - B{all_tasks}"] < 0
    lost = ~turns & ~rows["told apart"].astype(bool)
    said = []
    for some, form in (
        (rows[turns], "{} comes before {}"),
        (rows[lost], "{} and {} are no longer told apart"),
    ):
        if not some.empty:
            first = some.iloc[0]
            pairs = some.drop_duplicates(["regime", "A", "B"]).groupby("regime", sort=False).size()
            order = ["A", "B"] if first["A - B"] >= 0 else ["B", "A"]
            left, every = int(first["tasks"]), int(first["tasks"] + first["left out"])
            over = f"over {counted(left, 'task')} instead of {every}"
            where = f" ({first['regime']}, other {first['question']}, {over})"
            pairs[first["regime"]] -= 1
            others = [f"{count} in {regime}" for regime, count in pairs.items() if count]
            more = f" (more such pairs: {', '.join(others)})" if others else ""
            said.append(form.format(*first[order]) + where + more)
    counts = rows[turns | lost]["left out"].unique().tolist()
    these = f"the {counted(counts[0], 'leaky task')}" if len(counts) == 1 else "leaky tasks"
    return f"without {these} {'; '.join(said)}; tables/pairs_without_leaky" if said else ""


def audited_words(claims: pd.DataFrame) -> str:
    """Says what the paper's statements are computed without, too, and what no audit saw.

    Args:
        claims: See `claims.claims_table`; at least one row.
    """
    if "without leaky" not in claims:
        verdicts = read_verdicts(SHIPPED)
        return (
            f"no audit of the tasks was given: --leaky={SHIPPED} of `geneb-jax tables`, or "
            f"--config.leaky={SHIPPED}, sets the numbers without leaky tasks beside them, by the "
            f"{len(verdicts)} of {len(GENEB.tasks)} tasks of which files were at hand"
        )
    tasks, audited, left = (
        int(claims[name].iloc[0]) for name in ("tasks", "audited tasks", "without leaky tasks")
    )
    unseen = counted(tasks - audited, "was not and stays", "were not and stay")
    others = f"; the other {unseen}" if tasks > audited else ""
    named = " (tables/leaky_tasks)" if tasks > left else ""
    were = "was" if audited == 1 else "were"
    return (
        f"{counted(tasks - left, 'task is', 'tasks are')} left out{named}; {audited} of the "
        f"{tasks} {were} audited, in files that may not be those of the scores{others}"
    )
