"""File names of models and tasks."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_LONGEST = 100  # of a name; with what is added to it, within the 255 bytes of file systems


def file_name(name: str) -> str:
    """Returns a file name for a model or task, another one for every other name.

    Letters, digits, '.', '_' and '-' stay, and the ':' of a model's variant becomes '_'. Where
    more has to change, eight digits of the name's digest follow: 'my task' and 'my_task' are two
    files.
    """
    plain = name.replace(":", "_")
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._")[:_LONGEST]
    if kept and kept == plain:
        return kept
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{kept or 'unnamed'}-{digest}"


def is_inside(name: str) -> bool:
    """Says whether a path's text stays in the folder that it is of, and can name a file there."""
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and parts[0] != "/" and "\0" not in name


def clashes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the pairs of names whose files would be one, also where case does not count."""
    files: dict[str, str] = {}
    return [
        (first, name)
        for name in names
        if (first := files.setdefault(file_name(name).lower(), name)) != name
    ]
