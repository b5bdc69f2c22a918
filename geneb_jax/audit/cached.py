"""Audits that are kept for all runs of a user: one file for each content of a task.

An audit is found by all that it depends on: the rows of the task, the code that audits and that
fits the probes of shortcuts, the packages below it and the device. What the task is called is none
of it, so that equal files share an audit under any name.
"""

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from absl import logging

import geneb_jax
import probes
from geneb_jax.files.atomic import remove_leftovers
from geneb_jax.files.json_files import canonical_json, read_object, write_json
from geneb_jax.files.texts import FileError
from geneb_jax.files.user_cache import user_cache

_MOST_KEPT = 64 * 2**20  # bytes, some thousands of audits; those not read for longest go first
_COMPUTING = ("numpy", "scipy", "jax", "jaxlib")  # packages that an audit depends on
_CODE = (  # modules and folders of them
    *(Path(geneb_jax.__file__).parent / name for name in ("audit", "tasks/letters.py")),
    Path(probes.__file__).parent,
)


def audits_folder(cache_dir: str) -> Path | None:
    """Returns where audits are kept for all runs; None: they are not.

    Args:
        cache_dir: Its folder `audits` takes them; empty: the user's cache; 'none': nothing is kept.
    """
    if cache_dir == "none":
        return None
    try:
        return user_cache("audits", cache_dir)
    except RuntimeError as error:
        logging.warning("audits are not kept for later runs: %s", error)
        return None


def identity_of(rows: str) -> dict[str, Any]:
    """Returns all that the audit of some rows depends on.

    Args:
        rows: The digest of the task's rows (see `tasks.task.content_digest`).
    """
    return {"rows": rows, "code": _code_digest(), **_machine()}


def find_audit(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns what was kept of an audit; None: nothing was, or the file is damaged.

    Args:
        folder: Where audits are kept.
        identity: See `identity_of`.
    """
    path = _file(folder, identity)
    try:
        if not path.exists():
            return None
        entry = read_object(path)
        audit = entry["audit"]
        if entry["identity"] != identity or entry["sha256"] != _digest(audit):
            raise FileError(f"{path}: its parts do not fit each other")
    except (FileError, OSError, LookupError, TypeError) as error:
        logging.warning("%s: a damaged audit, as if it were not there: %s", path, error)
        return None
    with suppress(OSError):  # of a cache that others own; its time says when it was read
        path.touch()
    return audit


def keep_audit(folder: Path, identity: Mapping[str, Any], audit: Mapping[str, Any]) -> None:
    """Keeps an audit, and removes those that were not read for longest where it gets too much.

    What cannot be written is said in the log, and is computed again by the next run.

    Args:
        folder: Where audits are kept; made where it is missing.
        identity: See `identity_of`.
        audit: What JSON can hold.
    """
    content = {"identity": identity, "sha256": _digest(audit), "audit": audit}
    try:
        write_json(_file(folder, identity), content)
        remove_leftovers(folder)
        _make_room(folder)
    except OSError as error:
        # Said once: of the next tasks it is the same.
        logging.log_first_n(logging.WARNING, "audits are not kept for later runs: %s", 1, error)


def _make_room(folder: Path) -> None:
    total = 0
    for _, size, path in sorted(_entries(folder), reverse=True):
        total += size
        if total > _MOST_KEPT:
            path.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Yields of each audit when it was read last, its bytes and its file."""
    for path in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # removed by another run
            facts = path.stat()
            yield facts.st_mtime_ns, facts.st_size, path


def _file(folder: Path, identity: Mapping[str, Any]) -> Path:
    return folder / f"{_digest(identity)}.json"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


@functools.cache
def _code_digest() -> str:
    """Returns the SHA-256 of the modules that an audit is computed by."""
    digest = hashlib.sha256()
    for part in _CODE:
        for path in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(f"{path.relative_to(part.parent)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _machine() -> dict[str, Any]:
    """Returns what the last digits of a fit depend on besides the code."""
    import jax  # noqa: PLC0415 (reading the audits of a workdir does without it)

    device = jax.devices()[0]
    return {
        "packages": {name: importlib.metadata.version(name) for name in _COMPUTING},
        "processor": platform.machine(),
        "device": f"{device.platform}: {device.device_kind}",
    }
