"""How the last run in a workdir ended, or how far the one there is, and what goes on with it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from geneb_jax.config import fields
from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from geneb_jax.log_file import LOG
from geneb_jax.ownership import owner_of
from geneb_jax.scoring.progress import STATUS, duration
from geneb_jax.signals import GOES_ON

_LOGGED = re.compile(r"(\S+ \S+) [A-Z]+ (begun|ended|done)\b:?,? ?(.*)")


class _Logged(NamedTuple):
    """What log.txt says of the last run that it tells of.

    Attributes:
        config: Its config; empty where it cannot be read.
        ended: When it ended; empty: it has written no end.
        reason: Why it ended before it was done; empty: it was done, or has written no end.
    """

    config: Mapping[str, Any]
    ended: str
    reason: str


def last_run(workdir: Path) -> list[str]:
    """Returns lines that say how the last run in a workdir ended, and the command that goes on.

    They are of what status.json, owner.json and log.txt say; where none of these is there, there
    are none. Nothing is changed, so that it can be asked while a run is going on.

    Args:
        workdir: The folder of a run's results.
    """
    owner, alive = owner_of(workdir)
    status, logged = _status(workdir), _logged(workdir)
    if owner and alive:
        return [f"running now: {owner}; {_at(status) or 'reading tasks and models'}"]
    lines = [_end(owner, status, logged)] if owner or status or logged else []
    done = not owner and status.get("state") == "done"
    if logged and logged.config and not (done and not status.get("failures")):
        lines.append(f"the same command goes on: {command_of(workdir, logged.config)}")
    return lines


def _end(owner: str, status: Mapping[str, Any], logged: _Logged | None) -> str:
    """Returns how a run that is over ended."""
    if owner:
        last = f"; last seen {status['time']}" if status.get("time") else ""
        return f"the last run was killed: {owner}{last}: {_at(status) or 'before it had begun'}"
    when = status.get("time") or (logged.ended if logged else "")
    ended = f"the last run ended {when}".rstrip()
    if status.get("state") == "done":
        count = status.get("failures")
        return f"{ended}, after {_elapsed(status)}: " + (
            f"{count} failed, all else is done" if count else "all is done"
        )
    reason = logged.reason if logged and logged.reason else str(status.get("state", ""))
    reason = reason.removesuffix(f"; {GOES_ON}")
    return "; ".join(
        filter(None, [f"{ended}: {reason or 'its log does not say how'}", _at(status)])
    )


def _at(status: Mapping[str, Any]) -> str:
    """Returns how far a run was when it wrote its status; empty: it wrote none."""
    if not status:
        return ""
    model = status.get("model") and (
        f"model {status.get('number')} of {status.get('models')}, {status['model']}"
    )
    total = status.get("total")
    counted = f" {status.get('done')} of {total} {status.get('unit')}" if total else ""
    compiled = status.get("compiling") and f"compiling {status['compiling']}"
    left = status.get("remaining")
    time_left = f", left: about {duration(left)}" if isinstance(left, float) and left else ""
    parts = [model, f"{status.get('stage', '')}{counted}", compiled]
    count = status.get("failures")
    failed = f"{count} failed" if count else ""
    return ", ".join(filter(None, [*parts, f"{_elapsed(status)} so far{time_left}", failed]))


def _elapsed(status: Mapping[str, Any]) -> str:
    elapsed = status.get("elapsed")
    return duration(elapsed) if isinstance(elapsed, int | float) else "a time that is not known"


def _status(workdir: Path) -> Mapping[str, Any]:
    try:
        return read_object(workdir / STATUS)
    except FileError:  # none was written yet, or it was damaged; the next run writes it
        return {}


def _logged(workdir: Path) -> _Logged | None:
    """Returns what the log says of the last run that has begun; None: it tells of none."""
    found = None
    for when, what, rest in _log_lines(workdir / LOG):
        if what == "begun":
            found = _Logged(_config(rest), "", "")
        elif found:
            found = found._replace(ended=when, reason=rest if what == "ended" else "")
    return found


def _log_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := _LOGGED.fullmatch(line.rstrip("\n")):
                yield match[1], match[2], match[3]


def _config(text: str) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except ValueError:  # a line that a kill or a full disk has cut
        return {}
    return config if isinstance(config, Mapping) else {}


def command_of(workdir: Path, config: Mapping[str, Any]) -> str:
    """Returns the command of a run: its fields that are not the defaults, which config=full has.

    Args:
        workdir: The folder of its results.
        config: The values of its fields, by name.
    """
    words = ["geneb-jax", "run", "--config=full", f"--workdir={workdir}"]
    for field in fields():
        value = config.get(field.name, field.default)
        if value != field.default:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"--config.{field.name}={text}")
    return shlex.join(words)
