"""Folders that are made for what may never come into them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etils import epath


def nearest_there(path: Path) -> Path:
    """Returns a path, or the nearest one above it that is there."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


@contextmanager
def unless_empty(folder: "Path | epath.Path") -> Iterator[None]:
    """Makes a folder, and those above it that are missing; at the end those still empty go again.

    Folders that were there stay, and so does all that has come into one. A bucket has no folders
    without files.

    Raises:
        OSError: It cannot be made.
    """
    made: list[Path] = []
    if "://" not in str(folder):
        there = Path(folder).absolute()
        made = [path for path in (there, *there.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # one that is not empty keeps those above it
            for path in made:
                path.rmdir()
