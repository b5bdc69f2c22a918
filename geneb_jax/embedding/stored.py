"""Embeddings that somebody else computed, as a model of a run: `embeddings:DIR`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geneb_jax.config import Settings
from geneb_jax.embedding.source import Advance, Immediate, baseline, baseline_card
from geneb_jax.files.digests import folder_facts
from geneb_jax.tasks.task import Task
from model_ports.contract.family import View

_PREFIX = "embeddings:"


@dataclass(frozen=True)
class StoredSource:
    """A folder of embeddings, one .npz file a task.

    Attributes:
        name: Its name in the config.
        folder: The folder.
    """

    name: str
    folder: Path
    shared: bool = False

    def card(self) -> Mapping[str, Any]:
        """Returns what a submission says of the embeddings."""
        return baseline_card(self.name)

    def check(self, tasks: Sequence[Task]) -> list[str]:
        """Returns a problem for each task whose file is missing or does not fit it."""
        problems = []
        for task in tasks:
            try:
                read_embeddings(self.folder, task)
            except ValueError as error:
                problems.append(str(error))
        return problems

    def open(self, workdir: Path) -> Immediate:
        """Returns the source of the tasks' features; files are read when they are asked for."""
        del workdir
        identity = {"model": self.name, "folder": self._content()}
        return Immediate(baseline(identity), lambda task: read_embeddings(self.folder, task))

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Refuses: the folder holds the embeddings of tasks alone.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"'{self.name}' is a folder of embeddings; name a model")

    def _content(self) -> dict[str, str]:
        """Returns the SHA-256 of each file, by name; hidden ones hold no task's embeddings."""
        facts = folder_facts(self.folder, sorted(self.folder.glob("[!.]*.npz")))
        return {name: known["sha256"] for name, known in facts.items()}


def stored_source(name: str, settings: Settings) -> StoredSource | None:
    """Returns the source that `embeddings:DIR` names; None: the name is of another kind.

    Raises:
        ValueError: There is no such folder.
    """
    del settings
    if not name.startswith(_PREFIX):
        return None
    folder = Path(name.removeprefix(_PREFIX)).expanduser()
    if not folder.is_dir():
        raise ValueError(f"'{name}': {folder}: no such folder")
    return StoredSource(name, folder)


def read_embeddings(folder: Path, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Reads a task's embeddings from `<task id>.npz`.

    The file holds `train` and `test` [N, D], or `embeddings` [N, D] with `ids` [N]: the strings
    'train-0', 'train-1', ..., 'test-0', ... that name the rows of the task's splits.

    Returns:
        float32 arrays of the train and the test split.

    Raises:
        ValueError: The file is missing, lacks an array, or does not fit the task.
    """
    path = folder / f"{task.info.id}.npz"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; embeddings of every task are needed")
    sizes = {"train": len(task.train.sequences), "test": len(task.test.sequences)}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if {"train", "test"} <= set(arrays):
                splits = {name: arrays[name] for name in sizes}
            elif {"embeddings", "ids"} <= set(arrays):
                splits = _by_ids(path, arrays["embeddings"], arrays["ids"], sizes)
            else:
                raise ValueError(
                    f"{path}: holds {', '.join(arrays) or 'nothing'}; "
                    "'train' and 'test', or 'embeddings' and 'ids', are needed"
                )
    except OSError as error:
        raise ValueError(f"{path}: not a readable .npz file: {error}") from error
    for name, array in splits.items():
        if array.ndim != 2 or len(array) != sizes[name] or not array.shape[1]:
            raise ValueError(
                f"{path}: {name} is {list(array.shape)}, but the task has {sizes[name]} rows"
            )
        if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} holds values that are not finite numbers")
    if splits["train"].shape[1] != splits["test"].shape[1]:
        raise ValueError(f"{path}: train and test differ in width")
    return splits["train"].astype(np.float32), splits["test"].astype(np.float32)


def _by_ids(
    path: Path, embeddings: np.ndarray, ids: np.ndarray, sizes: dict[str, int]
) -> dict[str, np.ndarray]:
    row = {str(name): i for i, name in enumerate(ids)}
    if len(row) != len(embeddings):
        raise ValueError(f"{path}: {len(row)} distinct ids for {len(embeddings)} embeddings")
    splits = {}
    for split, size in sizes.items():
        wanted = [f"{split}-{i}" for i in range(size)]
        missing = [name for name in wanted if name not in row]
        if missing:
            raise ValueError(f"{path}: ids lack {len(missing)} rows, such as '{missing[0]}'")
        splits[split] = embeddings[[row[name] for name in wanted]]
    return splits
