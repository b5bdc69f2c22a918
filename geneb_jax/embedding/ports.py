"""Ports as models of a run: a checkpoint of the catalog, or the same model with random weights."""

import itertools
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from absl import logging
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from geneb_jax.config import EmbeddingSettings, Settings
from geneb_jax.config_checks import OF_PRESET
from geneb_jax.devices.mesh import process_mesh
from geneb_jax.devices.processes import this_process
from geneb_jax.embedding.cost import (
    FLOAT32,
    benchmark_like_lengths,
    embedding_cost,
    output_width,
    rough_operations,
    sampled_lengths,
)
from geneb_jax.embedding.engine import (
    DeviceMemoryError,
    Engine,
    NotFiniteError,
    check_views,
    embed_array,
    embed_array_in_order,
    embed_in_order,
    embed_records,
    keys_in_order,
    open_engine,
)
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.embedding.kmers import MAX_K
from geneb_jax.embedding.source import (
    Advance,
    Cost,
    Prepared,
    Refusal,
    Representation,
    SourcePlan,
    count_records,
    unpublished_card,
)
from geneb_jax.embedding.store import Store, folder_of_stores, kept_keys, key
from geneb_jax.embedding.tuning import batch_sizes, keeping_rate, smaller_batches, speed_figures
from geneb_jax.embedding.units import Unit, deal, units_of
from geneb_jax.files.counts import counted
from geneb_jax.files.json_files import canonical_json
from geneb_jax.files.names import file_name
from geneb_jax.tasks.task import Task
from model_ports import catalog
from model_ports.catalog import dtype_of
from model_ports.contract.family import FINAL, Tap, View
from model_ports.contract.fields import unknown_text
from model_ports.known_defects import known_defects
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.hub import check_hub_checkpoint, checkpoint_there, converted_checkpoint
from model_ports.loading.origin import is_published
from model_ports.loading.planned import PlannedCheckpoint, plan_checkpoint
from model_ports.loading.ports import (
    Size,
    catalog_reader,
    control_reader,
    drawn_port,
    load_port,
    random_reader,
    random_weights_id,
    shape_port,
    size_of,
)
from model_ports.loading.tensors import CheckpointError
from model_ports.port import NUMERICS, Port, Reader
from model_ports.running.letters import Unseen
from model_ports.running.records import refused
from model_ports.running.unseen import unseen
from model_ports.running.windows import average_windows, cut_into_windows, telling_of_records
from model_ports.tokenizers.base import AbsentTokenizer

_SHOWN = 3  # refused records of a split that are named; the others are counted
_LETTERS = 40  # of a record that are shown

Weights = Literal["checkpoint", "random", "tiny"]
# What follows the model in a name: whether its weights are drawn, and with which seed.
_VARIANT = re.compile(r"(?P<drawn>:random(?P<tiny>:tiny)?(:(?P<seed>\d{1,9}))?)?$")

SplitName = tuple[str, str]  # a task's id, and train or test


class _Lacking(NamedTuple):
    """What the stores of a model lack of the records of tasks.

    Attributes:
        records: Records that are not in all of the stores.
        kept: How many others there are.
        vectors: Embeddings that the stores lack together.
    """

    records: Sequence[str]
    kept: int
    vectors: int


class Variant(NamedTuple):
    """A model and whose weights it has, out of a name.

    Attributes:
        model: What stands before the variant.
        suffix: The variant as it is written, such as ':random:tiny:3'; '': a checkpoint.
        weights: Whether they are a checkpoint's, random, or random and few.
        seed: What random ones are drawn with.
    """

    model: str
    suffix: str
    weights: Weights
    seed: int


def split_variant(name: str) -> Variant:
    """Splits MODEL, MODEL:random, MODEL:random:tiny, and either with :SEED behind it."""
    match = _VARIANT.search(name)
    assert match is not None  # the variant may be empty
    weights = ("tiny" if match["tiny"] else "random") if match["drawn"] else "checkpoint"
    return Variant(name[: match.start()], match.group(), weights, int(match["seed"] or 0))


def catalog_variant(name: str) -> Variant:
    """Splits the name of a model of a catalog, whose ids have no ':'.

    Raises:
        ValueError: There is no such variant.
    """
    found = split_variant(name)
    _, separator, variant = found.model.partition(":")
    if separator:
        raise ValueError(
            f"'{name}': '{variant}{found.suffix}' is not valid; valid: random, random:tiny, and "
            "either with a seed, as random:1"
        )
    return found


