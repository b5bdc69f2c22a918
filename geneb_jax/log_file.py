"""workdir/log.txt: every line that a run says, and the tracebacks that the screen is spared."""

import logging as stdlib_logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import MemoryHandler
from pathlib import Path

from absl import logging

from geneb_jax.failures import file_only
from model_ports.exits import words_of

LOG = "log.txt"
_ALL = stdlib_logging.CRITICAL + 1  # a level that no line has: nothing is written too early


class _File(stdlib_logging.FileHandler):
    """A file that may be lost: a full disk ends the run where a result is written."""

    def handleError(self, record: stdlib_logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Lets a line go that cannot be written, instead of a traceback on the screen."""


class _Once:
    """Lets each warning through once: what a run finds twice, such as a damaged file, is news once.

    A file is read by several stages, and each of them says what is wrong with it.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, record: stdlib_logging.LogRecord) -> bool:
        """Says whether a line is shown and written."""
        if record.levelno != stdlib_logging.WARNING:
            return True
        line = record.getMessage()
        new = line not in self._said
        self._said.add(line)
        return new


@contextmanager
def log_kept_for(workdir: Path, name: str = LOG) -> Iterator[Callable[[], None]]:
    """Keeps the lines of the log from now on, for a workdir where nothing was started yet.

    Inside, a warning in the words of an earlier one is neither written nor shown.

    Args:
        workdir: Takes the file, to which lines are added.
        name: The file's name.

    Yields:
        A function that writes what was kept, and from then on each line at once.
    """
    waiting = MemoryHandler(0, _ALL, flushOnClose=False)
    loggers = (logging.get_absl_logger(), file_only)

    def keep() -> None:
        file = _File(workdir / name, encoding="utf-8")
        form = "%(asctime)s %(levelname)s %(message)s"
        file.setFormatter(stdlib_logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))
        waiting.setTarget(file)
        waiting.flush()  # and from now on at each line: the capacity is 0

    once = _Once()
    logging.get_absl_logger().addFilter(once)
    for logger in loggers:
        logger.addHandler(waiting)
    try:
        yield keep
    except BaseException as error:
        file_only.error("ended: %s", " ".join(words_of(error).split()) or type(error).__name__)
        raise
    finally:
        logging.get_absl_logger().removeFilter(once)
        for logger in loggers:
            logger.removeHandler(waiting)
        if waiting.target is not None:
            with suppress(OSError):  # what the file still held, on a full disk
                waiting.target.close()
        waiting.close()
