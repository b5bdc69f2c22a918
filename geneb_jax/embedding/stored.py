"""Embeddings that somebody else computed, as a model of a run: `embeddings:DIR`."""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from geneb_jax.config import Settings
from geneb_jax.config_checks import local_path
from geneb_jax.embedding.given_names import split_name
from geneb_jax.embedding.source import (
    Advance,
    Cost,
    Immediate,
    Refusal,
    Representation,
    SourcePlan,
    Weightless,
    baseline,
    count_records,
    unpublished_card,
)
from geneb_jax.files.digests import folder_facts
from geneb_jax.tasks.tabular import shown
from geneb_jax.tasks.task import Task
from model_ports.contract.family import View
from model_ports.running.letters import Unseen
from probes.padding import roomy_features

_PREFIX = "embeddings:"
_NPY_MAGIC = b"\x93NUMPY"
_REAL = "fiu"  # kinds of NumPy dtypes: floats, integers with and without sign
_DEFLATE_RATIO = 1032  # no more bytes than this come out of a compressed one (zlib's manual)


@dataclass(frozen=True)
class StoredSource(Weightless):
    """A folder of embeddings, one .npz file a task.

    Attributes:
        name: Its name in the config.
        folder: The folder.
    """

    name: str
    folder: Path

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns a refusal for each task whose file is missing or does not fit it."""
        if tasks and not any(_file(self.folder, task).is_file() for task in tasks):
            missing = f"{self.folder} has no file of any task, such as {tasks[0].info.id}.npz"
            return [Refusal(missing)]
        refusals = []
        for task in tasks:
            try:
                read_embeddings(self.folder, task)
            except ValueError as error:
                refusals.append(Refusal(str(error), task.info.id))
        return refusals

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns nothing: what was embedded, and how, is not known."""
        del sequences
        return []

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns that all features are there, and reads them as a run does to say what is wrong.

        Their width is that of the first file.
        """
        del workdir
        return SourcePlan(
            lambda tasks: Cost(0, kept=count_records(tasks)),
            self._width(),
            [self._representation()],
            refusals=self.check,
        )

    def open(self, workdir: Path) -> Immediate:
        """Returns the source of the tasks' features; files are read when they are asked for."""
        del workdir
        # A submission names the folder, not its path, and no model of the catalog.
        unnamed = self.name.startswith(_PREFIX)
        name = f"{_PREFIX}{self.folder.resolve().name}" if unnamed else self.name
        card = unpublished_card(name, training_data="not stated")
        return Immediate(
            card,
            self._representation(),
            lambda task: read_embeddings(self.folder, task),
            tuple(filter(None, [self._width()])),
        )

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Refuses: the folder holds the embeddings of tasks alone.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"'{self.name}' is a folder of embeddings; name a model")

    def _representation(self) -> Representation:
        return baseline({"model": self.name, "folder": self._content()})

    def _width(self) -> int:
        """Returns the width that an array of the first file states; 0: it has none to be read."""
        for path in sorted(self.folder.glob("[!.]*.npz"))[:1]:
            # Whatever a damaged archive raises: a run refuses the file and says why.
            with suppress(Exception), zipfile.ZipFile(path) as archive:
                name = "train" if "train.npy" in archive.namelist() else "embeddings"
                return _header(archive, name).shape[1]
        return 0

    def _content(self) -> dict[str, str]:
        """Returns the SHA-256 of each file, by name; hidden ones hold no task's embeddings."""
        facts = folder_facts(self.folder, sorted(self.folder.glob("[!.]*.npz")))
        return {name: known["sha256"] for name, known in facts.items()}


def source_of(name: str, settings: Settings) -> StoredSource | None:
    """Returns the source that `embeddings:DIR` or `NAME=embeddings:DIR` names; None: another kind.

    Raises:
        ValueError: There is no such folder.
    """
    found = split_name(name, _PREFIX)
    if found is None:
        return None
    given, text = found
    folder = local_path(text)
    if not folder.is_dir():
        raise ValueError(f"'{name}': {folder}: no such folder")
    return StoredSource(given or name, folder)


def _file(folder: Path, task: Task) -> Path:
    return folder / f"{task.info.id}.npz"