def source_of(name: str, settings: Settings) -> "PortSource":
    """Returns the source that MODEL, MODEL:random or MODEL:random:tiny names.

    MODEL is any name that `catalog.resolve` takes; the source has that of the id.

    Raises:
        ValueError: There is no such model or variant.
    """
    model_id, suffix, weights, seed = catalog_variant(name)
    try:
        model_id = catalog.resolve(model_id, (f"kmer-{k}" for k in range(1, MAX_K + 1)))
    except catalog.CatalogError as error:
        if Path(name).is_dir():
            vectors = any(path.suffix in (".npz", ".npy") for path in Path(name).iterdir())
            kind = "embeddings" if vectors else "hf"
            raise ValueError(f"model '{name}' is a folder; write {kind}:{name}") from error
        called, given, of = name.partition("=")
        if given:
            raise ValueError(
                f"model '{name}': behind = stands hf: or embeddings:; write {called}=hf:{of}"
            ) from error
        raise ValueError(
            f"{error}; `geneb-jax models list` prints the catalog, `geneb-jax run --help` others"
        ) from error
    name = f"{model_id}{suffix}"
    entry = catalog.get(model_id)
    checkpoints = settings.data.checkpoints_dir
    folder = checkpoints / model_id if checkpoints else None
    if folder and weights != "checkpoint" and not folder.is_dir():
        folder = None  # random weights need it for tokenizer files alone
    embedding, mesh = settings.embedding, settings.devices.mesh
    return PortSource(name, entry, weights, folder, embedding, mesh, seed=seed)


