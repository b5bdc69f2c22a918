"""Finished model-task pairs, one file each: what makes a killed run resume where it was."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from absl import logging

from geneb_jax.embedding.identity import weights_identity
from geneb_jax.files.atomic import write_whole
from geneb_jax.files.json_files import canonical_json, read_object
from geneb_jax.files.names import file_name
from geneb_jax.files.texts import FileError
from geneb_jax.scoring.scores import (
    COLUMNS,
    HEAD_COLUMNS,
    KEY_COLUMNS,
    OPTIONAL,
    REQUIRED,
    TYPES,
    cell_problem,
    complete,
    merge,
)
from geneb_jax.tasks.task import Task, changes

if TYPE_CHECKING:  # a representation's module loads JAX, which reading cells does without
    from geneb_jax.embedding.source import Representation

_SHOWN = 40  # letters of a value that is wrong
_OF_CELL = [name for name in KEY_COLUMNS if name not in HEAD_COLUMNS]  # one value a cell


class CellError(ValueError):
    """Rows of scores that reading would refuse; the message names the value."""


@dataclass(frozen=True)
class Cell:
    """The scores of one model on one task.

    Attributes:
        path: Its file.
        identity: What the scores depend on beside the heads: the model, the task's content, and
            by further names what has changed its records.
    """

    path: Path
    identity: Mapping[str, Any]

    def read(self) -> pd.DataFrame:
        """Returns the rows of this identity; none where the file is missing or of another.

        A damaged file counts as missing; a warning names it.
        """
        return self.look().rows

    def look(self) -> "Held":
        """Reads the file as `read` does, and says whether it holds rows of another identity."""
        content = _read(self.path) if self.path.exists() else None
        if content is None:
            return Held(pd.DataFrame(), of_others=False)
        if canonical_json(content.identity) != canonical_json(self.identity):
            return Held(pd.DataFrame(), of_others=True)
        return Held(content.rows, of_others=False)

    def add(self, rows: pd.DataFrame) -> None:
        """Writes rows; those that stood here with the same keys are replaced.

        Raises:
            CellError: The file would count as damaged, as where a metric is out of the range that
                its column has; nothing is written.
        """
        old = self.read()
        rows = merge(old, rows) if len(old) else rows
        content = {
            "identity": dict(self.identity),
            "columns": list(rows.columns),
            "rows": rows.to_numpy(object).tolist(),
        }
        text = json.dumps(content | {"sha256": _digest(content)})
        if problem := next(_problems(json.loads(text)), None):
            raise CellError(f"what was computed is not kept, as it could not be read: {problem}")
        write_whole(self.path, text.encode())


class Held(NamedTuple):
    """What the file of a cell holds.

    Attributes:
        rows: Rows of the cell's identity; none where there are none.
        of_others: Whether there are rows of another identity in their stead.
    """

    rows: pd.DataFrame
    of_others: bool


class Gathered(NamedTuple):
    """The rows of a workdir's cells.

    Attributes:
        rows: Rows of cells whose identities agree with each other and with those given.
        set_aside: Model and task of each cell whose rows were computed from other weights or
            another task file.
        prepared: Tasks of these rows whose records `config.letters` or `config.max_train` changed.
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
        folder: Holds the cells, each where `cell_path` says. Hidden files are left alone, and
            damaged ones and those of another name with a warning.
        weights: What tells the weights of a model from others, by model (see
            `identity.weights_identity`).
        tasks: Digest of the content of a task, by task (see `task.content_digest`).
    """
    found = look_through(folder, weights, tasks)
    rows = [cell.rows for cell in found if cell.belongs]
    nothing = pd.DataFrame(columns=[name for name in COLUMNS if name not in OPTIONAL])
    return Gathered(
        complete(pd.concat(rows, ignore_index=True) if rows else nothing),
        [(cell.model, cell.task) for cell in found if not cell.belongs],
        sorted({c.task for c in found if c.belongs and c.identity.keys() - {"model", "task"}}),
    )


class FoundCell(NamedTuple):
    """The file of a cell under a folder.

    Attributes:
        path: The file.
        model: The model's name.
        task: The task's id.
        identity: See `Cell`.
        rows: The scores.
        belongs: Whether weights and task are those that count; see `gather`.
    """

    path: Path
    model: str
    task: str
    identity: Mapping[str, Any]
    rows: pd.DataFrame
    belongs: bool


def look_through(
    folder: Path, weights: Mapping[str, Mapping[str, Any]], tasks: Mapping[str, str]
) -> list[FoundCell]:
    """Returns the cells under a folder by their paths, and says of each whether it belongs.

    Args:
        folder, weights, tasks: See `gather`.
    """
    weights, tasks = dict(weights), dict(tasks)
    cells = []
    visible = [
        path
        for path in folder.rglob("*.json")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    for path in sorted(visible, key=lambda path: -path.lstat().st_mtime_ns):
        content = _read(path)
        if content is None:
            continue
        first = content.rows.iloc[0]
        if path.relative_to(folder) != (wanted := cell_path(first)):
            logging.warning("%s: not read: results of %s", path, folder / wanted)
            continue
        model, task = first["model"], first["task"]
        identity = weights_identity(content.identity["model"])
        digest = content.identity["task"]
        belongs = weights.setdefault(model, identity) == identity
        belongs &= tasks.setdefault(task, digest) == digest
        cells.append(FoundCell(path, model, task, content.identity, content.rows, belongs))
    return sorted(cells, key=lambda cell: cell.path)


def cell_path(row: Mapping[Any, Any] | pd.Series) -> Path:
    """Returns the file of a cell below the folder of all cells.

    Args:
        row: At least the columns model, preset, dtype, tap, pooling and task of one of its rows.
    """
    representation = "-".join(row[name] for name in ("preset", "dtype", "tap", "pooling"))
    return Path(file_name(row["model"]), representation, f"{file_name(row['task'])}.json")


def holds_scores(workdir: Path, model: str, task: str) -> bool:
    """Says whether a workdir has a cell of a model and a task, whatever it was computed from."""
    folder = workdir / "cells" / file_name(model)
    name = f"{file_name(task)}.json"
    return folder.is_dir() and any((each / name).is_file() for each in folder.iterdir())


def cell_of(
    workdir: Path, model: str, representation: "Representation", task: Task, digest: str
) -> Cell:
    """Returns the cell that takes the scores of a model's representation on a task.

    Args:
        workdir: Holds the folder `cells`.
        model: The model's name.
        representation: What is probed.
        task: The task.
        digest: Its `task.content_digest`.
    """
    columns = {"model": model, "task": task.info.id, **representation.columns}
    identity = {"model": dict(representation.identity), "task": digest, **changes(task)}
    return Cell(workdir / "cells" / cell_path(columns), identity)


class _Content(NamedTuple):
    """What a cell's file holds."""

    identity: Mapping[str, Any]
    rows: pd.DataFrame


