"""One run at a time in a workdir: who owns it, and what becomes of a dead run's.

Other commands that write into a folder hold its lock as long, and leave no `owner.json`.

Two files say so. `run.lock` is locked as long as the run lives: the system frees it however the
run ends, on a local disk and on most shared ones. `owner.json` says who that is, for people and
for file systems whose locks another host does not see. A run ends by removing `owner.json`; one
that was killed leaves it.
"""

import errno
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from absl import logging
from filelock import FileLock, Timeout

from geneb_jax.files.atomic import WriteError, is_alive, remove_leftovers
from geneb_jax.files.counts import counted
from geneb_jax.files.folders import unless_empty
from geneb_jax.files.json_files import read_object, write_json
from geneb_jax.files.texts import FileError

LOCK = "run.lock"
OWNER = "owner.json"
# A run touches what it owns about once a second (see `sign_of_life`). One on another host that has
# not for so long is dead: file systems show a change to others within a minute.
_SILENT = 300.0  # seconds


class OwnedError(ValueError):
    """A workdir cannot be had: it is another run's, which the message names, or not writable."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps runs out of a folder while a command writes into it; what dead runs left there stays.

    Args:
        folder: Made where it is missing. Where nothing comes into it, nothing stays of this.

    Raises:
        OwnedError: It is the workdir of a run that is going on, another command writes there, or
            nothing can be written there.
    """
    with _prepared(folder) as before, _locked(folder) as has_lock:
        _refuse_a_living_owner(folder, has_lock)
        try:
            yield
        finally:
            if folder / LOCK not in before:
                with suppress(OSError):  # Windows keeps a file that is open
                    (folder / LOCK).unlink()


@contextmanager
def owned(workdir: Path) -> Iterator[Callable[[], None]]:
    """Makes a workdir this process's while inside, and removes what dead runs left unfinished.

    Args:
        workdir: Made where it is missing. Where nothing comes into it, nothing stays of this.

    Yields:
        A function that raises WriteError where the workdir was removed or moved away since, or is
        another run's by now: what was written before is not there. It is called at the end, too.

    Raises:
        OwnedError: Another run has it, or nothing can be written there.
        WriteError: See what is yielded.
    """
    with (
        _prepared(workdir) as before,
        _locked(workdir) as has_lock,
        _said(workdir, has_lock) as check,
    ):
        try:
            yield check
            check()
        finally:
            ours = {workdir / LOCK, workdir / OWNER}
            with suppress(OSError):  # it is gone; or Windows, which keeps a file that is open
                new = set(workdir.iterdir()) - before
                if workdir / LOCK in new and new <= ours:
                    (workdir / LOCK).unlink()


@contextmanager
def _prepared(folder: Path) -> Iterator[AbstractSet[Path]]:
    """Makes a folder that takes the lock's file; yields what was in it before."""
    with ExitStack() as made:
        try:
            made.enter_context(unless_empty(folder))
            before = set(folder.iterdir())
            (folder / LOCK).touch()
        except OSError as error:
            reason = f"nothing can be written there: {error.strerror}"
            raise OwnedError(f"{folder}: {reason}") from error
        yield before


