"""Sizes and SHA-256 digests of files; a large file is hashed again only after it has changed.

The digest of each large file is kept in a small JSON file in the user's cache, with all that the
file system says of a change: folders of checkpoints may be read-only. Where that cache is damaged
or cannot be written, files are hashed.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from absl import logging

from geneb_jax.files.atomic import remove_leftovers
from geneb_jax.files.json_files import write_json
from geneb_jax.files.sizes import shown_size
from geneb_jax.files.user_cache import user_cache

_SMALL = 2**20  # bytes; smaller files are hashed in the time that a look into the cache takes
_SLOW = 10**9  # bytes; hashing such a file takes seconds, and the log says so
_THREADS = 4  # `hashlib` releases the interpreter's lock
# A file that changes twice within the resolution of the file system's clock bears one time. The
# coarsest clocks in use count 2 s (FAT): a digest is kept of files that have been still so long.
_STILL_NS = 2 * 10**9
_SHA256 = re.compile("[0-9a-f]{64}")


def file_facts(path: Path) -> dict[str, Any]:
    """Returns a file's `size` in bytes and its `sha256`, in hexadecimal digits.

    Raises:
        OSError: The file is missing or cannot be read.
    """
    size = path.stat().st_size
    return {"size": size, "sha256": _digest(path) if size > _SMALL else _hash(path)}


def folder_facts(folder: Path, paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Returns `file_facts` of files under a folder, by their paths inside; hashes several at once.

    Args:
        folder: The folder.
        paths: The files, as paths that begin with the folder's.

    Raises:
        OSError: A file is missing or cannot be read.
    """
    paths = list(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        facts = pool.map(file_facts, paths)
        return {p.relative_to(folder).as_posix(): f for p, f in zip(paths, facts, strict=True)}


def files_under(folder: Path) -> list[Path]:
    """Returns every file under a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def remember_facts(folder: Path, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Keeps the digests of files that were hashed before their folder got this name.

    Args:
        folder: The folder under its new name.
        facts: The result of `folder_facts` under the old name.
    """
    for name, known in facts.items():
        stamp = _stamp(folder / name)
        if stamp["size"] > _SMALL and _still(stamp, time.time_ns()):
            _keep(stamp, known["sha256"])


def _digest(path: Path) -> str:
    began, stamp = time.time_ns(), _stamp(path)
    known = _hub_digest(path) or _kept(stamp)
    if known:
        return known
    found = _hash(path)
    if _still(stamp, began) and _stamp(path) == stamp:
        _keep(stamp, found)
    return found


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _SLOW:
            logging.info("hashing %s (%s)", path, shown_size(size))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hub_digest(path: Path) -> str | None:
    """Returns the digest that the hub states for a file in its client's cache, if it does.

    snapshots/REVISION/NAME is a link to blobs/SHA256 there, where the file is stored by Git LFS;
    other blobs bear a Git hash of 40 digits. The hub states the SHA-256 of a pinned revision over
    TLS, and the client gives a download that name when all of its bytes have come, so two files
    of different contents have different names. The client makes a link when the blob is there: a
    blob that was written (or whose mode or times were set) after the first link to it, whichever
    revision's that is, is not trusted but hashed.
    """
    if not path.is_symlink():
        return None
    link = path.parent.resolve() / path.name
    blob = Path(os.path.normpath(link.parent / link.readlink()))
    snapshots = blob.parent.with_name("snapshots") if blob.parent.name == "blobs" else None
    if not (_SHA256.fullmatch(blob.name) and snapshots and link.is_relative_to(snapshots)):
        return None
    _, *parts = link.relative_to(snapshots).parts
    if not parts:  # a link beside the revisions' folders
        return None
    name = Path(*parts)
    links = [revision / name for revision in snapshots.iterdir()]
    times = [
        each.lstat().st_ctime_ns
        for each in links
        if each.is_symlink() and each.readlink().name == blob.name
    ]
    first = min(times, default=-1)
    return blob.name if blob.stat().st_ctime_ns <= first else None


def _stamp(path: Path) -> dict[str, Any]:
    """Returns what tells whether a file has changed.

    The system sets ctime at every change of contents and of mtime, and no program can set it back.
    """
    path = path.resolve()
    facts = path.stat()
    return {
        "path": str(path),
        "size": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "ctime_ns": facts.st_ctime_ns,
        "inode": facts.st_ino,
    }


def _still(stamp: Mapping[str, Any], now_ns: int) -> bool:
    return stamp["ctime_ns"] + _STILL_NS <= now_ns


def _kept(stamp: Mapping[str, Any]) -> str | None:
    try:
        entry = json.loads(_cache_file(stamp).read_text(encoding="utf-8"))
        found = str(entry.pop("sha256"))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is not there, is damaged, or there is no home folder
    return found if entry == stamp and _SHA256.fullmatch(found) else None


def _keep(stamp: Mapping[str, Any], sha256: str) -> None:
    try:
        file = _cache_file(stamp)
        remove_leftovers(file.parent)
        write_json(file, {**stamp, "sha256": sha256})
    except (OSError, RuntimeError, ValueError) as error:
        logging.debug("the digest of %s is not kept: %s", stamp["path"], error)


def _cache_file(stamp: Mapping[str, Any]) -> Path:
    """Returns the cache's file on a file: one each, so that processes need not wait for others."""
    name = hashlib.sha256(os.fsencode(stamp["path"])).hexdigest()
    return user_cache("digests") / f"{name}.json"
