"""What a machine that loses power, a full disk or a killed run may leave of files.

A folder is that of a round of `benchmarks.stress`: `work`, the workdir; `embeddings`, where a run
keeps embeddings outside of it; `cache`, the user's cache.
"""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from geneb_jax.ownership import OWNER

# Files of a folder, by kind.
KINDS: Mapping[str, str] = {
    "scores.csv": "work/scores.csv",
    "run.json": "work/run.json",
    "status.json": "work/status.json",
    "log.txt": "work/log.txt",
    "run.lock": "work/run.lock",
    "owner.json": "work/owner.json",
    "cells": "work/cells/*/*/*.json",
    "predictions": "work/predictions/**/*.npz",
    "devices": "work/devices/*.json",
    "submissions": "work/submissions/*.json",
    "tables": "work/tables/*",
    "figures": "work/figures/*",
    "report": "work/report/*",
    "keys": "*/**/keys-*.npy",
    "values": "*/**/values-*.npy",
    "store.json": "*/**/store.json",
    "digests": "cache/geneb_jax/digests/*",
    "programs": "cache/geneb_jax/programs/*-cache",
    "times of programs": "cache/geneb_jax/programs/*-atime",
}
OF_STORES = frozenset({"keys", "values", "store.json"})
_LONG_AGO = 3600.0  # seconds; longer than a run of another host may be silent


def truncated(content: bytes, rng: random.Random) -> bytes:
    """Returns the beginning of a file."""
    return content[: rng.randrange(len(content))] if content else content


def zero_tailed(content: bytes, rng: random.Random) -> bytes:
    """Returns a file of the same length whose end never reached the disk."""
    kept = truncated(content, rng)
    return kept + bytes(len(content) - len(kept))


def emptied(content: bytes, rng: random.Random) -> bytes:
    """Returns nothing."""
    del content, rng
    return b""


def with_garbage(content: bytes, rng: random.Random) -> bytes:
    """Returns a file with other bytes behind it."""
    return content + rng.randbytes(rng.randint(1, 200))


TEARS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": truncated,
    "zero-filled tail": zero_tailed,
    "emptied": emptied,
    "garbage appended": with_garbage,
}


def tear(folder: Path, rng: random.Random) -> tuple[str, str, Path] | None:
    """Damages one file of a folder, or leaves one there as a killed run does.

    Returns:
        The kind of the file, what was done to it, and its path; None: the kind that was drawn has
        no file there.
    """
    kind = rng.choice([*KINDS, _OWNER_LEFT])
    if kind == _OWNER_LEFT:
        how = rng.choice([*OWNERS])
        OWNERS[how](folder / "work" / OWNER)
        return kind, how, folder / "work" / OWNER
    files = sorted(path for path in folder.glob(KINDS[kind]) if path.is_file())
    if not files:
        return None
    path = rng.choice(files)
    how = rng.choice([*TEARS, "removed", "left-over"])
    if how == "removed":
        path.unlink()
    elif how == "left-over":
        left = path.with_name(f"{path.name}.{_host()}.{dead_process()}.{_hex(rng)}.tmp")
        left.write_bytes(truncated(path.read_bytes(), rng))
    else:
        path.write_bytes(TEARS[how](path.read_bytes(), rng))
    return kind, how, path


_OWNER_LEFT = "left owner"


def _dead_owner(path: Path) -> None:
    owner = {"host": socket.gethostname(), "process": dead_process(), "start": "long ago"}
    path.write_text(json.dumps(owner))


def _silent_owner(path: Path) -> None:
    path.write_text(json.dumps({"host": "elsewhere", "process": 1, "start": "long ago"}))
    then = time.time() - _LONG_AGO
    os.utime(path, (then, then))


def _recycled_owner(path: Path) -> None:
    """The number of the killed process is another one's now."""
    owner = {"host": socket.gethostname(), "process": os.getpid(), "start": "long ago"}
    path.write_text(json.dumps(owner))


OWNERS: Mapping[str, Callable[[Path], None]] = {
    "a dead process": _dead_owner,
    "a silent process of another host": _silent_owner,
    "a process whose number was given again": _recycled_owner,
}


@cache
def dead_process() -> int:
    """Returns the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def _host() -> str:
    """Returns the host as `files.atomic` writes it into names."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:64] or "host"


def _hex(rng: random.Random) -> str:
    return uuid.UUID(int=rng.getrandbits(128)).hex