@dataclass
class PortSource:
    """A model of the catalog, or one with an entry like its, as a model of a run.

    Attributes:
        name: Its name in the config.
        entry: The catalog's entry.
        weights: Whether they are a checkpoint's, random, or random and few.
        folder: The checkpoint's, also that of which random weights are the control, or of their
            tokenizer files alone; None: a checkpoint comes from the hub.
        settings: Preset, precision, views and batches.
        mesh: How many devices share a copy of the parameters.
        adapter: Folder of a LoRA adapter that is merged into the checkpoint's weights.
        seed: What random weights are drawn with.
    """

    name: str
    entry: catalog.Entry
    weights: Weights
    folder: Path | None
    settings: EmbeddingSettings
    mesh: int
    shared: bool = True
    adapter: Path | None = None
    seed: int = 0
    _planned: Reader | None = field(default=None, repr=False)

    @property
    def strandless(self) -> bool:
        """False: a port reads a record from its first letter to its last."""
        return False

    @property
    def viewless(self) -> bool:
        """False: a port has a view of each hidden state and pooling."""
        return False

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns what is wrong with files and views, and the records that the model refuses."""
        try:
            reader = self._reader()
            views_of(reader, self.settings.taps, self.settings.poolings)
        except ValueError as error:
            details = "\n".join(getattr(error, "__notes__", ()))
            return [Refusal(str(error), details=details)]
        return _refused_records(reader, tasks)

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns the records that the tokenizer does not know in full, or that are cut."""
        return unseen(self._reader(), sequences)

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns the model's shapes and costs, without weights and without a network.

        Raises:
            CatalogError, CheckpointError, TokenizerError, HubError: Its files cannot be read, or
                are to be put into a folder by hand.
        """
        reader, weights_id, fetched = self._there()
        dtype = dtype_of(self.entry, self.settings.dtype)
        port = shape_port(reader, dtype=dtype, weights_id=weights_id or "")
        views = views_of(port, self.settings.taps, self.settings.poolings)
        representations = [_representation(port, view, self.settings) for view in views]
        stores = [store_folder(self._folder(workdir), each) for each in representations]
        numbers = _count(port.state)
        by_hand = f"fetch it by hand: `geneb-jax models fetch {self.entry.id} --to DIR` says how"
        notes = (by_hand,) if self.entry.files and not fetched else ()
        without = isinstance(reader.tokenizer, AbsentTokenizer)
        width, stored = output_width(port, views), numbers * _stored_bytes(self.entry)

        def cost(tasks: Sequence[Task] | int) -> Cost:
            if isinstance(tasks, int):
                return embedding_cost(
                    port, views, benchmark_like_lengths(port, tasks), typical=True
                )
            lacks = self._missing(reader, stores, tasks)
            if without:
                lengths = benchmark_like_lengths(port, len(lacks.records))
            else:
                lengths = sampled_lengths(port, lacks.records)
            found = embedding_cost(port, views, lengths, kept=lacks.kept, typical=without)
            return replace(found, store=lacks.vectors * (width // len(views)) * FLOAT32)

        def most(tasks: Sequence[Task]) -> int:
            records = count_records(tasks)
            if reader.preset.window is not None:
                splits = _splits(tasks).values()
                records = sum(len(cut_into_windows(reader, s).windows) for s in splits)
            return records * width * FLOAT32

        def refusals(tasks: Sequence[Task]) -> Sequence[Refusal]:
            return () if without else _refused_records(reader, tasks)

        def not_seen(sequences: Sequence[str]) -> Sequence[Unseen]:
            return () if without else unseen(reader, sequences)

        return SourcePlan(
            cost,
            width // len(views),
            representations if weights_id else (),
            dtype,
            0 if fetched else stored,
            0 if weights_id or self.entry.files else stored,
            stores,
            most,
            notes,
            refusals,
            not_seen,
        )

    def operations(self, records: int) -> float | None:
        """Returns a rough number from the parameters; None: nobody has counted these."""
        reader, params = self._reader(), self.entry.params
        if isinstance(reader, PlannedCheckpoint):
            params = _count(reader.abstract)
        elif self.weights != "checkpoint" and self._size(reader) != "full":
            params = _count(shape_port(reader).state)
        return rough_operations(reader, params, records) if params else None

    def open(self, workdir: Path) -> "OpenPort":
        """Loads the weights, fetched and converted where need be.

        Args:
            workdir: Holds embeddings, unless the settings name another folder for them, and
                measurements of the devices.

        Raises:
            CatalogError, CheckpointError, TokenizerError, HubError: They cannot be loaded.
        """
        port = self._load(process_mesh(self.mesh))
        views = views_of(port, self.settings.taps, self.settings.poolings)
        to_know = tuple(self._to_know())
        representations = [
            replace(_representation(port, view, self.settings), known_defects=to_know)
            for view in views
        ]
        engine = open_engine(port, views)
        card = self._card(port)
        folder = self._folder(workdir)
        return OpenPort(self.name, card, representations, engine, folder, self.settings, workdir)

    def control(self, seed: int) -> "PortSource | None":
        """Returns the same model with random weights; None: its weights are random."""
        if self.weights != "checkpoint":
            return None
        folder = self.folder if self.folder and self.folder.is_dir() else None
        name = f"{self.name}:random:{seed}" if seed else f"{self.name}:random"
        return replace(self, name=name, weights="random", folder=folder, seed=seed, _planned=None)

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Embeds N sequences into memory; they are checked before weights are loaded.

        Args:
            sequences: N sequences.
            names: What errors call them; none: their indices.
            advance: Told how many sequences were done since the last call.

        Returns:
            float32 [N, D] of each view.

        Raises:
            ValueError: The model cannot be loaded, has no such view, or refuses a sequence.
            DeviceMemoryError: A single sequence does not fit the device.
        """
        reader = self._reader()
        views = views_of(reader, self.settings.taps, self.settings.poolings)
        if refusals := refused(reader, sequences):
            lines = [
                f"record {names[i] if names else i}, {_shown(sequences[i])}, {reason}"
                for i, reason in refusals[:_SHOWN]
            ]
            if len(refusals) > _SHOWN:
                lines.append(f"... and {len(refusals) - _SHOWN} more such records")
            raise ValueError("\n".join(f"model '{self.name}': {line}" for line in lines))
        port = self._load(None)
        engine = open_engine(port, views)
        cut = cut_into_windows(port, sequences)
        if port.preset.batching == "input-order":
            size = self.settings.published_batch_size
            vectors = embed_array_in_order(engine, cut.windows, size, advance)
        else:
            # A few short sequences need no batch that fills a large device.
            most = max(map(len, cut.windows)) << len(cut.windows).bit_length()
            tell = telling_of_records(advance, len(sequences), len(cut.windows))
            vectors = None
            while vectors is None:
                sizes = tuple(min(size, most) for size in batch_sizes(engine))
                try:
                    vectors = embed_array(engine, cut.windows, sizes, tell)
                except DeviceMemoryError as error:
                    most = smaller_batches(engine, sizes, error)
        vectors = average_windows(port, vectors, cut)
        borders = np.cumsum(engine.widths())[:-1]
        return dict(zip(engine.views, np.split(vectors, borders, axis=1), strict=True))

    def _folder(self, workdir: Path) -> epath.Path:
        """Returns the folder of the model's stores."""
        return folder_of_stores(self.settings.embeddings_dir, workdir) / file_name(self.name)

    def _there(self) -> tuple[Reader, str | None, bool]:
        """Returns what is there of the model, without a network.

        These are its reader, what tells its weights from others (None: they are to be fetched or
        converted first), and whether the weights were fetched.
        """
        if self.weights != "checkpoint":
            reader = self._reader()
            return reader, self._drawn_id(reader), True
        reader, fetched = None, self.folder is not None
        if fetched:
            reader = self._reader()
        elif not self.entry.files:
            reader, fetched = checkpoint_there(self.entry, self.settings.preset)
        reader = reader or catalog_reader(self.entry, self.settings.preset)
        reader = with_windows(reader, self.settings.window)
        weights_id = reader.weights_id if isinstance(reader, PlannedCheckpoint) else None
        return reader, weights_id, fetched

    def _missing(
        self, reader: Reader, stores: Sequence[epath.Path], tasks: Sequence[Task]
    ) -> "_Lacking":
        """Returns what stores lack of the records of tasks; of records that are cut, windows."""
        splits = {n: cut_into_windows(reader, s).windows for n, s in _splits(tasks).items()}
        if reader.preset.batching == "input-order":
            records = [sequence for sequences in splits.values() for sequence in sequences]
            size = self.settings.published_batch_size
            keys = [k for each in splits.values() for k in keys_in_order(each, size)]
        else:
            records = _distinct(splits)
            keys = [key(record) for record in records]
        kept = [kept_keys(store, keys) for store in stores]
        in_all = set.intersection(*kept)
        missing = [record for record, k in zip(records, keys, strict=True) if k not in in_all]
        vectors = sum(k not in each for each in kept for k in keys)
        return _Lacking(missing, len(records) - len(missing), vectors)

    def _card(self, port: Port) -> Mapping[str, Any]:
        """Returns what a submission says: weights go under their authors' name if they are theirs.

        They are where they come from the hub, or from a folder of which `is_published` says so.
        Parameters are those of the port, which leaves out heads that no embedding needs.
        """
        labels, params = self.entry.labels, _count(port.state)
        of_network = {name: labels[name] for name in ("architecture", "tokenization")}
        if self.weights != "checkpoint":
            return unpublished_card(self.name, params=params) | of_network
        if self.entry.source["kind"] == catalog.FOLDER:
            training_data = labels["pretraining"]
            card = unpublished_card(self.name, params=params, training_data=training_data)
            return card | of_network
        if self.folder and not is_published(self.entry, self.folder):
            card = unpublished_card(f"{self.name}:local", params=params, training_data="not stated")
            display = f"{self.entry.paper_name}, local weights"
            return card | {"display": display, "url": LOCAL_WEIGHTS} | of_network
        return {
            "model_id": self.name,
            "display": self.entry.paper_name,
            "params": params,
            "url": self.entry.source["url"] or "",
            "training_data": labels["pretraining"],
            **of_network,
        }

    def _reader(self) -> Reader:
        """All of the port that needs no weights: a checkpoint is read and planned once."""
        if self._planned is None:
            self._planned = with_windows(self._plan(), self.settings.window)
            if unknown := self._planned.unknown_fields:
                logging.warning("model '%s': %s", self.name, unknown_text(unknown))
            for text in self._to_know():
                logging.warning("model '%s': %s", self.name, text)
        return self._planned

    def _to_know(self) -> Sequence[str]:
        """Returns what is said of the model where it is run.

        What the catalog knows of the paper's models concerns their published extractors alone, and
        of random weights only what is true of the architecture is said.
        """
        if self.weights != "checkpoint":
            content, tokenizer = self.entry.config, self.entry.tokenizer
            return known_defects(self.entry.family, content, tokenizer, trained=False)
        concerned = self.settings.preset == "published" or self.entry.id not in catalog.entries()
        of_model = self.entry.known_defects if concerned else ()
        return (*of_model, *catalog.pooled_otherwise(self.entry))

    def _size(self, reader: Reader) -> Size:
        """Says whose architecture random weights have."""
        return "tiny" if self.weights == "tiny" else size_of(reader)

    def _drawn_id(self, reader: Reader) -> str:
        return random_weights_id(reader, self.folder, size=self._size(reader), seed=self.seed)

    def _plan(self) -> Reader:
        preset = self.settings.preset
        if self.weights != "checkpoint":
            if self.weights == "tiny":
                return random_reader(self.entry, self.folder, preset, tiny=True)
            return control_reader(self.entry, self.folder, preset)
        if self.folder:
            self._check_folder(self.folder)
            return plan_checkpoint(self.entry, self.folder, preset, self.adapter)
        return check_hub_checkpoint(self.entry, preset)

    def _check_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            parent = folder.parent
            hint = f"; {parent} is a checkpoint: name it {folder.name} and give its parent"
            hint = hint if (parent / "config.json").is_file() else ""
            raise CheckpointError(f"no checkpoint folder {folder}{hint}")

    def _load(self, mesh: Mesh | None) -> Port:
        # A plan may hold open files: it is forgotten when the weights are loaded.
        planned, self._planned = self._reader(), None
        preset, dtype = self.settings.preset, dtype_of(self.entry, self.settings.dtype)
        if self.weights != "checkpoint":
            identity = self._drawn_id(planned)
            return drawn_port(planned, identity, seed=self.seed, dtype=dtype, mesh=mesh)
        if not isinstance(planned, PlannedCheckpoint):  # weights that were not fetched yet
            folder = converted_checkpoint(self.entry)
            planned = plan_checkpoint(self.entry, folder, preset)
        return with_windows(load_port(planned, dtype, mesh), self.settings.window)