@contextmanager
def _locked(workdir: Path) -> Iterator[bool]:
    """Holds the lock of a folder while inside, and yields whether the file system has locks."""
    lock = FileLock(workdir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        owner, alive = owner_of(workdir)  # a dead run's is there until the next one goes on
        who = owner if alive else "another command"
        raise OwnedError(f"{workdir}: {who} is running there") from None
    except (OSError, NotImplementedError) as error:
        logging.warning(
            "%s: the file system has no locks (%s); %s alone keeps a second run away",
            *(workdir, error, OWNER),
        )
    try:
        yield lock.is_locked
    finally:
        lock.release()


@contextmanager
def _said(workdir: Path, has_lock: bool) -> Iterator[Callable[[], None]]:
    """Says whose a workdir is while inside, and removes what a dead run left; see `owned`."""
    _refuse_a_living_owner(workdir, has_lock)
    if (workdir / OWNER).exists():
        logging.warning(
            "%s was killed; this run goes on from what it left", _words(_owner(workdir))
        )
    mine = {"host": socket.gethostname(), "process": os.getpid(), "start": _now()}
    write_json(workdir / OWNER, mine)

    def check() -> None:
        _refuse_a_lost_workdir(workdir, mine)

    try:
        if left := remove_leftovers(workdir):
            count = counted(len(left), "unfinished file")
            logging.info("removed of a killed run: %s", count)
        yield check
    finally:
        if _owner(workdir) == mine:
            (workdir / OWNER).unlink(missing_ok=True)


def owner_of(workdir: Path) -> tuple[str, bool]:
    """Returns in words whose run a workdir is, and whether that run is alive; changes nothing.

    The words are empty where no run has the workdir and none was killed there. A run of another
    host counts as alive where its last sign of life is younger than five minutes.
    """
    path = workdir / OWNER
    if not path.exists():
        return "", False
    owner = _owner(workdir)
    process = owner.get("process")
    if not owner:  # damaged after its owner's death: owners write whole files
        return _words(owner), False
    if owner.get("host") == socket.gethostname():
        return _words(owner), isinstance(process, int) and is_alive(process)
    return _words(owner), time.time() - path.stat().st_mtime < _SILENT


def sign_of_life(workdir: Path) -> None:
    """Tells other hosts that the owner of a workdir is alive."""
    with suppress(OSError):  # a disk that is full or gone for a moment says nothing of the run
        os.utime(workdir / OWNER)


def _refuse_a_living_owner(workdir: Path, locked: bool) -> None:
    """Looks after an owner that has not ended by itself.

    Args:
        workdir: The workdir.
        locked: Whether this process has the lock, so that no other of this host runs there.

    Raises:
        OwnedError: It is alive, or may be: it is on another host, whose lock may not be seen here.
    """
    if not (workdir / OWNER).exists():
        return
    owner = _owner(workdir)
    if not owner:
        pass  # owners write whole files: what cannot be read was damaged after its owner's death
    elif owner.get("host") == socket.gethostname():
        process = owner.get("process")
        if not locked and process != os.getpid() and isinstance(process, int) and is_alive(process):
            raise OwnedError(f"{workdir}: {_words(owner)} is running there")
    elif (silent := _silence(workdir)) < _SILENT:
        raise OwnedError(
            f"{workdir}: {_words(owner)} was running there {silent:.0f} s ago; where it has ended, "
            f"remove {workdir / OWNER}, or wait {_SILENT - silent:.0f} s"
        )


def _refuse_a_lost_workdir(workdir: Path, mine: dict[str, Any]) -> None:
    """Raises WriteError where a workdir does not say any more that it is this run's."""
    if (workdir / OWNER).exists():
        owner = _owner(workdir)
        if owner == mine:
            return
        what = f"is {_words(owner)}'s by now: it was removed while this run was going on"
    else:
        what = "was removed, or moved away, while the run was going on"
    raise WriteError(
        errno.ENOENT,
        f"{what}; what this run had written there is no result of it; the same command computes "
        "what is not there",
        str(workdir),
    )


def _silence(workdir: Path) -> float:
    """Returns the seconds since the owner's last sign of life, by the clock of the file system."""
    trial = workdir / f"{uuid.uuid4().hex}.tmp"
    trial.touch()
    now = trial.stat().st_mtime
    trial.unlink()
    return max(0.0, now - (workdir / OWNER).stat().st_mtime)


def _owner(workdir: Path) -> dict[str, Any]:
    """Returns what a workdir says of its owner; nothing where that cannot be read."""
    try:
        return read_object(workdir / OWNER)
    except FileError:
        return {}


def _words(owner: dict[str, Any]) -> str:
    known = {name: owner.get(name, "not known") for name in ("process", "host", "start")}
    return "the run of process {process} on host {host} (since {start})".format(**known)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
