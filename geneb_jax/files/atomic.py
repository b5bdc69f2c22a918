"""Files that are there in full or not at all."""

from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is there in full or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
