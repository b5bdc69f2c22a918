"""Consoles on which names of models and tasks are shown as they are."""

from rich.console import Console


def plain_console(width: int | None = None) -> Console:
    """Returns standard output without markup and emoji, as names may hold brackets and colons.

    Args:
        width: In columns; None: the terminal's.
    """
    return Console(width=width, markup=False, emoji=False)


def wide_console(width: int) -> Console:
    """Returns a terminal as it is, and a file or pipe wide enough for tables of a width."""
    console = plain_console()
    return console if console.is_terminal else plain_console(width)
