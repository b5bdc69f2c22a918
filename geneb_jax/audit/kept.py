"""Audits that are kept: one file a task, read while the task's rows are the same.

A workdir has the audits of its tasks by their names; those of all runs of a user are in the user's
cache, by what they are of (see `cached`), so that the files of a benchmark are audited once.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from geneb_jax.audit.cached import find_audit, identity_of, keep_audit
from geneb_jax.audit.findings import CLEAN, MARKS, NUMERICS, TaskAudit
from geneb_jax.audit.rules import Rule
from geneb_jax.files.json_files import json_bytes, read_object, write_json
from geneb_jax.files.names import file_name
from geneb_jax.files.texts import FileError
from geneb_jax.tasks.task import Task, content_digest

# What reading a file comes to that holds no audit.
_UNREADABLE = (FileError, AttributeError, LookupError, TypeError, ValueError)


def find_kept(folder: Path, task: Task, cache: Path | None) -> TaskAudit | None:
    """Returns the audit that is kept of a task's rows; None: there is none.

    One that the cache alone has is written into the folder.

    Args:
        folder: Holds TASK.json.
        task: The task.
        cache: Where the audits of all runs are kept; None: they are not.
    """
    rows = content_digest(task)
    audit = _in_folder(folder, task, rows)
    if audit is None:
        audit = _in_cache(cache, task, rows)
        if audit is not None:
            _write(folder, audit, rows)
    return audit


def make_kept(folder: Path, task: Task, cache: Path | None) -> TaskAudit:
    """Audits a task, and keeps what is found; see `find_kept` for the arguments.

    Raises:
        ValueError: What was found could not be read again; nothing is written.
    """
    from geneb_jax.audit.audit import audit_task  # noqa: PLC0415 (JAX; reading does without it)

    audit, rows = audit_task(task), content_digest(task)
    try:
        _from_json(json.loads(json_bytes(_to_json(audit))))
    except _UNREADABLE as error:
        raise ValueError(f"the audit is not kept, as it could not be read: {error!r}") from error
    _write(folder, audit, rows)
    if cache is not None:
        keep_audit(cache, identity_of(rows), _to_json(audit))
    return audit


def is_kept(folder: Path, task: Task, cache: Path | None) -> bool:
    """Says whether `find_kept` would find a task's audit; writes nothing."""
    rows = content_digest(task)
    return bool(_in_folder(folder, task, rows) or _in_cache(cache, task, rows))


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
    except _UNREADABLE as error:
        logging.warning("%s: a damaged audit, as if it were not there: %s", path, error)
        return None


def _in_folder(folder: Path, task: Task, rows: str) -> TaskAudit | None:
    """Returns the audit that a folder has of a task's rows, by their digest."""
    kept = _read(_path(folder, task.info.id))
    return kept[1] if kept and kept[0] == _identity(rows) else None


def _in_cache(cache: Path | None, task: Task, rows: str) -> TaskAudit | None:
    """Returns the audit that the cache has of a task's rows, under this task's name."""
    found = None if cache is None else find_audit(cache, identity_of(rows))
    if found is None:
        return None
    return replace(_from_json(found), task=task.info.id, category=task.info.category)


def _write(folder: Path, audit: TaskAudit, rows: str) -> None:
    write_json(_path(folder, audit.task), {"identity": _identity(rows), **_to_json(audit)})


def _path(folder: Path, task: str) -> Path:
    return folder / f"{file_name(task)}.json"


def _identity(rows: str) -> Mapping[str, Any]:
    """Returns what an audit in a folder is of, by the digest of a task's rows."""
    return {"task": rows, "numerics": NUMERICS}


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
