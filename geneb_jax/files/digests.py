"""Sizes and digests of files."""

import hashlib
from pathlib import Path
from typing import Any


def file_facts(path: Path) -> dict[str, Any]:
    """Returns a file's `size` in bytes and its `sha256`, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}


def folder_facts(folder: Path) -> dict[str, Any]:
    """Returns `file_facts` of every file under a folder, by its path inside."""
    return {p.relative_to(folder).as_posix(): file_facts(p) for p in files_under(folder)}


def files_under(folder: Path) -> list[Path]:
    """Returns every file under a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
