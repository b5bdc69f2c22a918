"""The port contract: a family's module, a model's tokenizer and preset, and what joins them.

records --tokenize--> ids --collate--> inputs --embed--> pooled vectors [B, D]
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from model_ports import catalog, checkpoint, converted
from model_ports.pooling import POOLINGS
from model_ports.sharding import DATA, MODEL, parameter_shardings
from model_ports.tokenizers import Tokenizer, build_tokenizer

_PADDING_BEFORE = {"right": 0, "both": 1, "left": 2}  # halves of a record's padding
_CHECKED = 16384  # records that are tokenized at once where only their ids' range is asked for
FINAL = -1  # the tap that GENEB pools: after the final norm where there is one
# Goes up with every change of what ports compute: embeddings kept by older code are not taken.
NUMERICS = 1

Inputs = Mapping[str, Any]  # input_ids int32 [B, L], attention_mask bool [B, L]


class View(NamedTuple):
    """What of a forward pass is kept: a hidden state (see `Hidden`) and a name of `POOLINGS`."""

    tap: int
    pooling: str


class Hidden(NamedTuple):
    """Hidden states of a batch.

    Attributes:
        states: By tap, [B, L', D]: 0 the embedding output, i the output of block i, -1 the final
            hidden state.
        mask: Which rows are meaningful, bool [B, L']; None from a model whose rows are those of
            the input.
    """

    states: dict[int, Array]
    mask: Any = None


class Family(Protocol):
    """What a module of `model_ports.families` offers.

    Attributes:
        Config: Frozen dataclass with `from_json(fields) -> Config`, `vocab_size`, `layers`: the
            number of blocks, and `max_tokens`: the longest input its position table allows;
            None: no limit. The fields are those of config.json and of the catalog's `unstated`.
        Model: `nnx.Module`; `Model(config, rngs=...)` builds it with its stated random weights,
            `model(inputs, taps)` returns `Hidden`. `inputs` lacks `attention_mask` where the
            preset gives the model none.
        SHARDING: Pairs of a regular expression over dotted parameter paths and the mesh axis of
            each dimension; the first that matches counts, none means replicated.
        FLOAT32: Patterns of the paths of parameters that stay float32 in a bfloat16 port.
        TINY: Fields of config.json that make the family's tiny random model.
        window_length: Optional, `(config, full, longest) -> length`: where records are padded to
            `full`, the length from which the model computes the same, padding beyond it being
            understood (`inputs["padded_length"]` says the full length).
    """

    Config: Any
    Model: Any
    SHARDING: Sequence[tuple[str, tuple[str | None, ...]]]
    FLOAT32: Sequence[str]
    TINY: Mapping[str, Any]

    def weights(self, config: Any) -> Sequence[checkpoint.Weight | checkpoint.Ignored]:
        """Returns where each tensor of the checkpoint goes."""
        ...


def family(name: str) -> Family:
    """Returns the family's module.

    Raises:
        CatalogError: The family is not ported yet.
    """
    try:
        return importlib.import_module(f"model_ports.families.{name}")  # pyright: ignore
    except ModuleNotFoundError as error:
        if error.name != f"model_ports.families.{name}":
            raise
        raise catalog.CatalogError(f"family '{name}' is not ported yet") from None


@dataclass(frozen=True)
class Reader:
    """All of a port that reads records: what it can take is known without its weights.

    Attributes:
        entry: The catalog's entry.
        preset: Limits, pooling and batching in force.
        config: The family's config.
        tokenizer: The model's tokenizer.
    """

    entry: catalog.Entry
    preset: catalog.Preset
    config: Any
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Port(Reader):
    """A model ready to embed under one preset.

    Attributes:
        graphdef: Structure of the module.
        state: Its parameters.
        dtype: Dtype of parameters and computation, 'float32' or 'bfloat16'.
        weights_id: What tells these weights from others: source, revision or seed, and content.
        mesh: The devices that hold the parameters, with axes `data` and `model`; None: one.
    """

    graphdef: nnx.GraphDef
    state: nnx.State
    dtype: str
    weights_id: str
    mesh: Mesh | None = None


def read_config(entry: catalog.Entry, fields: Mapping[str, Any]) -> Any:
    """Returns the family's config from the fields of a checkpoint's config.json."""
    try:
        return family(entry.family).Config.from_json({**fields, **entry.unstated})
    except KeyError as error:
        raise checkpoint.CheckpointError(
            f"model '{entry.id}': config.json has no field {error}"
        ) from error


def abstract_model(name: str, config: Any) -> tuple[nnx.GraphDef, nnx.State]:
    """Returns a family's module as structure and shapes, without memory for its parameters."""
    module = nnx.eval_shape(lambda: family(name).Model(config, rngs=nnx.Rngs(0)))
    return nnx.split(module)


@dataclass(frozen=True)
class Fit:
    """A checkpoint folder whose tensors have their places.

    Attributes:
        config: The family's config.
        graphdef: Structure of the module.
        abstract: Its parameters' shapes.
        tokenizer: The model's tokenizer.
        weights_id: See `Port`; a converted checkpoint has that of the files it was made from.
        tensors: The authors' tensors; None of a converted checkpoint.
        fills: Their places by parameter.
    """

    config: Any
    graphdef: nnx.GraphDef
    abstract: nnx.State
    tokenizer: Tokenizer
    weights_id: str
    tensors: checkpoint.Tensors | None
    fills: Mapping[str, checkpoint.Fill]


def fit_checkpoint(entry: catalog.Entry, folder: Path) -> Fit:
    """Opens a checkpoint folder, of the authors' files or converted, and checks all but contents.

    Raises:
        CatalogError, CheckpointError, TokenizerError: See `load_port`.
    """
    config = read_config(entry, checkpoint.read_config(folder))
    graphdef, abstract = abstract_model(entry.family, config)
    shapes = checkpoint.parameter_shapes(abstract)
    tensors, fills = None, {}
    if converted.is_converted(folder):
        manifest = converted.read_manifest(folder)
        if manifest["model"] != entry.id:
            raise checkpoint.CheckpointError(
                f"{folder}: holds model '{manifest['model']}', not '{entry.id}'"
            )
        converted.check_parameters(folder, manifest, shapes)
        converted.check_files(folder, manifest)
        weights_id = manifest["weights_id"]
    else:
        tensors = checkpoint.open_checkpoint(folder)
        fills = checkpoint.plan(family(entry.family).weights(config), tensors, shapes)
        for fill in fills.values():
            for source in fill.sources:
                tensors.dtype(source)  # raises where it is not one of weights
        weights_id = f"sha256:{checkpoint.fingerprint(folder)}"
    tokenizer = build_tokenizer(folder, entry.tokenizer)
    return Fit(config, graphdef, abstract, tokenizer, weights_id, tensors, fills)


def check_port(model_id: str, folder: Path, preset: catalog.PresetName = "corrected") -> Reader:
    """Checks all of a checkpoint but its tensors' contents, in milliseconds to seconds.

    Raises:
        CatalogError, CheckpointError, TokenizerError: See `load_port`.
    """
    entry = catalog.get(model_id)
    fit = fit_checkpoint(entry, folder)
    return Reader(entry, _preset_of(entry, preset, folder), fit.config, fit.tokenizer)


def text_reader(model_id: str, folder: Path, preset: catalog.PresetName = "corrected") -> Reader:
    """Returns the reader of a checkpoint whose weights are not there yet.

    Args:
        model_id: Model of the catalog.
        folder: Holds config.json and the tokenizer's files.
        preset: Preset name.

    Raises:
        CatalogError, CheckpointError, TokenizerError: See `load_port`.
    """
    entry = catalog.get(model_id)
    config = read_config(entry, checkpoint.read_config(folder))
    tokenizer = build_tokenizer(folder, entry.tokenizer)
    return Reader(entry, entry.preset(preset), config, tokenizer)


def random_reader(
    model_id: str,
    folder: Path | None = None,
    preset: catalog.PresetName = "corrected",
    *,
    tiny: bool = False,
    fields: Mapping[str, Any] | None = None,
) -> Reader:
    """Returns the reader of `random_port` or `abstract_port`, of the same arguments."""
    entry = catalog.get(model_id)
    changes = {**(family(entry.family).TINY if tiny else {}), **(fields or {})}
    config = read_config(entry, {**entry.config, **changes})
    return Reader(entry, entry.preset(preset), config, build_tokenizer(folder, entry.tokenizer))


def load_port(
    model_id: str,
    folder: Path,
    preset: catalog.PresetName = "corrected",
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Loads a port from a checkpoint folder: converted, or config.json, tokenizer and weight files.

    A conformance fixture (meta.json with `check`) is a checkpoint too, with its own limits.

    Args:
        model_id: Model of the catalog.
        folder: The checkpoint.
        preset: Preset name.
        dtype: Dtype of parameters and computation.
        mesh: Parameters are laid out on it by the family's SHARDING; None: one device.

    Raises:
        CatalogError: Unknown model, unported family, or a preset that cannot be computed.
        CheckpointError: The folder's files are missing or do not fit each other.
        TokenizerError: Likewise of the tokenizer's files.
    """
    entry = catalog.get(model_id)
    kind = family(entry.family)
    fit = fit_checkpoint(entry, folder)
    wanted = jnp.dtype(dtype)
    places = _places(kind, fit.abstract, mesh)
    if fit.tensors is None:
        state = converted.restore(folder, fit.abstract, wanted, kind.FLOAT32, places)
    else:
        state = checkpoint.load(fit.tensors, fit.fills, fit.abstract, wanted, kind.FLOAT32, places)
    return Port(
        entry=entry,
        preset=_preset_of(entry, preset, folder),
        config=fit.config,
        tokenizer=fit.tokenizer,
        graphdef=fit.graphdef,
        state=state,
        dtype=dtype,
        weights_id=fit.weights_id,
        mesh=mesh,
    )


def random_port(
    model_id: str,
    folder: Path | None = None,
    preset: catalog.PresetName = "corrected",
    *,
    tiny: bool = False,
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Builds a port with random weights: the untrained control.

    The weights are those of the family's own initialisers (normal matrices of standard deviation
    0.02, unit scales and zero biases unless the family says otherwise), from `nnx.Rngs(seed)`.

    Args:
        model_id: Model of the catalog.
        folder: Where tokenizer files lie, for tokenizers that need files.
        preset: Preset name.
        tiny: The family's tiny config instead of the full-size one.
        seed: Seed of the weights.
        dtype: Dtype of parameters and computation.
        mesh: As for `load_port`; the weights are the same, and no device ever holds them all.

    Raises:
        CatalogError: Unknown model, unported family, or a preset that cannot be computed.
        TokenizerError: A tokenizer file is missing.
    """
    reader = random_reader(model_id, folder, preset, tiny=tiny)
    kind = family(reader.entry.family)
    graphdef, abstract = abstract_model(reader.entry.family, reader.config)
    places = _places(kind, abstract, mesh)
    layout = None if places is None else checkpoint.fill_state(abstract, places)

    def create() -> nnx.State:
        state = nnx.state(kind.Model(reader.config, rngs=nnx.Rngs(seed)))
        return cast_state(state, dtype, kind.FLOAT32)

    return Port(
        **vars(reader),
        graphdef=graphdef,
        state=jax.jit(create, out_shardings=layout)(),
        dtype=dtype,
        weights_id=f"random:{'tiny' if tiny else 'full'}:{seed}",
        mesh=mesh,
    )


def abstract_port(
    model_id: str,
    folder: Path | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Builds a port whose parameters are shapes: its programs compile, without weights.

    Args:
        model_id: Model of the catalog.
        folder: Where tokenizer files lie, for tokenizers that need files.
        fields: Fields of config.json that differ from the full-size model's.
        dtype: Dtype of parameters and computation.
        mesh: As for `load_port`; its devices need not be there.

    Raises:
        CatalogError: Unknown model or unported family.
        TokenizerError: A tokenizer file is missing.
    """
    reader = random_reader(model_id, folder, fields=fields)
    kind = family(reader.entry.family)
    graphdef, abstract = abstract_model(reader.entry.family, reader.config)
    places = _places(kind, abstract, mesh) or {}
    values = {}
    for path, shape in checkpoint.parameter_shapes(abstract).items():
        wanted = checkpoint.cast_dtype(path, jnp.dtype(dtype), kind.FLOAT32)
        values[path] = jax.ShapeDtypeStruct(shape, wanted, sharding=places.get(path))
    return Port(
        **vars(reader),
        graphdef=graphdef,
        state=checkpoint.fill_state(abstract, values),
        dtype=dtype,
        weights_id="",
        mesh=mesh,
    )


def _places(
    kind: Family, abstract: nnx.State, mesh: Mesh | None
) -> Mapping[str, NamedSharding] | None:
    """Where each parameter goes, by dotted path; None: on the default device."""
    shapes = checkpoint.parameter_shapes(abstract)
    return None if mesh is None else parameter_shardings(kind.SHARDING, shapes, mesh)


def cast_state(state: nnx.State, dtype: str, float32: Sequence[str]) -> nnx.State:
    """Casts a module's parameters, but for those whose paths match a pattern of `float32`."""
    flat = []
    for path, leaf in nnx.to_flat_state(state):
        wanted = checkpoint.cast_dtype(".".join(map(str, path)), jnp.dtype(dtype), float32)
        flat.append((path, leaf.replace(leaf[...].astype(wanted))))
    return nnx.from_flat_state(flat)


def _preset_of(entry: catalog.Entry, name: catalog.PresetName, folder: Path) -> catalog.Preset:
    preset = entry.preset(name)
    meta = folder / "meta.json"
    if meta.is_file():
        check = json.loads(meta.read_text(encoding="utf-8")).get("check")
        if check and check.get(name):
            return replace(preset, max_tokens=check[name]["max_tokens"])
    return preset


def tokenize(reader: Reader, sequences: Sequence[str]) -> list[np.ndarray]:
    """Returns each record's int32 token ids, cut to the preset's limit.

    Raises:
        ValueError: A record holds a token that has no row in the model's embedding, or is longer
            than the model's position table.
    """
    encoded = reader.tokenizer.encode(sequences, reader.preset.max_tokens)
    for index, ids in enumerate(encoded):
        if reason := _refusal(reader, ids):
            raise ValueError(f"model '{reader.entry.id}': record {index} {reason}")
    return encoded


def refused(reader: Reader, sequences: Sequence[str]) -> list[tuple[int, str]]:
    """Returns the index of each record that `tokenize` refuses, and why.

    Most records are cleared by their letters and lengths: only the others are tokenized.
    """
    tokenizer, limit, cut = reader.tokenizer, reader.config.max_tokens, reader.preset.max_tokens
    longest = sys.maxsize
    if limit is not None and (cut is None or cut > limit):
        longest = limit - tokenizer.specials
    if tokenizer.vocab_size > reader.config.vocab_size:
        longest = -1
    doubtful = [
        i
        for i, sequence in enumerate(sequences)
        if len(sequence) > longest or not (sequence.isascii() and sequence.isalpha())
    ]
    found = []
    for start in range(0, len(doubtful), _CHECKED):
        rows = doubtful[start : start + _CHECKED]
        encoded = tokenizer.encode([sequences[i] for i in rows], cut)
        reasons = ((i, _refusal(reader, ids)) for i, ids in zip(rows, encoded, strict=True))
        found += [(i, reason) for i, reason in reasons if reason]
    return found


def _refusal(reader: Reader, ids: np.ndarray) -> str | None:
    """Why a model cannot take a record of these ids."""
    limit, rows = reader.config.max_tokens, reader.config.vocab_size
    if limit is not None and len(ids) > limit:
        return f"has {len(ids)} tokens, but the model has {limit} positions; cut it"
    if ids.size and ids.max() >= rows:
        return (
            f"has token id {ids.max()}, but the model has {rows} rows; "
            "remove special tokens from it"
        )
    return None


def padded_length(port: Port, longest: int) -> int:
    """Returns the length that a batch whose longest record has `longest` tokens needs at least."""
    if port.preset.batching == "fixed":
        full = port.preset.max_tokens
        assert full is not None
        window = getattr(family(port.entry.family), "window_length", None)
        return full if window is None else window(port.config, full, min(longest, full))
    return longest


def collate(port: Port, encoded: Sequence[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Pads token ids to one static shape.

    Args:
        port: Gives the padding id and side.
        encoded: Token ids of B records, none longer than `length`.
        length: L.

    Returns:
        `input_ids` int32 [B, L] and `attention_mask` bool [B, L].
    """
    ids = np.full((len(encoded), length), port.tokenizer.pad_id, np.int32)
    mask = np.zeros((len(encoded), length), bool)
    share = _PADDING_BEFORE[port.preset.padding_side]
    for row, tokens in enumerate(encoded):
        start = (length - len(tokens)) * share // 2
        ids[row, start : start + len(tokens)] = tokens
        mask[row, start : start + len(tokens)] = True
    return {"input_ids": ids, "attention_mask": mask}


def forward(
    port: Port, state: nnx.State, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)
) -> Hidden:
    """Hidden states of a batch, and the mask of their meaningful rows (never None); traceable.

    Float32 matrix products are computed in full float32 on every device.
    """
    given = dict(inputs)
    if not port.preset.masked:
        del given["attention_mask"]
    if port.preset.batching == "fixed":
        given["padded_length"] = port.preset.max_tokens
    with jax.default_matmul_precision("highest"):  # of no effect on bfloat16 products
        hidden = nnx.merge(port.graphdef, state)(given, taps)
    mask = inputs["attention_mask"] if hidden.mask is None else hidden.mask
    return Hidden(hidden.states, mask)


def embedder(
    port: Port, views: Sequence[View] | None = None
) -> Callable[[nnx.State, Inputs], Array]:
    """Returns the compiled embedding function: `(state, inputs) -> float32 [B, D]`.

    Args:
        port: The model; its state is an argument of the function, so that nothing is baked in.
        views: What is pooled of one forward pass; several stand side by side, [B, D1 + D2 + ..].
            None: the preset's pooling of the final hidden state.
    """
    wanted = (View(FINAL, port.preset.pooling),) if views is None else tuple(views)
    taps = tuple(dict.fromkeys(view.tap for view in wanted))

    def embed(state: nnx.State, inputs: Inputs) -> Array:
        states, mask = forward(port, state, inputs, taps)
        pooled = [POOLINGS[view.pooling](states[view.tap], mask) for view in wanted]
        return jnp.concatenate(pooled, axis=-1)

    if port.mesh:
        # Each device, or group that shares the parameters, sees its rows alone. Left to itself XLA
        # gathers whole batches around FFTs and where strands are stacked on the rows. Where
        # none share them, no axis is left to XLA, for the sake of attention's kernel.
        embed = jax.shard_map(
            embed,
            mesh=port.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(DATA)),
            out_specs=PartitionSpec(DATA),
            axis_names={DATA} if port.mesh.shape[MODEL] > 1 else {DATA, MODEL},
            check_vma=False,
        )
    return jax.jit(embed)
