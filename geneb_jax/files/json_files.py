"""JSON as the project writes it, and as it reads it."""

import json
from pathlib import Path
from typing import Any

from geneb_jax.files.atomic import write_whole
from geneb_jax.files.texts import FileError, read_text


def write_json(path: Path, content: object) -> None:
    """Writes a JSON file in the order of its keys."""
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
        FileError: It is missing, cannot be read, or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
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


def canonical_json(content: object) -> str:
    """Returns one text for equal contents, whatever the order of their keys."""
    return json.dumps(content, sort_keys=True)
