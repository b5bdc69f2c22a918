"""Audits that are kept: one file a task, read while the task's rows are the same."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from geneb_jax.audit.findings import CLEAN, MARKS, NUMERICS, TaskAudit
from geneb_jax.audit.rules import Rule
from geneb_jax.files.json_files import read_object, write_json
from geneb_jax.files.names import file_name
from geneb_jax.files.texts import FileError
from geneb_jax.tasks.task import Task, content_digest


def kept_audit(folder: Path, task: Task) -> TaskAudit:
    """Returns a task's audit: the one in the folder where it is of these rows, or a new one.

    Args:
        folder: Takes TASK.json.
        task: The task.
    """
    path, identity = folder / f"{file_name(task.info.id)}.json", _identity(task)
    kept = _read(path)
    if kept and kept[0] == identity:
        return kept[1]
    from geneb_jax.audit.audit import audit_task  # noqa: PLC0415 (JAX; reading does without it)

    audit = audit_task(task)
    write_json(path, {"identity": identity, **_to_json(audit)})
    return audit


def read_audits(folder: Path) -> list[TaskAudit]:
    """Returns the audits that are kept in a folder; damaged ones are named in a warning."""
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    return [kept[1] for kept in found if kept]


def _read(path: Path) -> tuple[Mapping[str, Any], TaskAudit] | None:
    """Returns what a kept audit is of, and the audit; None: it is not there, or damaged."""
    if not path.exists():
        return None
    try:
        content = read_object(path)
        return content["identity"], _from_json(content)
    except (FileError, AttributeError, LookupError, TypeError, ValueError) as error:
        logging.warning("%s: a damaged audit, as if it were not there: %s", path, error)
        return None


def _identity(task: Task) -> Mapping[str, Any]:
    return {"task": content_digest(task), "numerics": NUMERICS}


def _to_json(audit: TaskAudit) -> dict[str, Any]:
    """Returns an audit as JSON holds it: of test records the rows that are not clean, from 0."""
    return {
        "task": audit.task,
        "category": audit.category,
        "labels": audit.labels,
        "counts": {name: _none(value) for name, value in audit.counts.items()},
        "rules": [
            {name: _none(value) for name, value in dataclasses.asdict(rule).items()}
            for rule in audit.rules
        ],
        "rows": {
            name: np.flatnonzero(audit.marks == mark).tolist()
            for mark, name in enumerate(MARKS)
            if mark != CLEAN
        },
    }


def _from_json(content: Mapping[str, Any]) -> TaskAudit:
    counts = {name: _nan(value) for name, value in content["counts"].items()}
    marks = np.full(counts["n_test"], CLEAN, np.int8)
    for mark, name in enumerate(MARKS):
        if mark != CLEAN:
            marks[np.array(content["rows"][name], np.int64)] = mark
    rules = [Rule(**{name: _nan(value) for name, value in r.items()}) for r in content["rules"]]
    task, category, labels = (str(content[name]) for name in ("task", "category", "labels"))
    return TaskAudit(task, category, counts, rules, marks, labels)


def _none(value: Any) -> Any:
    """Returns a value as JSON holds it, which has no NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value


def _nan(value: Any) -> Any:
    return float("nan") if value is None else value
