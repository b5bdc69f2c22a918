"""Signals that end a command in order: what is done is kept, and a line says what that is.

Python runs a signal's handler in the main thread, between its own steps. Where that thread is in
compiled code, such as a fit or a batch on the device, the handler waits for it; a thread that the
signal wakes at once ends the process where that takes too long. All results are whole files, so
what is lost then is the work at hand. A second signal ends the process at once, unless it comes in
the same moment: whoever starts a run may pass on a signal that all of its processes got.

What is raised in a finaliser, in a callback of a weak reference or of the collector, Python tells
`sys.unraisablehook` and drops. An interruption that was dropped is raised again a moment later.

What is torn down by a signal may fail: a file that is half written cannot be closed, say. Such an
error is none of the run, which has been interrupted: see `interruption`.

A thread ends the run in the same way with `interrupt`, and hears of a signal at once inside
`heard`, also where the main thread does not.
"""

import _thread
import atexit
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from model_ports.exits import INTERRUPTED

_AGAIN = 0.02  # seconds; what is left of a callback takes less
_GRACE = 10.0  # seconds; schedulers send SIGKILL after 30 (Slurm, Kubernetes) or later
_MOMENT = 0.3  # seconds; who presses Ctrl-C twice to end at once, and is not heard, presses again
# Slurm's and others' warning, the terminal's, the one that a job asks for before its limit, and the
# one of a terminal that is closed.
_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")
    if hasattr(signal, name)
)

_Hook = Callable[[Any], Any]  # takes a `sys.UnraisableHookArgs`

GOES_ON = "the same command goes on from here"

_hearers: list[Callable[[str], None]] = []  # told of the first signal; see `heard`
_again: list[int] = []  # signals that come a second time, see `_again_where_dropped`
_reasons: list[str] = []  # why a thread has interrupted the run; see `interrupt`
_heard: list[int] = []  # the signal that ends the run, once the watch knows of it
_raised: dict["Interrupted", int] = {}  # in the main thread, by which signal; see `interruption`
_caught: list[int] = []  # the signals that end the command
_then = [GOES_ON]  # what is said behind the reason


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end; the message names it."""


@contextmanager
def ending_on_signals(then: str = GOES_ON) -> Iterator[None]:
    """Makes SIGTERM, SIGINT, SIGUSR1 and SIGHUP raise `Interrupted` inside, in the main thread.

    In another thread signals stay as they are: Python lets no other set them. A SIGHUP that is
    ignored stays so: `nohup` asks for a command that outlives its terminal.

    Args:
        then: What is kept and what to do, in the words that follow the signal's name.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    for noted in (_reasons, _heard, _raised):
        noted.clear()
    ignored = hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    _caught[:] = [each for each in _SIGNALS if not (ignored and each == signal.SIGHUP)]
    _then[:] = [then]
    read, write = socket.socketpair()  # no pipe: Windows waits for sockets alone
    write.setblocking(False)
    before = {number: signal.signal(number, _interrupt) for number in _caught}
    wakeup = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
    hook, sys.unraisablehook = sys.unraisablehook, _again_where_dropped(sys.unraisablehook)
    watching = threading.Thread(target=_watch, args=(read, write), daemon=True)
    watching.start()
    interrupted = False
    try:
        with interruption_first():
            yield
        interrupted = interruption() is not None  # it was said inside already
    except Interrupted:
        interrupted = True
        raise
    finally:
        sys.unraisablehook = hook
        if interrupted:  # the watch goes on: the end itself may take too long
            atexit.register(_leave)
        else:
            _raised.clear()
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            write.close()
            watching.join()
            read.close()


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Calls a function in another thread at the first signal that ends the run, while inside.

    Args:
        tell: Takes what happened, such as 'interrupted by SIGTERM'.
    """
    _hearers.append(tell)
    try:
        yield
    finally:
        _hearers.remove(tell)


def interruption() -> Interrupted | None:
    """Returns what a signal has raised in the main thread; None: no signal has ended the run."""
    return next(iter(_raised), None)


@contextmanager
def interruption_first() -> Iterator[None]:
    """Raises the interruption in the stead of an error that comes after it, in any thread."""
    try:
        yield
    except Exception as error:
        if interrupted := interruption():
            raise interrupted from error
        raise


def interrupt(reason: str) -> None:
    """Ends the run from any thread as a signal does, with a message of its reason.

    A run that is ending already goes on to do so. Outside of `ending_on_signals` the main thread
    gets a plain KeyboardInterrupt.
    """
    if _heard:
        return
    _reasons.append(reason)
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        _signal_main_thread(signal.SIGTERM)
    else:
        _thread.interrupt_main()


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for each in _caught:  # the second one is the watch's
        signal.signal(each, lambda *_: None)
    interrupted = Interrupted(f"{_why(number)}; {_then[0]}")
    _raised[interrupted] = number
    raise interrupted


def _again_where_dropped(hook: _Hook) -> _Hook:
    """Returns a `sys.unraisablehook` that raises a dropped interruption again; others are `hook`'s.

    It is raised from a timer: here Python would drop it, too.
    """

    def told(dropped: Any) -> None:
        error = dropped.exc_value
        if not isinstance(error, Interrupted) or error not in _raised:
            hook(dropped)
            return
        number = _raised.pop(error)
        for each in _caught:
            signal.signal(each, _interrupt)
        _again.append(number)
        threading.Timer(_AGAIN, _signal_main_thread, (number,)).start()

    return told


def _signal_main_thread(number: int) -> None:
    """Sends a signal from any thread."""
    if hasattr(signal, "pthread_kill"):  # which wakes the main thread up, too
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _why(number: int) -> str:
    return _reasons[0] if _reasons else f"interrupted by {signal.Signals(number).name}"


def _leave() -> None:
    """Ends the process without waiting for threads in compiled code, which Python cannot stop.

    A thread that comes back from a compiler into an interpreter that is gone aborts the process.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # of a terminal that is closed
            stream.flush()
    os._exit(INTERRUPTED)


def _watch(read: socket.socket, write: socket.socket) -> None:
    """Ends the process after a second signal, or some time after the first.

    Args:
        read: Tells the numbers of signals.
        write: Takes them from the system. The thread that watches keeps it open: an interrupted run
            leaves it behind, and whatever file were opened in its stead would take the numbers.
    """
    while first := read.recv(1):
        if first[0] in _caught:
            break
    if not first:
        return  # nothing happened
    _heard.append(first[0])
    for tell in [*_hearers]:
        tell(_why(first[0]))
    began = time.monotonic()
    while ready := select.select([read], [], [], max(0.0, began + _GRACE - time.monotonic()))[0]:
        if not read.recv(1):
            return  # nobody writes
        if _again:
            _again.pop()  # it is the first signal still
        elif time.monotonic() > began + _MOMENT:
            break
    how = "by two signals" if ready else f"{_GRACE:.0f} s after a signal, in compiled code"
    with suppress(OSError):  # a terminal that is closed
        why = _reasons[0] if _reasons else f"ended {how}"
        print(f"{why}; {_then[0]}", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