def read_embeddings(folder: Path, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Reads a task's embeddings from `<task id>.npz`.

    The file holds `train` and `test` [N, D], or `embeddings` [N, D] with `ids` [N]: the strings
    'train-0', 'train-1', ..., 'test-0', ... that name the rows of the task's splits. What an
    array's header promises is compared with the task and the file before the array is read.

    Returns:
        float32 arrays of the train and the test split.

    Raises:
        ValueError: The file is missing, damaged, lacks an array, or does not fit the task.
    """
    path = _file(folder, task)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    sizes = {"train": len(task.train.sequences), "test": len(task.test.sequences)}
    try:
        splits = _read_splits(path, sizes)
    except Exception as error:
        # A damaged archive fails in whatever layer meets the damage first: zipfile, zlib, struct,
        # tokenize or NumPy; memory runs out where sizes are wrong.
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = "" if isinstance(error, _MisfitError) else "not a readable .npz file: "
        raise ValueError(f"{path}: {kind}{reason}") from error
    return splits["train"], splits["test"]


class _MisfitError(Exception):
    """An archive that can be read, and does not hold the embeddings of the task."""


def _read_splits(path: Path, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Reads float32 [N, D] of each split."""
    with path.open("rb") as file:
        if file.read(len(_NPY_MAGIC)) == _NPY_MAGIC:
            raise _MisfitError(
                "not a readable .npz file but a .npy file; write np.savez(file, train=, test=)"
            )
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        names = [member.removesuffix(".npy") for member in members if member.endswith(".npy")]
        if {"train", "test"} <= set(names):
            found = {name: _features(archive, name, size) for name, size in sizes.items()}
        elif {"embeddings", "ids"} <= set(names):
            found = _by_ids(archive, sizes)
        else:
            raise _MisfitError(
                f"holds {shown(', '.join(names or members)) or 'nothing'}; "
                "'train' and 'test', or 'embeddings' and 'ids', are needed"
            )
    if found["train"].shape[1] != found["test"].shape[1]:
        raise _MisfitError("train and test differ in width")
    return found


_Check = Callable[[tuple[int, ...], np.dtype], None]


def _by_ids(archive: zipfile.ZipFile, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Reads `embeddings`, and takes the rows that `ids` names for each split."""
    total = sum(sizes.values())

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if dtype.kind != "U" or len(shape) != 1 or shape[0] > total:
            raise _MisfitError(
                f"ids is {dtype} {list(shape)}; one string for each of the task's "
                f"{total} rows is needed"
            )

    row = {str(name): i for i, name in enumerate(_array(archive, "ids", check))}
    wanted = {split: [f"{split}-{i}" for i in range(size)] for split, size in sizes.items()}
    for names in wanted.values():
        missing = [name for name in names if name not in row]
        if missing:
            raise _MisfitError(f"ids lack {len(missing)} rows, such as '{missing[0]}'")
    embeddings = _features(archive, "embeddings", total)
    return {split: embeddings[[row[name] for name in names]] for split, names in wanted.items()}


def _features(archive: zipfile.ZipFile, name: str, size: int) -> np.ndarray:
    """Reads an array of finite numbers, of one row a record, as float32 [size, D]."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 2 or not shape[1]:
            raise _MisfitError(f"{name} is {list(shape)}; rows x width, [{size}, D], is needed")
        if shape[0] != size:
            raise _MisfitError(f"{name} is {list(shape)}, but the task has {size} rows")
        if dtype.kind not in _REAL:
            raise _MisfitError(
                f"{name} holds values of dtype {dtype}; real numbers are needed, such as float32"
            )

    array = _array(archive, name, check)
    _check_finite(name, array, "that are not finite numbers")
    features = roomy_features(*array.shape)
    with np.errstate(over="ignore"):
        features[...] = array
    _check_finite(name, features, f"of {array.dtype} beyond float32's range, 3.4e38")
    return features


def _check_finite(name: str, array: np.ndarray, what: str) -> None:
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise _MisfitError(
            f"{name} holds values {what}, first in row {int(finite.argmin()) + 1}, counted from 1"
        )


class _Header(NamedTuple):
    """What the header of an array promises, and the bytes that it takes itself."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    """Reads the header of an array of an archive."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):  # later versions are for headers that numbers do not need
            raise _MisfitError(f"{name} has version {version} of the .npy format; save it as 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        return _Header(shape, dtype, member.tell())


def _array(archive: zipfile.ZipFile, name: str, check: _Check) -> np.ndarray:
    """Reads an array of an archive, once its header is found to fit.

    Args:
        archive: The .npz file.
        name: The array's.
        check: Raises where the shape and dtype that the header promises do not fit the task.
    """
    entry = archive.getinfo(f"{name}.npy")
    shape, dtype, start = _header(archive, name)
    check(shape, dtype)
    promised = start + math.prod(shape) * dtype.itemsize
    if promised != entry.file_size or promised > _DEFLATE_RATIO * max(entry.compress_size, 1):
        raise _MisfitError(
            f"{name} is {list(shape)} of {dtype} by its header, {promised} bytes, but the file "
            f"holds {entry.file_size}, compressed to {entry.compress_size}"
        )
    with archive.open(entry) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
