"""The log of commands on the screen: one form of its lines, whichever command speaks."""

import logging as stdlib_logging
import sys

from absl import flags, logging

_FORM = stdlib_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")


class _Stderr:
    """Standard error as it is at the moment: bars put something in its place while they are shown.

    absl's log would keep the one that was there when it was imported, and write into the bars.
    """

    def write(self, text: str) -> int:
        """Writes text."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Writes what was held back."""
        sys.stderr.flush()

    def close(self) -> None:
        """Leaves standard error open, which is not the log's to close."""


def show_log(level: int = stdlib_logging.WARNING) -> None:
    """Shows on standard error what the program says of itself, and of libraries the warnings.

    Args:
        level: The least of logging's levels that the program's lines are shown of.
    """
    flags.FLAGS(["geneb-jax"])  # absl's flags, which its log reads, stay as they are
    logging.use_absl_handler()
    stdlib_logging.getLogger().setLevel(stdlib_logging.WARNING)
    logging.get_absl_logger().setLevel(level)
    handler = logging.get_absl_handler()
    handler.python_handler.setStream(_Stderr())
    handler.setFormatter(_FORM)
    handler.addFilter(_is_shown)


def _is_shown(line: stdlib_logging.LogRecord) -> bool:
    """Says whether a line is not one of Orbax, which tells of every step through absl's log."""
    return line.levelno >= stdlib_logging.ERROR or "orbax" not in line.pathname
