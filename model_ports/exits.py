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
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

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


def ended(work: Callable[[], int]) -> int:
    """Runs a command and returns its exit status; an error that it raises is said on stderr.

    Args:
        work: Returns the exit status. A ValueError of it says what is wrong with the call or its
            input; an OSError, FloatingPointError or MemoryError what has failed under way, and its
            notes what to do. A
            KeyboardInterrupt may say what interrupted it. A BrokenPipeError, of output that
            nobody reads any more, ends the command without a word.
    """
    try:
        try:
            return work()
        finally:
            sys.stdout.flush()  # also where --help ends the program
    except (BrokenPipeError, SystemExit) as end:
        # Rich, too, ends the program where its output is not read.
        if not isinstance(end if isinstance(end, OSError) else end.__context__, BrokenPipeError):
            raise
        # Whoever read the output has seen enough, as `head` has; what is still held back goes
        # nowhere, so that the interpreter does not complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
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
