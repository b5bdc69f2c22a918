"""Verdicts of an audit on tasks: of a run's audit, of a file, or of the audit that is shipped.

The package has the audit of some files of GENEB's tasks that were put together from public
repositories (docs/audit.md). Many are rebuilt or subsamples, so that GENEB's own files may be leaky
where these are not, and the other way round; of the other tasks it says nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

import geneb_jax
from geneb_jax.benchmark import GENEB
from geneb_jax.tasks.tabular import TableError, read_table, shown

LEAKY = "leaky"  # the verdict of an audit on a task
SHIPPED = "shipped"  # names the audit of the package
SHIPPED_AUDIT = Path(geneb_jax.__file__).parent / "data" / "task_audit.csv"


def read_verdicts(source: str) -> dict[str, str]:
    """Returns the verdict of each task of an audit, by the task's id.

    Args:
        source: 'shipped', or the path of a CSV with the columns task (id or label) and verdict.

    Raises:
        ValueError: The file cannot be read, lacks a column, or calls a task leaky that the
            benchmark does not have.
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
    task, verdict = table.header.index("task"), table.header.index("verdict")
    found = {row[task]: row[verdict].strip() for row in table.rows}
    # Tasks of others may have been audited too; that one of them is leaky asks for a mistake.
    unknown = [name for name in found if name not in ids and found[name] == LEAKY]
    if unknown:
        raise ValueError(f"{source}: '{shown(unknown[0])}' is no task of the benchmark")
    return {ids[name]: word for name, word in found.items() if name in ids}


def leaky_tasks(verdicts: Mapping[str, str]) -> list[str]:
    """Returns the ids of the tasks that an audit finds leaky."""
    return [task for task, word in verdicts.items() if word == LEAKY]


def audited_words(claims: pd.DataFrame) -> str:
    """Says what the clean numbers of the paper's statements are without, and what no audit saw.

    Args:
        claims: See `claims.claims_table`; at least one row.
    """
    if "clean" not in claims:
        verdicts = read_verdicts(SHIPPED)
        return (
            f"no audit of the tasks was given: --leaky={SHIPPED} of `geneb-jax tables`, or "
            f"--config.leaky={SHIPPED}, sets the numbers without leaky tasks beside them, by the "
            f"{len(verdicts)} of {len(GENEB.tasks)} tasks of which files were at hand"
        )
    tasks, audited, left = (
        int(claims[name].iloc[0]) for name in ("tasks", "audited tasks", "clean tasks")
    )
    others = f", the other {tasks - audited} count as clean" if tasks > audited else ""
    return (
        f"{tasks - left} tasks are left out; {audited} of the {tasks} were audited, in files that "
        f"may not be those of the scores{others}"
    )
