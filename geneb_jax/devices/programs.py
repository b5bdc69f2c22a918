"""Compiled programs: how they are made, the cache that keeps them, and the room they take."""

import ctypes
import functools
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import jax
from absl import logging
from filelock import FileLock, Timeout

from geneb_jax.files.user_cache import user_cache

_MOST_KEPT = 2 * 2**30  # bytes; those that were not read for longest go first
_MAPS = Path("/proc/self/maps")
_MOST_MAPS = Path("/proc/sys/vm/max_map_count")
_CACHE_LOCK = ".lockfile"  # JAX's name
_LOCK_SECONDS = 5.0
_ZEROS = 8  # bytes
_COMPILERS = 2  # threads for each use
# JAX's words where a program cannot be kept, and ours.
_NOT_KEPT = re.compile(
    r"Error (?P<does>reading|writing) persistent compilation cache entry for '.*?': (?P<what>.*)",
    re.DOTALL,
)
_NOT_KEPT_WORDS = {
    "reading": "some compiled programs cannot be read, and are compiled again",
    "writing": "some compiled programs are not kept, and are compiled again in the next run",
}
# What is compiled now, and since when; two programs of one name may be, of two models.
_compiling: dict[object, tuple[str, float]] = {}
# The seconds of the waits for programs that are over, and since when there is another one: a thread
# that asks sees both of one moment.
_waits: list[tuple[float, float | None]] = [(0.0, None)]
T = TypeVar("T")


def keep_programs(cache_dir: str = "") -> None:
    """Keeps compiled programs on disk, small ones too, so that no later process compiles them.

    Args:
        cache_dir: Its folder `programs` takes them; empty: the user's cache; 'none': nothing is
            kept. A folder that JAX was told of before, by its own setting, stays.
    """
    if cache_dir == "none":
        return
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore
        try:
            path = user_cache("programs", cache_dir)
            path.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(path)
        except (OSError, RuntimeError) as error:
            logging.warning("compiled programs are not kept: %s", error)
            return
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", _MOST_KEPT)
    _say_once_what_is_not_kept()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # Otherwise the name of the folder is a part of each program's key.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")


def _say_once_what_is_not_kept() -> None:
    """Says in one line of the log what JAX would warn of for each program: a full disk, say."""
    shown, said = warnings.showwarning, set[str]()
    if shown.__module__ == __name__:
        return

    def show(message: Warning | str, *where: Any, **options: Any) -> None:
        match = _NOT_KEPT.match(str(message))
        if match is None:
            shown(message, *where, **options)
        elif match["does"] not in said:
            said.add(match["does"])
            folder, what = jax.config.jax_compilation_cache_dir, match["what"]  # pyright: ignore
            logging.warning("%s: %s: %s", folder, _NOT_KEPT_WORDS[match["does"]], what)

    warnings.showwarning = show


def _remove_unfinished(folder: Path) -> None:
    """Removes programs that a killed process or a loss of power has left unfinished.

    JAX writes a program and then, into a second file, the time of its use. It never replaces a
    program that is there, so a torn one would be compiled in every run; and one without a time
    makes JAX refuse to keep any more. Programs of which other bytes are lost are left to JAX,
    which warns and compiles them.
    """
    try:
        with FileLock(folder / _CACHE_LOCK, timeout=_LOCK_SECONDS):
            for program in folder.glob("*-cache"):
                used = program.with_name(f"{program.name.removesuffix('-cache')}-atime")
                if not used.exists() or _ends_in_nothing(program):
                    program.unlink()
                    used.unlink(missing_ok=True)
    except Timeout:
        logging.info("%s: in use by another process; not looked through", folder)


def _ends_in_nothing(program: Path) -> bool:
    """Says whether a file is empty or its last bytes are zeros, which no compressed one has."""
    with program.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _ZEROS))
        return not any(file.read())


def make_room_for_programs() -> None:
    """Drops JAX's compiled programs once they hold half of the memory maps a process may have.

    On CPUs a program takes several maps, Linux allows 65,530, and a process that wants more dies
    without a word: a run over 40 models comes there. What is needed again is read from the
    compilation cache.
    """
    if _MAPS.is_file() and _MOST_MAPS.is_file():
        with _MAPS.open("rb") as maps:
            count = sum(1 for _ in maps)
        if count > int(_MOST_MAPS.read_text()) // 2:
            jax.clear_caches()


def soon(work: Callable[[], T], use: str) -> Future[T]:
    """Lets one of a few threads do some work in its turn, such as to compile a program.

    The threads end with the process, whatever they are at: a signal need not wait for them.

    Args:
        work: What is to be done.
        use: What it is for; work for one use does not wait for that for another.
    """
    future: Future[T] = Future()
    _turns(use).put((future, work))
    return future


@functools.cache
def _turns(use: str) -> SimpleQueue[tuple[Future[Any], Callable[[], Any]]]:
    """Returns what waits for the threads of a use, which are started now."""
    turns: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def take_turns() -> None:
        while True:
            future, work = turns.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = work()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    _give_memory_back()
                    future.set_result(result)

    for number in range(_COMPILERS):
        threading.Thread(target=take_turns, name=f"compile_{use}_{number}", daemon=True).start()
    return turns


def _give_memory_back() -> None:
    """Gives the system the memory that is free in this process, where the C library is glibc.

    A compiler leaves some 200 MB of it for each thread, which glibc would keep for other threads'
    small blocks.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def compile_program(lowered: jax.stages.Lowered, what: str) -> jax.stages.Compiled:
    """Compiles a program.

    Args:
        lowered: The program.
        what: What `compiling` calls it meanwhile.
    """
    this = object()
    _compiling[this] = (what, time.monotonic())
    try:
        return lowered.compile()
    finally:
        del _compiling[this]


@contextmanager
def waiting() -> Iterator[None]:
    """Counts the time inside, of one thread at a time, as a wait for a program; see `waited`."""
    (before, _), began = _waits[0], time.monotonic()
    _waits[0] = (before, began)
    try:
        yield
    finally:
        _waits[0] = (before + time.monotonic() - began, None)


def waited() -> float:
    """Returns the seconds that this process has waited for programs to be compiled or read."""
    over, since = _waits[0]
    return over + (0.0 if since is None else time.monotonic() - since)


def compiling() -> str:
    """Returns what is compiled at the moment and for how long; empty: nothing is."""
    now = time.monotonic()
    return ", ".join(
        f"{what} for {now - since:.0f} s" for what, since in _compiling.copy().values()
    )
