"""From a model of the config to the features of each task: where ports and tasks meet."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geneb_jax.config import Settings
from geneb_jax.embedding import default_batch_tokens, embed_in_order, embed_records
from geneb_jax.hub import checkpoint_source, fetch_checkpoint
from geneb_jax.kmer import kmer_frequencies
from geneb_jax.models import ModelSpec, read_embeddings
from geneb_jax.scores import canonical_json, sanitise
from geneb_jax.store import Store, key
from geneb_jax.tasks import Task
from model_ports.port import FINAL, Port, check_port, load_port, random_port
from model_ports.tokenizers import build_tokenizer

# Features of one task: float32 [N_train, D] and [N_test, D].
Features = Callable[[Task], tuple[np.ndarray, np.ndarray]]
# Told how many more records are wanted, then how many were done.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Model:
    """A model of a run, opened.

    Attributes:
        spec: What the config named.
        columns: preset, dtype, tap and pooling, as scores.csv has them.
        identity: What its features depend on beside the records; a change recomputes them.
        port: The port, where it is one.
    """

    spec: ModelSpec
    columns: Mapping[str, str]
    identity: Mapping[str, Any]
    port: Port | None = None


def open_model(spec: ModelSpec, settings: Settings) -> Model:
    """Loads a model's weights, or names what its features are.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The port cannot be loaded.
    """
    if spec.kind in ("kmer", "embeddings"):
        columns = {"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}
        return Model(spec, columns, {"model": spec.name, "folder": _content(spec)})
    if spec.kind == "checkpoint":
        folder = spec.folder or fetch_checkpoint(spec.model_id)
        port = load_port(spec.model_id, folder, settings.preset, settings.dtype)
    else:
        port = random_port(
            spec.model_id,
            spec.folder,
            settings.preset,
            tiny=spec.kind == "tiny",
            dtype=settings.dtype,
        )
    preset = port.preset
    identity = {
        "model": spec.model_id,
        "revision": port.entry.source["revision"],
        "weights": port.weights_id,
        "preset": {k: v for k, v in asdict(preset).items() if k != "reason"},
        "dtype": settings.dtype,
        "tap": FINAL,
    }
    if preset.batching == "input-order":
        identity["published_batch_size"] = settings.published_batch_size
    columns = {
        "preset": settings.preset,
        "dtype": settings.dtype,
        "tap": str(FINAL),
        "pooling": preset.pooling,
    }
    return Model(spec, columns, identity, port)


def check_model(spec: ModelSpec, tasks: Sequence[Task]) -> list[str]:
    """Returns what would keep a model from running, found without its weights."""
    problems = []

    def attempt(check: Callable[[], object]) -> None:
        try:
            check()
        except ValueError as error:
            problems.append(f"config.models: '{spec.name}': {error}")

    if spec.kind == "checkpoint" and not spec.folder:
        attempt(functools.partial(checkpoint_source, spec.model_id))
    if spec.kind == "checkpoint" and spec.folder:
        attempt(functools.partial(check_port, spec.model_id, spec.folder))
    if spec.kind in ("random", "tiny") and spec.entry:
        attempt(functools.partial(build_tokenizer, spec.folder, spec.entry.tokenizer))
    if spec.kind == "embeddings" and spec.folder:
        for task in tasks:
            attempt(functools.partial(read_embeddings, spec.folder, task))
    return problems


def prepare_features(
    model: Model, tasks: Sequence[Task], settings: Settings, workdir: Path, progress: Progress
) -> Features:
    """Embeds what the tasks need and returns the look-up of their features.

    Args:
        model: An open model.
        tasks: Tasks whose features will be asked for.
        settings: Batch sizes.
        workdir: Holds the embeddings of ports, each record's computed once.
        progress: Told how many records were done.
    """
    spec = model.spec
    if spec.kind == "kmer":
        return lambda task: (
            kmer_frequencies(task.train.sequences, spec.k),
            kmer_frequencies(task.test.sequences, spec.k),
        )
    if spec.kind == "embeddings":
        assert spec.folder is not None
        folder = spec.folder
        return lambda task: read_embeddings(folder, task)

    port = model.port
    assert port is not None
    digest = key(canonical_json(model.identity)).hex()[:12]
    store = Store(workdir / "embeddings" / f"{sanitise(spec.name)}-{digest}")
    splits = {
        (task.info.id, name): split.sequences
        for task in tasks
        for name, split in (("train", task.train), ("test", task.test))
    }
    if port.preset.batching == "input-order":
        size = settings.published_batch_size
        keys = {
            place: embed_in_order(port, sequences, store, size, progress)
            for place, sequences in splits.items()
        }
    else:
        tokens = settings.batch_tokens or default_batch_tokens()
        distinct = list(dict.fromkeys(s for sequences in splits.values() for s in sequences))
        found = dict(
            zip(distinct, embed_records(port, distinct, store, tokens, progress), strict=True)
        )
        keys = {place: [found[s] for s in sequences] for place, sequences in splits.items()}
    return lambda task: (
        store.get(keys[task.info.id, "train"]),
        store.get(keys[task.info.id, "test"]),
    )


def _content(spec: ModelSpec) -> dict[str, list[int]]:
    """Size and modification time of each file of somebody else's embeddings."""
    files = sorted(spec.folder.glob("*.npz")) if spec.folder else []
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
