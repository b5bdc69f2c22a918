import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from geneb_jax import signals
from geneb_jax.signals import Interrupted, ending_on_signals, interruption, interruption_first
from model_ports.exits import INTERRUPTED

OPEN = Path("/proc/self/fd")
ROOT = Path(__file__).parents[2]
PROGRAM = """
import hashlib, sys, threading, time
from geneb_jax import signals
from model_ports.exits import ended

def work():
    with signals.ending_on_signals():
        try:
            print("begun", flush=True)
            {work}
        finally:
            print("flushed", flush=True)
            {end}
    return 0

signals._GRACE = {grace}
sys.exit(ended(work))
"""
# Python code between whose steps a signal comes, and compiled code that goes on for hours.
PYTHON = "time.sleep(60)"
COMPILED = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"


def start(work, end="pass", grace=10):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work=work, end=end, grace=grace)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "begun\n"
    return process


def finish(process, began):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err, time.monotonic() - began


def assert_ends_in_order(work, name="SIGTERM", *, after=0.0, within=5):
    """A signal some seconds after the work has begun ends it in a line, and what is behind it."""
    process, began = start(work), time.monotonic()
    time.sleep(after)
    process.send_signal(getattr(signal, name))
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "flushed\n")
    assert err == f"interrupted by {name}; the same command goes on from here\n"
    assert seconds < within


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"])
def test_a_signal_ends_in_order_and_in_a_line(name):
    assert_ends_in_order(PYTHON, name)


THREAD = f"threading.Thread(target=lambda: {COMPILED}, daemon=True).start(); {PYTHON}"


def test_a_thread_in_compiled_code_is_not_waited_for():
    assert_ends_in_order(THREAD)


# What is raised in these is printed and dropped by Python.
IN_FINALISER = """
            class Last:
                def __del__(self):
                    time.sleep(1)
            Last()
            time.sleep(60)"""
IN_COLLECTION = """
            import gc
            gc.callbacks.append(lambda *_: time.sleep(0.5))
            gc.collect()
            time.sleep(60)"""


IN_WEAK_REFERENCE = """
            import weakref
            class Last:
                pass
            last = Last()
            weakref.finalize(last, time.sleep, 1)
            del last
            time.sleep(60)"""


@pytest.mark.parametrize("work", [IN_FINALISER, IN_COLLECTION, IN_WEAK_REFERENCE])
def test_a_signal_is_not_lost_in_what_swallows_it(work):
    assert_ends_in_order(work, after=0.3)


def test_compiled_code_is_waited_for_a_while():
    process, began = start(COMPILED, grace=1), time.monotonic()
    time.sleep(0.5)  # until it is there
    process.send_signal(signal.SIGTERM)
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "")
    assert err == "ended 1 s after a signal, in compiled code; the same command goes on from here\n"
    assert seconds < 5


# An error in the teardown, which takes the interruption's stead, inside a model's part of a run and
# outside of one.
TEARDOWN = """
            import os
            from geneb_jax.failures import Failures
            failures = Failures()
            with {around}:
                try:
                    time.sleep(60)
                finally:
                    os.close(2**20)
            print("a failure", *failures.found, flush=True)"""


@pytest.mark.parametrize("around", ["failures.contained('m', 'probe')", "threading.Lock()"])
def test_an_error_that_an_interruption_brings_about_is_no_failure(around):
    assert_ends_in_order(TEARDOWN.format(around=around), after=0.3, within=10)


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(OSError, match="x"), ending_on_signals(), interruption_first():
        raise OSError("x")
    assert interruption() is None


def test_a_signal_that_is_passed_on_in_the_same_moment_is_one():
    process, began = start(PYTHON, end="time.sleep(1)"), time.monotonic()
    for name in ("SIGTERM", "SIGTERM", "SIGINT"):
        process.send_signal(getattr(signal, name))
        time.sleep(0.02)
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "flushed\n")
    assert err in (f"interrupted by {name}; the same command goes on from here\n"
                   for name in ("SIGTERM", "SIGINT"))  # fmt: skip
    assert 1 <= seconds < 10


def test_another_process_that_ends_too_is_no_second_signal():
    """Where all processes of a run got the signal, each hears of the others' end a little later."""
    later = "threading.Timer(1.5, signals.interrupt, ['another process ended']).start()"
    process, began = start(f"{later}; {COMPILED}", grace=2), time.monotonic()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "")
    assert err == "ended 2 s after a signal, in compiled code; the same command goes on from here\n"
    assert seconds >= 2


def test_a_second_signal_ends_at_once():
    process, began = start(COMPILED, grace=60), time.monotonic()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "")
    assert err == "ended by two signals; the same command goes on from here\n"
    assert seconds < 5


def test_a_second_signal_after_the_end_has_its_file_still(tmp_path):
    """Python writes a signal's number into a file: no other may have come in its stead."""
    program = f"""
import gc, os, signal, sys, time
from geneb_jax.signals import ending_on_signals
from model_ports.exits import ended

def work():
    with ending_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

ended(work)
gc.collect()
time.sleep(1)
files = [open({str(tmp_path)!r} + f"/{{i}}", "wb") for i in range(64)]
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    began = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == INTERRUPTED
    assert process.stderr == (
        "interrupted by SIGTERM; the same command goes on from here\n"
        "ended by two signals; the same command goes on from here\n"
    )
    assert time.monotonic() - began < 10
    assert not any(path.stat().st_size for path in tmp_path.iterdir())


def test_an_end_that_takes_too_long_is_cut():
    process, began = start(PYTHON, end=COMPILED, grace=1), time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, out, err, seconds = finish(process, began)
    assert (code, out) == (INTERRUPTED, "flushed\n")
    assert err.startswith("ended 1 s after a signal")
    assert seconds < 5


def test_handlers_and_threads_are_those_of_before_afterwards():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    threads, files = threading.active_count(), len(list(OPEN.iterdir()))
    with ending_on_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
        with pytest.raises(KeyError), ending_on_signals():
            raise KeyError
    assert [signal.getsignal(number) for number in numbers] == before
    assert (threading.active_count(), len(list(OPEN.iterdir()))) == (threads, files)


def test_a_hangup_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as behind `nohup`
    try:
        with ending_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(Interrupted, match="interrupted by SIGTERM"):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signals._raised.clear()  # pytest goes on
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_command_with_its_status():
    """The terminal is gone when the line is written that nobody reads."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work=PYTHON, end="pass", grace=10)],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    assert os.read(ours, 5) == b"begun"
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=30) == INTERRUPTED


def test_another_thread_leaves_signals_alone():
    found = []

    def work():
        with ending_on_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
