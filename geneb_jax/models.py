"""What `config.models` can name, and the features of a task that each gives.

kmer-4                    k-mer frequencies, k = 1 .. 6
MODEL                     a port with its checkpoint
MODEL:random              a full-size port with random weights, the untrained control
MODEL:random:tiny         a tiny port with random weights
embeddings:DIR            embeddings that somebody else computed
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from geneb_jax.tasks import Task
from model_ports import catalog

MAX_K = 6
OWN_DTYPE = "model"
DTYPES = (OWN_DTYPE, "float32", "bfloat16")

Kind = Literal["kmer", "checkpoint", "random", "tiny", "embeddings"]


@dataclass(frozen=True)
class ModelSpec:
    """One model of a run.

    Attributes:
        name: As the config names it; the name in scores.csv.
        kind: What computes its features.
        model_id: GENEB's model id, of a port.
        folder: Of the checkpoint, the tokenizer files of random weights, or the embeddings.
        k: Length of the k-mers.
    """

    name: str
    kind: Kind
    model_id: str = ""
    folder: Path | None = None
    k: int = 0

    @property
    def entry(self) -> catalog.Entry | None:
        """The catalog's entry, of a port."""
        return catalog.get(self.model_id) if self.model_id else None


def parse_models(
    names: Sequence[str], checkpoints_dir: Path | None, preset: catalog.PresetName
) -> tuple[list[ModelSpec], list[str]]:
    """Resolves model names.

    Args:
        names: Items of `config.models`; 'all' stands for the 40 of the catalog.
        checkpoints_dir: Holds one folder a model id; None: checkpoints come from the hub.
        preset: A preset that cannot be computed is a problem.

    Returns:
        The models that can be run, and a problem for each that cannot.
    """
    specs, problems = [], []
    for name in names:
        for resolved in catalog.entries() if name == "all" else (name,):
            try:
                specs.append(_parse(resolved, checkpoints_dir, preset))
            except ValueError as error:
                problems.append(f"config.models: {error}")
    return specs, problems


def _parse(name: str, checkpoints_dir: Path | None, preset: catalog.PresetName) -> ModelSpec:
    if name.startswith("embeddings:"):
        folder = Path(name.removeprefix("embeddings:")).expanduser()
        if not folder.is_dir():
            raise ValueError(f"'{name}': {folder}: no such folder")
        return ModelSpec(name, "embeddings", folder=folder)
    if match := re.fullmatch(r"kmer-(\d+)", name):
        k = int(match.group(1))
        if not 1 <= k <= MAX_K:
            raise ValueError(f"'{name}': k-mers have k = 1 .. {MAX_K}")
        return ModelSpec(name, "kmer", k=k)
    model_id, _, variant = name.partition(":")
    kinds: dict[str, Kind] = {"": "checkpoint", "random": "random", "random:tiny": "tiny"}
    if variant not in kinds:
        raise ValueError(f"'{name}': '{variant}' is not valid; valid: random, random:tiny")
    if model_id not in catalog.entries():
        near = difflib.get_close_matches(
            model_id, [*catalog.entries(), *(f"kmer-{k}" for k in range(1, MAX_K + 1))], 3, 0.4
        )
        raise ValueError(
            f"'{model_id}' is not a model"
            + (f"; did you mean {' or '.join(near)}?" if near else "")
            + "; `python -m model_ports list` prints all"
        )
    entry = catalog.get(model_id)
    if not entry.ported:
        raise ValueError(f"'{model_id}': its port (family {entry.family}) is not there yet")
    entry.preset(preset)
    folder = checkpoints_dir / model_id if checkpoints_dir else None
    if kinds[variant] == "checkpoint" and folder and not folder.is_dir():
        raise ValueError(f"'{model_id}': no checkpoint folder {folder}")
    if folder and not folder.is_dir():
        folder = None
    return ModelSpec(name, kinds[variant], model_id, folder)


def dtype_of(name: str, asked: str) -> str:
    """Returns the precision that a model is computed in.

    Args:
        name: As the config names it.
        asked: A name of `DTYPES`; 'model' is the catalog's of the model, float32 of a baseline.
    """
    if asked != OWN_DTYPE:
        return asked
    entry = catalog.entries().get(name.partition(":")[0])
    return entry.dtype if entry else "float32"


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
