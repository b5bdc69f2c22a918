"""From a model of the config to the features of each task: where ports and tasks meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from geneb_jax.config import PRESET_POOLING, Settings, default_config
from geneb_jax.device import batch_tokens, speed_figures, untuned_batch_tokens
from geneb_jax.embedding import (
    Engine,
    check_views,
    embed_array,
    embed_array_in_order,
    embed_in_order,
    embed_records,
    open_engine,
)
from geneb_jax.kmer import kmer_frequencies
from geneb_jax.mesh import process_mesh
from geneb_jax.models import OWN_DTYPE, ModelSpec, dtype_of, parse_models, read_embeddings
from geneb_jax.processes import meet
from geneb_jax.scores import canonical_json, sanitise
from geneb_jax.store import Store, key
from geneb_jax.tasks import Task
from model_ports.catalog import PresetName
from model_ports.contract.family import FINAL, View
from model_ports.loading.hub import check_hub_checkpoint, converted_checkpoint
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port, random_port, random_reader
from model_ports.port import NUMERICS, Port, Reader
from model_ports.running.records import refused

_SHOWN = 3  # records of a split that are named; the others are counted
_LETTERS = 40  # of a record that are shown

# Told how many more records are wanted, then how many were done.
Progress = Callable[[int], None]
Place = tuple[str, str]  # a task's id, train or test


@dataclass(frozen=True)
class Representation:
    """What of a model is probed.

    Attributes:
        columns: preset, dtype, tap and pooling, as scores.csv has them.
        identity: What its features depend on beside the records; a change recomputes them.
        view: Hidden state and pooling of a port.
        own: Whether it is what the preset pools.
    """

    columns: Mapping[str, str]
    identity: Mapping[str, Any]
    view: View | None = None
    own: bool = True

    @property
    def name(self) -> str:
        """A folder's name."""
        return "-".join(self.columns.values())


@dataclass(frozen=True)
class Model:
    """A model of a run, opened.

    Attributes:
        spec: What the config named.
        representations: What of it is probed, all from one forward pass.
        port: The port, where it is one.
    """

    spec: ModelSpec
    representations: Sequence[Representation]
    port: Port | None = None


# Features of one task in one representation: float32 [N_train, D] and [N_test, D].
Features = Callable[[Task, Representation], tuple[np.ndarray, np.ndarray]]


