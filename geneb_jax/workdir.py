"""What a workdir holds, by model, and what of it belongs to nothing any more."""

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geneb_jax.config_checks import nearest
from geneb_jax.embedding.identity import weights_identity
from geneb_jax.embedding.store import IDENTITY
from geneb_jax.files.atomic import leftovers
from geneb_jax.files.json_files import read_object
from geneb_jax.files.names import file_name
from geneb_jax.files.texts import FileError
from geneb_jax.ownership import OWNER
from geneb_jax.scoring.cells import FoundCell, look_through
from geneb_jax.scoring.progress import STATUS
from geneb_jax.scoring.scores import read_scores, write_scores

# What tells a workdir from other folders: one of these is there.
_SIGNS = ("run.json", "scores.csv", "cells", "embeddings", STATUS, OWNER)
_VALUES = re.compile(r"values-([0-9a-f]+)\.npy")
_STILL = 3600.0  # seconds; of younger values a run may be writing the keys


@dataclass(frozen=True)
class StoreFolder:
    """The kept embeddings of a representation.

    Attributes:
        path: Their folder.
        identity: What they were computed with; None: its file cannot be read.
        belongs: Whether their weights are those that the model's scores are of.
    """

    path: Path
    identity: Mapping[str, Any] | None
    belongs: bool


@dataclass(frozen=True)
class ModelFiles:
    """What a workdir holds of a model.

    Attributes:
        name: The model's name; where no score names it, that of its folder.
        cells: The files of its scores.
        stores: Its embeddings.
        others: Predictions, profile, submission and model-index.
        weights: What tells the weights of its scores from others; None: it has no scores.
    """

    name: str
    cells: Sequence[FoundCell]
    stores: Sequence[StoreFolder]
    others: Sequence[Path]
    weights: Mapping[str, Any] | None


@dataclass(frozen=True)
class Contents:
    """What a workdir holds.

    Attributes:
        folder: The workdir.
        models: Each model with files there, by name.
        left_over: Files that killed runs have left: temporary ones, and values without keys.
        failures: What failed in the last run, as run.json has it; by then, as status.json has it,
            where that was killed or ended before it was done.
        unreadable: What is wrong with files that say what a run did, a line each.
    """

    folder: Path
    models: Sequence[ModelFiles]
    left_over: Sequence[Path]
    failures: Sequence[Mapping[str, Any]]
    unreadable: Sequence[str]


def look(workdir: Path) -> Contents:
    """Returns what a workdir holds; changes nothing.

    Raises:
        ValueError: There is no such folder, or it is no workdir.
    """
    if not workdir.is_dir():
        raise ValueError(f"{workdir}: no such folder")
    if not any((workdir / sign).exists() for sign in _SIGNS):
        raise ValueError(f"{workdir} is no workdir: it holds none of {', '.join(_SIGNS)}")
    cells: dict[str, list[FoundCell]] = {}
    for cell in look_through(workdir / "cells", {}, {}):
        cells.setdefault(file_name(cell.model), []).append(cell)
    folders = sorted({*cells, *_names(workdir / "embeddings"), *_names(workdir / "cells")})
    models = [_model_files(workdir, folder, cells.get(folder, [])) for folder in folders]
    return Contents(workdir, models, sorted(_left_over(workdir)), *_last_failures(workdir))


def _names(folder: Path) -> list[str]:
    """Returns the names of the folders in a folder, without hidden ones."""
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]


def _model_files(workdir: Path, folder: str, cells: Sequence[FoundCell]) -> ModelFiles:
    weights = next((weights_identity(c.identity["model"]) for c in cells if c.belongs), None)
    scored = max((cell.path.stat().st_mtime for cell in cells if cell.belongs), default=0.0)
    stores = list(_stores(workdir / "embeddings" / folder, weights, scored))
    others = [*_outputs(workdir, folder)]
    return ModelFiles(cells[0].model if cells else folder, cells, stores, others, weights)