def _read(path: Path) -> _Content | None:
    """Reads a cell's file; None: it is damaged, and a warning says how."""
    try:
        fields = read_object(path)
        if problem := next(_problems(fields), None):
            raise FileError(f"{path}: no results of a model on a task: {problem}")
    except FileError as error:
        logging.warning("%s; it counts as missing", error)
        return None
    return _Content(fields["identity"], pd.DataFrame(fields["rows"], columns=fields["columns"]))


def _digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of what a cell's file holds beside it, as JSON writes it."""
    parts = [content[name] for name in ("identity", "columns", "rows")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields what keeps the fields of a file from being a cell's; the first alone is asked for."""
    given: list[Any] = [fields.get(name) for name in ("identity", "columns", "rows")]
    identity, columns, rows = given
    if not isinstance(identity, Mapping) or not isinstance(identity.get("model"), Mapping):
        yield "no identity of the model"
    elif not isinstance(identity.get("task"), str):
        yield "no identity of the task"
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        yield "no names of columns"
    yield from (f"no column '{name}'" for name in REQUIRED if name not in columns)
    if len(set(columns)) < len(columns):
        yield "a column is there twice"
    if not isinstance(rows, list) or not rows:
        yield "no rows"
    if any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
        yield "a row has not one value a column"
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        if name not in COLUMNS:  # of newer code
            continue
        kind = COLUMNS[name].kind
        yield from (
            f"{name} {str(value)[:_SHOWN]!r} is no {kind}"
            for value in values
            if type(value) not in TYPES[kind]
        )
        reasons = ((value, cell_problem(name, value)) for value in set(values))
        yield from (f"{name} {value!r} {reason}" for value, reason in reasons if reason)
    of_cell, of_head = (
        [tuple(row[columns.index(name)] for name in names) for row in rows]
        for names in (_OF_CELL, HEAD_COLUMNS)
    )
    if len(set(of_cell)) > 1:
        yield "rows of several models or tasks"
    if len(set(of_head)) < len(rows):
        yield "a head is there twice"
    if fields.get("sha256", digest := _digest(fields)) != digest:  # older code wrote none
        yield "its checksum is not that of its content"
