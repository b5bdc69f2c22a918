"""JSON as the project writes it."""

import json
from pathlib import Path

from geneb_jax.files.atomic import write_whole


def write_json(path: Path, content: object) -> None:
    """Writes a JSON file in the order of its keys."""
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def canonical_json(content: object) -> str:
    """Returns one text for equal contents, whatever the order of their keys."""
    return json.dumps(content, sort_keys=True)
