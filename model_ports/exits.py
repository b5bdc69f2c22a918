"""How a command ends: its exit status, and what it says instead of a traceback.

DONE         all that was asked for
FAILED       something failed under way, such as a full disk, or a check found a difference
WRONG        the call or its input is wrong; nothing was started
SOME_FAILED  all was done but what is listed as failed
INTERRUPTED  ended by a signal or from the keyboard; the same command goes on from what is kept
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO, cast

DONE, FAILED, WRONG, SOME_FAILED, INTERRUPTED = range(5)


class Parser(argparse.ArgumentParser):
    """A parser of a command line, which answers a wrong one in one line."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with the call and ends the program."""
        self.exit(WRONG, f"{self.prog}: {message}; `{self.prog} --help` shows all\n")


def words_of(error: BaseException) -> str:
    """Returns what an error says; one of the system with its file first and without its number."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part is not None)
    if isinstance(error, MemoryError):
        return str(error) or "the host's memory ran out"
    return str(error)


class _Output:
    """Standard output or error; from when nobody reads it on, what is written goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes text."""
        with self._going_nowhere():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what was held back."""
        with self._going_nowhere():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Returns what the stream has beside these."""
        return getattr(self._stream, name)

    @contextmanager
    def _going_nowhere(self) -> Iterator[None]:
        """Lets a pipe go that is closed at its other end, and what is held back for it."""
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()  # else the interpreter complains of it at its end


@contextmanager
def _read_or_not() -> Iterator[None]:
    """Makes work inside go on where nobody reads what it prints any more, as behind `head`."""
    before = sys.stdout, sys.stderr
    # One that was closed before the program began is None, and takes nothing.
    sys.stdout, sys.stderr = (cast(Any, each and _Output(each)) for each in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def ended(work: Callable[[], int]) -> int:
    """Runs a command and returns its exit status; an error that it raises is said on stderr.

    Output that nobody reads any more, as behind `head`, goes nowhere: the command goes on without a
    word, writes its files, and ends as it would have.

    Args:
        work: Returns the exit status. A ValueError of it says what is wrong with the call or its
            input; an OSError, FloatingPointError or MemoryError what has failed under way, and its
            notes what to do. A KeyboardInterrupt may say what interrupted it.
    """
    with _read_or_not():
        return _ended(work)


def _ended(work: Callable[[], int]) -> int:
    try:
        try:
            return work()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # also where --help ends the program
    except (OSError, FloatingPointError, MemoryError) as error:
        print("\n".join([words_of(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
        return FAILED
    except ValueError as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt as error:
        with suppress(OSError):  # a terminal that is closed
            print(
                str(error) or "interrupted; the same command goes on from what is kept",
                file=sys.stderr,
            )
        return INTERRUPTED
