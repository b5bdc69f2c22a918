"""How many bytes files take."""

import os
from pathlib import Path

_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of the files under a folder; links are not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if path.is_symlink() or path.exists() else 0
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += Path(root, name).lstat().st_size
            except FileNotFoundError:  # removed meanwhile
                continue
    return total


def shown_size(count: float) -> str:
    """Returns bytes in the largest unit that they are one of, such as '1.5 GiB'."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
