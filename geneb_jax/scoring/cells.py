"""Finished model-task pairs, one file each: what makes a killed run resume where it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from geneb_jax.embedding.identity import weights_identity
from geneb_jax.files.atomic import write_whole
from geneb_jax.files.json_files import canonical_json
from geneb_jax.scoring.scores import complete, merge


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


class Gathered(NamedTuple):
    """The rows of a workdir's cells.

    Attributes:
        rows: Rows of cells whose identities agree with each other and with those given.
        set_aside: Model and task of each cell whose rows were computed from other weights or
            another task file.
        prepared: Tasks of these rows whose records `config.letters` changed.
    """

    rows: pd.DataFrame
    set_aside: list[tuple[str, str]]
    prepared: list[str]


def gather(
    folder: Path, weights: Mapping[str, Mapping[str, Any]], tasks: Mapping[str, str]
) -> Gathered:
    """Gathers the rows of every cell under a folder that belong together.

    A model has one set of weights and a task one content: the given ones, else those of the
    newest cell that names them.

    Args:
        folder: Holds the cells.
        weights: What tells the weights of a model from others, by model (see
            `identity.weights_identity`).
        tasks: Digest of the content of a task, by task (see `task.content_digest`).
    """
    weights, tasks = dict(weights), dict(tasks)
    cells, prepared = [], set[str]()
    newest_first = sorted(folder.rglob("*.json"), key=lambda path: -path.stat().st_mtime_ns)
    for path in newest_first:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = pd.DataFrame(content["rows"], columns=content["columns"])
        model, task = rows["model"].iloc[0], rows["task"].iloc[0]
        identity = weights_identity(content["identity"]["model"])
        digest = content["identity"]["task"]
        belongs = weights.setdefault(model, identity) == identity
        belongs &= tasks.setdefault(task, digest) == digest
        cells.append((path, model, task, rows if belongs else None))
        if belongs and "letters" in content["identity"]:
            prepared.add(task)
    cells.sort()
    found = [rows for *_, rows in cells if rows is not None]
    return Gathered(
        complete(pd.concat(found, ignore_index=True)),
        [(model, task) for _, model, task, rows in cells if rows is None],
        sorted(prepared),
    )
