"""Files that are there in full or not at all."""

import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etils import epath

_HOST = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:64] or "host"
_TEMPORARY = re.compile(
    r"(?:^|\.)(?:(?P<host>[A-Za-z0-9-]+)\.(?P<process>\d+)\.)?[0-9a-f]{32}\.tmp$"
)
_FORGOTTEN = 3600.0  # seconds; no write takes so long, whichever host it is on


class WriteError(OSError):
    """A file cannot be written, as on a full disk."""


def write_whole(path: "Path | epath.Path", content: bytes, *, durable: bool = True) -> None:
    """Writes a file so that it is there in full or not at all, whoever else writes it.

    Args:
        path: On a local disk, or in a bucket (gs://), where any file appears in full. Folders are
            made where they are missing.
        content: Its bytes.
        durable: Whether the bytes reach the disk before the file gets its name, and the name
            before this returns, so that a machine that loses power has the old or the new file.
            It takes some milliseconds.

    Raises:
        WriteError: It cannot be written; names the file, and leaves nothing of it.
    """
    if "://" in str(path):
        path.write_bytes(content)
        return
    temporary = path.with_name(f"{path.name}.{temporary_name(uuid.uuid4().hex)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            if durable:
                _sync(temporary, os.O_RDWR)
            temporary.replace(path)  # pyright: ignore (of the same kind as `path`)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable and hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        # Paths of `etils` raise errors without a number.
        reason = error.strerror or " ".join(str(error).split())
        raise WriteError(error.errno, f"cannot be written: {reason}", str(path)) from error


def temporary_name(token: str) -> str:
    """Returns the name of a file that is `leftovers` once this process is dead.

    Args:
        token: 32 hexadecimal digits, another for each file.
    """
    return f"{_HOST}.{os.getpid()}.{token}.tmp"


def _sync(path: "Path | epath.Path", flags: int) -> None:
    """Waits until a file or a folder is on the disk."""
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def leftovers(folder: Path) -> Iterator[Path]:
    """Yields what killed processes left of unfinished writes below a folder.

    A temporary file says the host and the process that writes it. It is left over when that process
    of this host is dead, and otherwise after an hour.
    """
    for path in folder.rglob("*.tmp"):
        match = _TEMPORARY.search(path.name)
        if match and _is_dead(path, match["host"], match["process"]):
            yield path


def remove_leftovers(folder: Path) -> list[Path]:
    """Removes the `leftovers` below a folder, and returns them."""
    removed = list(leftovers(folder))
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def _is_dead(path: Path, host: str | None, process: str | None) -> bool:
    if host == _HOST and process:
        return not is_alive(int(process))
    try:
        return time.time() - path.stat().st_mtime > _FORGOTTEN
    except FileNotFoundError:  # it has just got its name
        return False


def is_alive(process: int) -> bool:
    """Says whether a process of this host is running, by its number; on Windows, always."""
    if os.name == "nt":  # the signal 0, which asks elsewhere, is one that interrupts there
        return True
    try:
        os.kill(process, 0)
    except PermissionError:  # another user's
        return True
    except (OSError, OverflowError):
        return False
    return True
