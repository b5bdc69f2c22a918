"""One run at a time in a workdir: who owns it, and what becomes of a dead run's.

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
    with ExitStack() as made:
        try:
            made.enter_context(unless_empty(workdir))
            before = set(workdir.iterdir())
            (workdir / LOCK).touch()
        except OSError as error:
            reason = f"nothing can be written there: {error.strerror}"
            raise OwnedError(f"{workdir}: {reason}") from error
        with _locked(workdir) as check:
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
def _locked(workdir: Path) -> Iterator[Callable[[], None]]:
    """Holds the lock of a workdir and says who does, while inside; see `owned`."""
    lock = FileLock(workdir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OwnedError(f"{workdir}: {_words(_owner(workdir))} is running there") from None
    except (OSError, NotImplementedError) as error:
        logging.warning(
            "%s: the file system has no locks (%s); %s alone keeps a second run away",
            *(workdir, error, OWNER),
        )
    try:
        _refuse_a_living_owner(workdir, lock.is_locked)
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
    finally:
        lock.release()


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
    logging.warning("%s was killed; this run goes on from what it left", _words(owner))


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
