"""Finished model-task pairs, one file each: what makes a killed run resume where it was."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from geneb_jax.files.atomic import write_whole
from geneb_jax.files.json_files import canonical_json
from geneb_jax.scoring.scores import merge


@dataclass(frozen=True)
class Cell:
    """The scores of one model on one task.

    Attributes:
        path: Its file.
        identity: What the scores depend on beside the heads: the model, the task's content.
    """

    path: Path
    identity: Mapping[str, Any]

    def read(self) -> pd.DataFrame:
        """Returns the rows of this identity; none where the file is missing or of another."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return pd.DataFrame()
        except ValueError as error:
            raise ValueError(f"{self.path}: not JSON ({error}); remove it") from error
        if canonical_json(content["identity"]) != canonical_json(self.identity):
            return pd.DataFrame()
        return pd.DataFrame(content["rows"], columns=content["columns"])

    def add(self, rows: pd.DataFrame) -> None:
        """Writes rows; those that stood here with the same keys are replaced."""
        old = self.read()
        rows = merge(old, rows) if len(old) else rows
        content = {
            "identity": dict(self.identity),
            "columns": list(rows.columns),
            "rows": rows.to_numpy(object).tolist(),
        }
        write_whole(self.path, json.dumps(content).encode())


def read_all(folder: Path) -> Iterator[pd.DataFrame]:
    """Yields the rows of every cell under a folder."""
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        yield pd.DataFrame(content["rows"], columns=content["columns"])