def _stores(
    folder: Path, weights: Mapping[str, Any] | None, scored: float
) -> Iterator[StoreFolder]:
    """Yields the stores of a model.

    Those of other weights than its scores belong where they were written after these: a run has
    not come to its scores yet.
    """
    for name in sorted(_names(folder)):
        try:
            identity = read_object(folder / name / IDENTITY)
        except FileError:
            identity = None
        belongs = weights is None or identity is None or weights_identity(identity) == weights
        written = (path.stat().st_mtime for path in (folder / name).rglob("*"))
        belongs |= max(written, default=0.0) > scored
        yield StoreFolder(folder / name, identity, belongs)


def _outputs(workdir: Path, folder: str) -> Iterator[Path]:
    for path in (
        workdir / "predictions" / folder,
        workdir / "profile" / folder,
        workdir / "submissions" / f"{folder}.json",
        workdir / "model-index" / f"{folder}.yaml",
    ):
        if path.exists():
            yield path


def _left_over(workdir: Path) -> Iterator[Path]:
    """Yields unfinished files of killed runs, and old values whose keys were never written."""
    yield from leftovers(workdir)
    before = time.time() - _STILL
    for path in (workdir / "embeddings").rglob("values-*.npy"):
        match = _VALUES.fullmatch(path.name)
        keys = f"keys-*-{match[1]}.npy" if match else "*"
        if not any(path.parent.glob(keys)) and path.lstat().st_mtime < before:
            yield path


def _last_failures(workdir: Path) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Returns what failed in the last run, and what keeps its record from being read."""
    path, name = workdir / "run.json", "failures"
    if (status := _status(workdir)).get("state") != "done" and "failed" in status:
        path, name = workdir / STATUS, "failed"
    if not path.exists():  # no run has come to its end
        return [], []
    try:
        found = read_object(path).get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            raise FileError(f"{path}: its failures are no list of objects")
    except FileError as error:
        return [], [f"{error}; what failed in the last run is not known, the next one writes it"]
    return found, []


def _status(workdir: Path) -> Mapping[str, Any]:
    """Returns what the last run wrote of itself; nothing where it cannot be read."""
    try:
        return read_object(workdir / STATUS)
    except FileError:
        return {}


def files_of(contents: Contents, model: str) -> list[Path]:
    """Returns all files and folders of a model.

    Args:
        contents: What the workdir holds.
        model: The model's name.

    Raises:
        ValueError: The workdir holds nothing of it; names the nearest.
    """
    names = [each.name for each in contents.models]
    if model not in names:
        hint = nearest(model, names, f"geneb-jax workdir {contents.folder}")
        raise ValueError(f"{contents.folder} holds nothing of '{model}'{hint}")
    (found,) = (each for each in contents.models if each.name == model)
    folders = [contents.folder / kind / file_name(model) for kind in ("cells", "embeddings")]
    # A folder's own name, of a model without scores, may be no name that makes it.
    folders += [contents.folder / kind / model for kind in ("cells", "embeddings")]
    there = [path for path in dict.fromkeys(folders) if path.is_dir()]
    return [*there, *found.others]


def belongs_to_nothing(contents: Contents) -> list[Path]:
    """Returns the files that no run reads any more.

    These are scores and embeddings of other weights, and scores of other records, than those of
    the newest scores of a model and task; and what killed runs have left.
    """
    cells = [c.path for model in contents.models for c in model.cells if not c.belongs]
    stores = [s.path for model in contents.models for s in model.stores if not s.belongs]
    within = [p for p in contents.left_over if not any(p.is_relative_to(s) for s in stores)]
    return [*cells, *stores, *within]


def remove(workdir: Path, paths: Iterable[Path], model: str | None = None) -> None:
    """Removes files and folders of a workdir.

    Args:
        workdir: The workdir.
        paths: What goes.
        model: A model whose rows leave scores.csv too; None: none.

    Raises:
        ScoresError: scores.csv cannot be read; nothing is removed then.
        OSError: A file cannot be removed.
    """
    table = workdir / "scores.csv"
    if model is not None and table.is_file():
        scores = read_scores(table)
        others = scores[scores["model"] != model]
        if others.empty:
            table.unlink()
        else:
            write_scores(others, table)
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
