"""What a process takes: time and peak memory, its own alone.

Linux's `ru_maxrss` of a process counts what its parent held when it began it. So a command is begun
by a small process, which is this file run as a program, and a process that measures itself reads
VmHWM.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


class Taken(NamedTuple):
    """What a process took, its children too.

    Attributes:
        cpu: CPU seconds, user and system.
        wall: Wall seconds.
        gib: Peak memory of its largest process, in GiB.
    """

    cpu: float
    wall: float
    gib: float


def timed(name: str, words: Sequence[str], variables: Mapping[str, str] | None = None) -> Taken:
    """Runs a command of this Python in the project's folder and returns what it took.

    Args:
        name: What the command is called where it fails.
        words: The command, without the Python.
        variables: Environment variables beside those of this process.

    Raises:
        RuntimeError: The command failed; shows the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        log, figures = Path(folder, "log"), Path(folder, "figures.json")
        with log.open("wb") as file:
            small = [sys.executable, "-I", "-S", __file__, str(figures)]
            code = subprocess.call(
                [*small, sys.executable, *words],
                cwd=ROOT,
                env=os.environ | dict(variables or {}),
                stdout=file,
                stderr=file,
            )
        if code:
            said = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{name}: exit code {code}\n{said}")
        return Taken(*json.loads(figures.read_text()))


def peak_bytes() -> int:
    """Returns the largest resident memory of this process so far, in bytes. Linux alone tells."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def cpu_seconds() -> float:
    """Returns the CPU seconds of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed_here(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """Does some work in this process; returns what it returns, and its `cpu` and `wall` seconds."""
    start, before = time.perf_counter(), cpu_seconds()
    result = work()
    return result, {"cpu": cpu_seconds() - before, "wall": time.perf_counter() - start}


def main() -> int:
    """Runs the command behind the first word, writes there what it took, returns its status."""
    figures, *words = sys.argv[1:]
    start = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(words[0], words, os.environ), 0)
    wall = time.perf_counter() - start
    taken = Taken(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 2**20)
    Path(figures).write_text(json.dumps(taken))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code  # as shells say that a signal ended it


if __name__ == "__main__":
    sys.exit(main())
