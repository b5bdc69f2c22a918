"""What does an audit say of the task files that are at hand? Writes a file of the package.

    python -m benchmarks.task_audit --tasks_dir DIR [DIR ...]

Audits every task file of the folders with the default thresholds, as `geneb-jax tasks --audit`
does. The result is `geneb_jax/data/task_audit.csv`, which `--leaky=shipped` reads. What kind of
file each is, its column `files`, stands in the file that is replaced: of a new task write the line
first, with its id and that column.

Needs folders of tasks. `--out` holds the file's rows.
"""

import csv
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.needs import begin, new_parser, task_files
from benchmarks.rows import Rows
from geneb_jax.audit.audit import audit_task
from geneb_jax.audit.findings import audit_row
from geneb_jax.benchmark import GENEB
from geneb_jax.config import DataSettings
from geneb_jax.files.atomic import write_whole
from geneb_jax.presentation.auditing import published_medians
from geneb_jax.presentation.verdicts import SHIPPED_AUDIT
from geneb_jax.tasks.selection import read_tasks
from geneb_jax.tasks.task import fingerprint

_COUNTS = ("n_train", "n_test", "copies", "near", "twins", "clean")
_FOUND = ("best_rule", "best_rule_MCC", "published_median", "verdict", "reasons")
COLUMNS = ("task", "files", *_COUNTS, *_FOUND, "train_sha256", "test_sha256")

PRINTED = {
    "task": "72s", "verdict": "8s", "n_train": "7", "n_test": "7", "copies": "6", "near": "6",
    "twins": "6", "best_rule_MCC": "6.3f", "best_rule": "s",
}  # fmt: skip


def audited(folders: Sequence[Path], files: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yields a row of `COLUMNS` for each task of some folders.

    Args:
        folders: Hold task files.
        files: What kind of file that of each task is, by the task's id.

    Raises:
        ValueError: A task cannot be read, or `files` does not have it.
    """
    medians = published_medians()
    for folder in folders:
        tasks, unreadable = read_tasks(DataSettings(tasks_dir=folder))
        for problem in unreadable.values():
            raise ValueError(problem)
        for task in tasks:
            name = task.info.id
            if name not in files:
                raise ValueError(f"task '{name}': {SHIPPED_AUDIT} has no line that says its files")
            row = audit_row(audit_task(task), medians.get(name))
            digests = {
                f"{split}_sha256": fingerprint(getattr(task, split)) for split in ("train", "test")
            }
            rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            known = {**rounded, **digests, "files": files[name]}
            yield {column: known[column] for column in COLUMNS}


def main() -> None:
    """Audits and writes."""
    parser = new_parser(__doc__)
    parser.add_argument("--tasks_dir", type=Path, nargs="+", required=True)

    def needs(options: Namespace) -> Iterator[str]:
        for folder in options.tasks_dir:
            yield from task_files(folder)

    options = begin(parser, needs)
    with SHIPPED_AUDIT.open(newline="", encoding="utf-8") as file:
        files = {row["task"]: row["files"] for row in csv.DictReader(file)}
    rows = Rows(PRINTED, options.out)
    found = {row["task"]: rows.add(row) for row in audited(options.tasks_dir, files)}
    order = [task.id for task in GENEB.tasks if task.id in found]
    table = pd.DataFrame([found[name] for name in order], columns=COLUMNS)
    write_whole(SHIPPED_AUDIT, table.to_csv(index=False).encode())
    print(f"{len(order)} tasks audited; {SHIPPED_AUDIT}")


if __name__ == "__main__":
    main()