@dataclass(frozen=True)
class OpenPort:
    """A port with its weights on the devices, and where its embeddings are kept.

    Attributes:
        name: The model's name in the config.
        card: What a submission says of the model.
        representations: What is probed, one for each view of the engine.
        engine: Computes all views in one forward pass.
        folder: Holds a store for each representation.
        settings: Sizes of batches.
        workdir: Holds measurements of the devices.
    """

    name: str
    card: Mapping[str, Any]
    representations: Sequence[Representation]
    engine: Engine
    folder: epath.Path
    settings: EmbeddingSettings
    workdir: Path

    @property
    def widths(self) -> Sequence[int]:
        """The width of each view."""
        return self.engine.widths()

    def prepare(self, tasks: Sequence[Task], advance: Advance) -> Prepared:
        """Embeds the records of these tasks that are not kept already, each distinct one once."""
        stores, port = self._stores(), self.engine.port
        cut = {name: cut_into_windows(port, s) for name, s in _splits(tasks).items()}
        splits = {name: each.windows for name, each in cut.items()}
        if port.preset.window is not None:
            records = sum(len(each.counts) for each in cut.values())
            advance = telling_of_records(advance, records, sum(map(len, splits.values())))
        rate = keeping_rate(self.engine, self.name, self.workdir, advance)
        with _naming_rows(tasks), rate as advance:
            if port.preset.batching == "input-order":
                keys = self._embed_in_order(stores, splits, advance)
            else:
                units, records = _units(splits), sum(map(len, splits.values()))
                self._embed_units(stores, units, records, advance)
                key_of = {s: k for u in units for s, k in zip(u.sequences, u.keys, strict=True)}
                keys = {name: [key_of[s] for s in sequences] for name, sequences in splits.items()}

        def features(task: Task, representation: Representation) -> tuple[np.ndarray, np.ndarray]:
            store = stores[self.representations.index(representation)]
            train, test = (
                average_windows(port, store.get(keys[name]), cut[name])
                for name in ((task.info.id, "train"), (task.info.id, "test"))
            )
            return train, test

        return Prepared(features, speed_figures(self.engine, self.workdir))

    def prepare_share(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Embeds this process's share of the tasks' records."""
        port, process = self.engine.port, this_process()
        splits = {name: cut_into_windows(port, s).windows for name, s in _splits(tasks).items()}
        with _naming_rows(tasks):
            if port.preset.batching == "input-order":  # a record sees its batch: splits stay whole
                every = slice(process.number, None, process.count)
                self._embed_in_order(self._stores(), dict(list(splits.items())[every]), advance)
            else:
                share = deal(_units(splits), process.count)[process.number]
                records = sum(len(unit.sequences) for unit in share)
                self._embed_units(self._stores(), share, records, advance)

    def _stores(self) -> list[Store]:
        """A store for each representation; what it depends on is in its folder's name."""
        stores = []
        for representation in self.representations:
            folder = store_folder(self.folder, representation)
            stores.append(Store(folder, representation.identity))
        return stores

    def _embed_in_order(
        self,
        stores: Sequence[Store],
        splits: Mapping[SplitName, Sequence[str]],
        advance: Advance,
    ) -> dict[SplitName, list[bytes]]:
        """Embeds what the stores lack of splits, in batches of their order; returns their keys.

        `advance` is told of all records, in proportion to those that are embedded: records that are
        kept, or in several tasks, take no time, and a rate that counted them would be wrong.
        """
        size = self.settings.published_batch_size
        keys = [k for sequences in splits.values() for k in keys_in_order(sequences, size)]
        records = sum(map(len, splits.values()))
        advance = telling_of_records(advance, records, _count_missing(stores, keys))
        return {
            name: embed_in_order(self.engine, sequences, stores, size, advance)
            for name, sequences in splits.items()
        }

    def _embed_units(
        self, stores: Sequence[Store], units: Sequence[Unit], records: int, advance: Advance
    ) -> None:
        """Embeds what the stores lack of units of so many records; see `_embed_in_order`."""
        keys = [k for unit in units for k in itertools.compress(unit.keys, unit.first)]
        advance = telling_of_records(advance, records, _count_missing(stores, keys))
        while True:
            sizes = batch_sizes(self.engine, self.workdir, self.settings.batch_tokens)
            try:
                return embed_records(self.engine, units, stores, sizes, advance)
            except DeviceMemoryError as error:  # what was embedded is in the stores
                smaller_batches(self.engine, sizes, error, self.workdir)


def store_folder(folder: epath.Path, representation: Representation) -> epath.Path:
    """Returns the folder of a representation's store, whose name holds what it depends on.

    Args:
        folder: Holds the stores of the model.
        representation: The representation.
    """
    digest = key(canonical_json(representation.identity)).hex()[:12]
    return folder / f"{representation.name}-{digest}"


def _stored_bytes(entry: catalog.Entry) -> int:
    """Returns the bytes of a parameter in the authors' files; where they do not say it, four."""
    told = entry.config.get("torch_dtype") or entry.config.get("dtype")
    return 2 if told in ("bfloat16", "float16") else 4


def views_of(reader: Reader, taps: Sequence[Tap], poolings: Sequence[str]) -> list[View]:
    """Returns each pooling of each hidden state of a model, once.

    Args:
        reader: The model.
        taps: Hidden states, and 'preset' for the preset's; none: all that have a number, and the
            preset's.
        poolings: Names of `POOLINGS`, and 'preset' for the preset's.

    Raises:
        ValueError: The model has no such hidden state, or there is no such pooling.
    """
    preset = reader.preset
    names = [preset.pooling if name == OF_PRESET else name for name in poolings]
    taps = taps or (*range(reader.config.layers + 1), FINAL, OF_PRESET)
    taps = [preset.tap if tap == OF_PRESET else tap for tap in taps]
    views = list(dict.fromkeys(View(tap, pooling) for tap in taps for pooling in names))
    check_views(reader, views)
    return views


_Reader = TypeVar("_Reader", bound=Reader)


def with_windows(reader: _Reader, window: str | tuple[int, int]) -> _Reader:
    """Returns a model whose preset cuts long records as the config's `window` says.

    Raises:
        ValueError: The preset embeds a record with its batch, so that windows have no embedding
            of their own.
    """
    if window == "model":
        return reader
    letters, stride = (None, None) if window == "none" else window
    if letters and reader.preset.batching == "input-order":
        raise ValueError(
            f"model '{reader.entry.id}': the published preset embeds a record with its batch, and "
            "none of its windows alone; use config.preset=corrected or config.window=model"
        )
    return replace(reader, preset=replace(reader.preset, window=letters, stride=stride))


def _count(state: nnx.State) -> int:
    return sum(map(math.prod, parameter_shapes(state).values()))


def _window_name(preset: catalog.Preset) -> str:
    return f"{preset.window}-{preset.stride}" if preset.window else "whole"


def _representation(port: Port, view: View, settings: EmbeddingSettings) -> Representation:
    preset = {k: v for k, v in asdict(port.preset).items() if k not in ("reason", "tap")}
    if port.preset.window is None:  # as before there were windows
        del preset["window"], preset["stride"]
    identity = {
        "model": port.entry.id,
        "revision": port.entry.source["revision"],
        "weights": port.weights_id,
        "preset": preset | {"pooling": view.pooling},
        "dtype": port.dtype,
        "numerics": NUMERICS,
        "tap": view.tap,
    }
    entry = port.entry
    if entry != catalog.known(entry.id):  # NUMERICS tells versions of the package's entries apart
        identity["described"] = {
            "family": entry.family,
            "tokenizer": entry.tokenizer,
            "unstated": entry.unstated,
        }
    stated = port.entry.preset(settings.preset)
    # A checkpoint of fewer positions has the preset's windows, as long as they can be.
    as_stated = settings.window == "model" or (
        (port.preset.window, port.preset.stride) == (stated.window, stated.stride)
    )
    if port.preset.batching == "input-order":
        identity["published_batch_size"] = settings.published_batch_size
    columns = {
        "preset": settings.preset,
        "dtype": port.dtype,
        "tap": str(view.tap),
        "pooling": view.pooling if as_stated else f"{view.pooling}@{_window_name(port.preset)}",
    }
    of_preset = as_stated and view == View(port.preset.tap, port.preset.pooling)
    return Representation(columns, identity, view, of_preset, port.unknown_fields)


def _splits(tasks: Sequence[Task]) -> dict[SplitName, Sequence[str]]:
    return {
        (task.info.id, name): split.sequences
        for task in tasks
        for name, split in (("train", task.train), ("test", task.test))
    }


@contextmanager
def _naming_rows(tasks: Sequence[Task]) -> Iterator[None]:
    """Names the task and the row of a record whose embedding is not finite: the first with it."""
    try:
        yield
    except NotFiniteError as error:
        # The record itself, or one of which it is a window.
        for matches in (operator.eq, operator.contains):
            for task in tasks:
                for name, split in (("train", task.train), ("test", task.test)):
                    for i, sequence in enumerate(split.sequences):
                        if matches(sequence, error.sequence):
                            row = i + 1 if split.rows is None else split.rows[i]
                            raise error.on(task.info.id, f"{name} row {row}") from error
        raise


def _units(splits: Mapping[SplitName, Sequence[str]]) -> list[Unit]:
    """Returns the units of the tasks of some splits."""
    records_of: dict[str, list[str]] = {}
    for (task, _), sequences in splits.items():
        records_of.setdefault(task, []).extend(sequences)
    return units_of(records_of.values())


def _distinct(splits: Mapping[SplitName, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(s for sequences in splits.values() for s in sequences))


def _count_missing(stores: Sequence[Store], keys: Sequence[bytes]) -> int:
    """Returns how many of some keys a store lacks."""
    return len(set[bytes]().union(*(store.missing(keys) for store in stores)))


def _refused_records(reader: Reader, tasks: Sequence[Task]) -> list[Refusal]:
    """Names the records that a model cannot take: the first of each split, and how many more."""
    found = []
    for task in tasks:
        for name, split in (("train", task.train), ("test", task.test)):
            try:
                refusals = refused(reader, split.sequences)
            except ValueError as error:  # a letter that the tokenizer has no token for
                found.append(Refusal(f"{name} records: {error}", task.info.id))
                continue
            for i, reason in refusals[:_SHOWN]:
                row = i + 1 if split.rows is None else split.rows[i]
                text = f"{name} record {_shown(split.sequences[i])} in row {row} {reason}"
                found.append(Refusal(text, task.info.id))
            if len(refusals) > _SHOWN:
                more = counted(len(refusals) - _SHOWN, f"more such {name} record")
                found.append(Refusal(f"... and {more}", task.info.id))
    return found


def _shown(sequence: str) -> str:
    """A record, or the beginning of a long one."""
    if len(sequence) <= _LETTERS:
        return f"'{sequence}'"
    return f"'{sequence[:_LETTERS]}...' ({len(sequence)} letters)"
