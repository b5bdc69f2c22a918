"""File names of models and tasks."""

import re


def file_name(name: str) -> str:
    """Returns a file name for a model or task: runs of other characters become one '_'."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "unnamed"