def open_model(spec: ModelSpec, settings: Settings) -> Model:
    """Loads a model's weights, or names what its features are.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The port cannot be loaded.
    """
    if spec.kind in ("kmer", "embeddings"):
        columns = {"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}
        identity = {"model": spec.name, "folder": _content(spec)}
        return Model(spec, [Representation(columns, identity)])
    mesh = process_mesh(settings.mesh)
    port = open_port(spec, settings.preset, settings.dtype, mesh)
    views = views_of(port, settings.taps, settings.poolings)
    return Model(spec, [_representation(port, view, settings) for view in views], port)


def views_of(reader: Reader, taps: Sequence[int], poolings: Sequence[str]) -> list[View]:
    """Returns each pooling of each hidden state of a model, once.

    Args:
        reader: The model.
        taps: Hidden states; none: all.
        poolings: Names of `POOLINGS`, and 'preset' for the preset's.

    Raises:
        ValueError: There is no such hidden state or pooling.
    """
    own = reader.preset.pooling
    poolings = [own if name == PRESET_POOLING else name for name in poolings]
    taps = taps or (*range(reader.config.layers + 1), FINAL)
    views = list(dict.fromkeys(View(tap, pooling) for tap in taps for pooling in poolings))
    check_views(reader, views)
    return views


def _representation(port: Port, view: View, settings: Settings) -> Representation:
    preset = {k: v for k, v in asdict(port.preset).items() if k != "reason"}
    identity = {
        "model": port.entry.id,
        "revision": port.entry.source["revision"],
        "weights": port.weights_id,
        "preset": preset | {"pooling": view.pooling},
        "dtype": port.dtype,
        "numerics": NUMERICS,
        "tap": view.tap,
    }
    if port.preset.batching == "input-order":
        identity["published_batch_size"] = settings.published_batch_size
    columns = {
        "preset": settings.preset,
        "dtype": port.dtype,
        "tap": str(view.tap),
        "pooling": view.pooling,
    }
    return Representation(columns, identity, view, view == View(FINAL, port.preset.pooling))


def open_port(spec: ModelSpec, preset: PresetName, dtype: str, mesh: Mesh | None = None) -> Port:
    """Loads a port's weights, fetched and converted where need be, or makes random ones.

    Args:
        spec: The model.
        preset: Preset name.
        dtype: A name of `DTYPES`.
        mesh: Parameters are laid out on it; None: one device.

    Raises:
        CatalogError, CheckpointError, TokenizerError, HubError: It cannot be loaded.
    """
    dtype = dtype_of(spec.name, dtype)
    if spec.kind == "checkpoint":
        folder = spec.folder or converted_checkpoint(spec.model_id)
        return load_port(plan_checkpoint(spec.model_id, folder, preset), dtype, mesh)
    tiny = spec.kind == "tiny"
    return random_port(spec.model_id, spec.folder, preset, tiny=tiny, dtype=dtype, mesh=mesh)


def open_reader(spec: ModelSpec, preset: PresetName) -> Reader:
    """Checks all of a port that needs no weights.

    Raises:
        CatalogError, CheckpointError, TokenizerError, HubError: It cannot be loaded.
    """
    if spec.kind != "checkpoint":
        return random_reader(spec.model_id, spec.folder, preset, tiny=spec.kind == "tiny")
    if spec.folder:
        return plan_checkpoint(spec.model_id, spec.folder, preset)
    return check_hub_checkpoint(spec.model_id, preset)


def embed(
    model: str,
    sequences: Sequence[str],
    *,
    checkpoints_dir: str | Path | None = None,
    tap: int = FINAL,
    pooling: str = PRESET_POOLING,
    preset: PresetName = "corrected",
    dtype: str = OWN_DTYPE,
) -> np.ndarray:
    """Embeds sequences: `geneb_jax.embed(model, sequences)`.

    Args:
        model: A model id, `ID:random`, `ID:random:tiny`, or `kmer-1` .. `kmer-6`.
        sequences: N sequences.
        checkpoints_dir: Holds one folder a model id; None: the pinned checkpoint from the hub.
        tap: -1 the final hidden state, 0 the embedding output, i the output of block i.
        pooling: A name of `POOLINGS`, or 'preset' for the preset's.
        preset: 'corrected' or 'published'.
        dtype: 'float32' or 'bfloat16', of parameters and computation, or 'model': the one that
            the catalog has for the model.

    Returns:
        float32 [N, D].

    Raises:
        ValueError: The model cannot be loaded or has no such view, or a sequence is too long.
    """
    options = {"checkpoints_dir": checkpoints_dir, "preset": preset, "dtype": dtype}
    views = embed_views(model, sequences, taps=(tap,), poolings=(pooling,), **options)
    (found,) = views.values()
    return found


def embed_views(
    model: str,
    sequences: Sequence[str],
    *,
    checkpoints_dir: str | Path | None = None,
    taps: Sequence[int] = (FINAL,),
    poolings: Sequence[str] = (PRESET_POOLING,),
    preset: PresetName = "corrected",
    dtype: str = OWN_DTYPE,
    names: Sequence[str] = (),
    advance: Callable[[int], None] = lambda _: None,
) -> dict[View, np.ndarray]:
    """As `embed`, with every pooling of every tap from one forward pass.

    Args:
        model: As for `embed`, as are the others that are not named here.
        sequences: N sequences.
        checkpoints_dir: Holds one folder a model id.
        taps: Hidden states; none: all.
        poolings: Names of `POOLINGS`, and 'preset' for the preset's.
        preset: 'corrected' or 'published'.
        dtype: As for `embed`.
        names: What errors call the sequences; none: their indices.
        advance: Told how many sequences were done since the last call.

    Returns:
        float32 [N, D] of each view.

    Raises:
        ValueError: As for `embed`; sequences are checked before weights are loaded.
    """
    if not sequences or not all(sequences):
        raise ValueError("there is no sequence" if not sequences else "a sequence is empty")
    folder = Path(checkpoints_dir).expanduser() if checkpoints_dir else None
    specs, problems = parse_models([model], folder, preset)
    if problems:
        raise ValueError("\n".join(problem.removeprefix("config.models: ") for problem in problems))
    (spec,) = specs
    if spec.kind == "kmer":
        return {View(FINAL, "mean"): kmer_frequencies(sequences, spec.k)}
    if spec.kind == "embeddings":
        raise ValueError(f"'{model}' is a folder of embeddings; name a model")
    reader = open_reader(spec, preset)
    views = views_of(reader, taps, poolings)
    if found := refused(reader, sequences):
        lines = [
            f"record {names[i] if names else i}, {_shown(sequences[i])}, {reason}"
            for i, reason in found[:_SHOWN]
        ]
        if len(found) > _SHOWN:
            lines.append(f"... and {len(found) - _SHOWN} more such records")
        raise ValueError("\n".join(f"model '{model}': {line}" for line in lines))
    port = open_port(spec, preset, dtype)
    engine = open_engine(port, views)
    if port.preset.batching == "input-order":
        size = cast(int, default_config().published_batch_size)
        found = embed_array_in_order(engine, sequences, size, advance)
    else:
        # A few short sequences need no batch that fills a large device.
        longest = max(map(len, sequences))
        tokens = untuned_batch_tokens(engine, len(sequences))
        tokens = min(tokens, longest << len(sequences).bit_length())
        found = embed_array(engine, sequences, tokens, advance)
    borders = np.cumsum(engine.widths())[:-1]
    return dict(zip(engine.views, np.split(found, borders, axis=1), strict=True))


def check_model(spec: ModelSpec, tasks: Sequence[Task], settings: Settings) -> list[str]:
    """Returns what would keep a model from running, found without its weights."""
    problems = []
    try:
        if spec.model_id:
            reader = open_reader(spec, settings.preset)
            views_of(reader, settings.taps, settings.poolings)
            problems = _refused_records(reader, tasks)
    except ValueError as error:
        problems.append(str(error))
    if spec.kind == "embeddings":
        assert spec.folder is not None
        for task in tasks:
            try:
                read_embeddings(spec.folder, task)
            except ValueError as error:
                problems.append(str(error))
    return [f"config.models: '{spec.name}': {problem}" for problem in problems]


def _refused_records(reader: Reader, tasks: Sequence[Task]) -> list[str]:
    """Names the records that a model cannot take: the first of each split, and how many more."""
    problems = []
    for task in tasks:
        for name, split in (("train", task.train), ("test", task.test)):
            found = refused(reader, split.sequences)
            for i, reason in found[:_SHOWN]:
                row = i + 1 if split.rows is None else split.rows[i]
                problems.append(
                    f"task '{task.info.id}': {name} record {_shown(split.sequences[i])} in row "
                    f"{row} {reason}"
                )
            if len(found) > _SHOWN:
                more = len(found) - _SHOWN
                problems.append(f"task '{task.info.id}': ... and {more} more such {name} records")
    return problems


def _shown(sequence: str) -> str:
    """A record, or the beginning of a long one."""
    if len(sequence) <= _LETTERS:
        return f"'{sequence}'"
    return f"'{sequence[:_LETTERS]}...' ({len(sequence)} letters)"


def prepare_features(
    model: Model, tasks: Sequence[Task], settings: Settings, workdir: Path, progress: Progress
) -> tuple[Features, dict[str, Any]]:
    """Embeds what the tasks need.

    Args:
        model: An open model.
        tasks: Tasks whose features will be asked for.
        settings: Batch sizes.
        workdir: Holds the embeddings of ports, each record's computed once, unless the settings
            name another place.
        progress: Told how many records were done.

    Returns:
        The look-up of the tasks' features, and what embedding took (see `speed_figures`).
    """
    spec = model.spec
    if spec.kind == "kmer":
        return lambda task, _: (
            kmer_frequencies(task.train.sequences, spec.k),
            kmer_frequencies(task.test.sequences, spec.k),
        ), {}
    if spec.kind == "embeddings":
        assert spec.folder is not None
        folder = spec.folder
        return lambda task, _: read_embeddings(folder, task), {}

    work = _embedding(model, settings, workdir)
    splits = _splits(tasks)
    if jax.process_count() > 1:
        _embed(work, _share(work, splits), progress)
        meet(spec.name)
    keys = _embed(work, splits, progress)

    def features(task: Task, representation: Representation) -> tuple[np.ndarray, np.ndarray]:
        store = work.stores[model.representations.index(representation)]
        return store.get(keys[task.info.id, "train"]), store.get(keys[task.info.id, "test"])

    return features, speed_figures(work.engine, workdir)


def embed_share(model: Model, tasks: Sequence[Task], settings: Settings, workdir: Path) -> None:
    """Embeds this process's share of what `prepare_features` of the same arguments embeds."""
    work = _embedding(model, settings, workdir)
    _embed(work, _share(work, _splits(tasks)))


class _Embedding(NamedTuple):
    """A port's engine with a store for each representation, and what says its batches."""

    engine: Engine
    stores: Sequence[Store]
    settings: Settings
    workdir: Path


def _embedding(model: Model, settings: Settings, workdir: Path) -> _Embedding:
    assert model.port is not None
    views = [found.view for found in model.representations if found.view]
    stores = [_open_store(model.spec, found, settings, workdir) for found in model.representations]
    return _Embedding(open_engine(model.port, views), stores, settings, workdir)


def _splits(tasks: Sequence[Task]) -> dict[Place, Sequence[str]]:
    return {
        (task.info.id, name): split.sequences
        for task in tasks
        for name, split in (("train", task.train), ("test", task.test))
    }


def _share(work: _Embedding, splits: Mapping[Place, Sequence[str]]) -> dict[Place, Sequence[str]]:
    """What of the splits this process embeds: whole ones where their batches are seen."""
    own = slice(jax.process_index(), None, jax.process_count())
    if work.engine.port.preset.batching == "input-order":
        return dict(list(splits.items())[own])
    return {("all tasks", "share"): _distinct(splits)[own]}


def _distinct(splits: Mapping[Place, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(s for sequences in splits.values() for s in sequences))


def _embed(
    work: _Embedding, splits: Mapping[Place, Sequence[str]], progress: Progress = lambda _: None
) -> dict[Place, list[bytes]]:
    """Embeds what the stores lack of the splits; returns their keys of each split's records."""
    engine, stores, settings, workdir = work
    if engine.port.preset.batching == "input-order":
        size = settings.published_batch_size
        return {
            place: embed_in_order(engine, sequences, stores, size, progress)
            for place, sequences in splits.items()
        }
    distinct = _distinct(splits)
    tokens = settings.batch_tokens or batch_tokens(engine, len(distinct), workdir)
    found = embed_records(engine, distinct, stores, tokens, progress)
    found = dict(zip(distinct, found, strict=True))
    return {place: [found[s] for s in sequences] for place, sequences in splits.items()}


def _open_store(
    spec: ModelSpec, representation: Representation, settings: Settings, workdir: Path
) -> Store:
    """The store of a model's embeddings; what they depend on is in its folder's name."""
    root = epath.Path(settings.embeddings_dir or workdir / "embeddings")
    digest = key(canonical_json(representation.identity)).hex()[:12]
    folder = root / sanitise(spec.name) / f"{representation.name}-{digest}"
    return Store(folder, representation.identity)


def _content(spec: ModelSpec) -> dict[str, list[int]]:
    """Size and modification time of each file of somebody else's embeddings."""
    files = sorted(spec.folder.glob("*.npz")) if spec.folder else []
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
