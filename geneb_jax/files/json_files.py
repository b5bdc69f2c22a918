"""JSON as the project writes it, and as it reads it."""

import json
from pathlib import Path
from typing import Any

from geneb_jax.files.atomic import write_whole
from geneb_jax.files.texts import FileError, read_text


def write_json(path: Path, content: object) -> None:
    """Writes a JSON file in the order of its keys."""
    write_whole(path, json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Returns what `write_json` writes."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
        FileError: It is missing, cannot be read, is not JSON, or a name stands twice in an object.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=unique_names)
    except RecursionError as error:
        raise FileError(f"{path}: not JSON that can be read: too many nested brackets") from error
    except ValueError as error:
        raise FileError(f"{path}: not JSON: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Returns the content of a JSON file that holds an object.

    Raises:
        FileError: It is missing, cannot be read, is not JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise FileError(f"{path}: holds a {type(content).__name__}, not an object of names")
    return content


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object of JSON, as an `object_pairs_hook`.

    Raises:
        ValueError: A name stands twice.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"{twice!r:.60} stands twice")
    return content


def canonical_json(content: object) -> str:
    """Returns one text for equal contents, whatever the order of their keys."""
    return json.dumps(content, sort_keys=True)
