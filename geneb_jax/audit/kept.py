"""Audits that are kept: one file a task, read while the task's rows are the same."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from geneb_jax.audit.audit import CLEAN, MARKS, NUMERICS, TaskAudit, audit_task
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
    if path.exists():
        try:
            content = read_object(path)
            if content.get("identity") == identity:
                return _from_json(content)
        except (FileError, AttributeError, LookupError, TypeError, ValueError) as error:
            logging.warning("%s: not read, and made anew: %s", path, error)
    audit = audit_task(task)
    write_json(path, {"identity": identity, **_to_json(audit)})
    return audit


def _identity(task: Task) -> Mapping[str, Any]:
    return {"task": content_digest(task), "numerics": NUMERICS}


def _to_json(audit: TaskAudit) -> dict[str, Any]:
    """Returns an audit as JSON holds it: of test records the rows that are not clean, from 0."""
    return {
        "task": audit.task,
        "category": audit.category,
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
    return TaskAudit(content["task"], content["category"], counts, rules, marks)


def _none(value: Any) -> Any:
    """Returns a value as JSON holds it, which has no NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value


def _nan(value: Any) -> Any:
    return float("nan") if value is None else value
