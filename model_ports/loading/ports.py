"""Ports: from planned checkpoints, with random weights, or of shapes alone."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from model_ports import catalog
from model_ports.contract.family import Family, family
from model_ports.loading import converted
from model_ports.loading.assignment import (
    cast_dtype,
    cast_state,
    fill_state,
    load_parameters,
    parameter_shapes,
)
from model_ports.loading.identity import text_facts, weights_id
from model_ports.loading.planned import (
    PlannedCheckpoint,
    abstract_model,
    family_config,
    text_reader,
)
from model_ports.loading.sharding import parameter_shardings
from model_ports.loading.tensors import check_equal
from model_ports.port import Port, Reader
from model_ports.tokenizers import build_tokenizer, read_files
from model_ports.tokenizers.base import AbsentTokenizer, TokenizerError

# Whose architecture random weights have: the catalog's, the family's tiny one, or that of the
# config.json of a checkpoint which differs from the catalog's.
Size = Literal["full", "tiny", "checkpoint"]


def load_port(planned: PlannedCheckpoint, dtype: str = "float32", mesh: Mesh | None = None) -> Port:
    """Reads the weights of a planned checkpoint.

    Args:
        planned: The result of `plan_checkpoint`.
        dtype: Dtype of parameters and computation, 'float32' or 'bfloat16'.
        mesh: Parameters are laid out on it by the family's SHARDING; None: one device.

    Raises:
        CheckpointError: A tensor holds a NaN or an infinity, two that are one tensor differ, or a
            file cannot be read.
    """
    kind = family(planned.entry.family)
    wanted = jnp.dtype(dtype)
    shardings = _shardings(kind, planned.abstract, mesh)
    if planned.tensors is None:
        state = converted.restore(planned.folder, planned.abstract, wanted, kind.FLOAT32, shardings)
    else:
        check_equal(planned.tensors, planned.equal)
        state = load_parameters(
            planned.tensors, planned.assignments, planned.abstract, wanted, kind.FLOAT32, shardings
        )
    return Port(
        entry=planned.entry,
        preset=planned.preset,
        config=planned.config,
        tokenizer=planned.tokenizer,
        unknown_fields=planned.unknown_fields,
        graphdef=planned.graphdef,
        state=state,
        dtype=dtype,
        weights_id=planned.weights_id,
        mesh=mesh,
    )


def catalog_reader(entry: catalog.Entry, preset: catalog.PresetName = "corrected") -> Reader:
    """Returns the reader of a full-size model of which the catalog alone is there.

    Where its tokenizer needs files, its shapes are known and its tokens are not.

    Raises:
        CatalogError, FamilyError: See `random_reader`.
    """
    config, unknown_fields = family_config(entry, entry.config)
    try:
        tokenizer = build_tokenizer(None, entry.tokenizer)
    except TokenizerError as error:
        tokenizer = AbsentTokenizer(str(error))
    return Reader(entry, entry.preset(preset), config, tokenizer, unknown_fields)


def random_reader(
    entry: catalog.Entry,
    folder: Path | None = None,
    preset: catalog.PresetName = "corrected",
    *,
    tiny: bool = False,
    fields: Mapping[str, Any] | None = None,
) -> Reader:
    """Returns the reader of a model without a checkpoint, as the catalog describes it.

    Args:
        entry: The model.
        folder: Where tokenizer files lie, for tokenizers that need files.
        preset: Preset name.
        tiny: Whether the model is the family's tiny one instead of the full-size one.
        fields: Fields of config.json that differ from the model's.

    Raises:
        CatalogError: The preset cannot be computed.
        FamilyError: The family is not ported yet.
        TokenizerError: A tokenizer file is missing.
    """
    content = entry.config
    for changes in (family(entry.family).TINY if tiny else {}, fields or {}):
        content = _changed(content, changes)
    config, _ = family_config(entry, content)
    # Of the model's own config.json: what the tiny one adds may be of another code.
    _, unknown_fields = family_config(entry, entry.config)
    tokenizer = build_tokenizer(folder, entry.tokenizer)
    return Reader(entry, entry.preset(preset), config, tokenizer, unknown_fields)


def control_reader(
    entry: catalog.Entry, folder: Path | None, preset: catalog.PresetName = "corrected"
) -> Reader:
    """Returns the reader of a checkpoint's untrained control: the same model but for its weights.

    Args:
        entry: The model.
        folder: The checkpoint; where it has no config.json, or is None, the model is as the catalog
            describes it.
        preset: Preset name.

    Raises:
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    if folder is None or not (folder / "config.json").is_file():
        return random_reader(entry, folder, preset)
    return text_reader(entry, folder, preset)


def size_of(reader: Reader) -> Size:
    """Says whether the architecture of a control is that of the catalog."""
    stated, _ = family_config(reader.entry, reader.entry.config)
    return "full" if reader.config == stated else "checkpoint"


def _changed(content: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a config.json with changes; of an object in it, the fields that they name change."""
    inner = {
        name: _changed(content[name], change)
        for name, change in changes.items()
        if isinstance(change, Mapping) and isinstance(content.get(name), Mapping)
    }
    return {**content, **changes, **inner}


def random_port(
    entry: catalog.Entry,
    folder: Path | None = None,
    preset: catalog.PresetName = "corrected",
    *,
    tiny: bool = False,
    fields: Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Builds a port with random weights, the untrained control.

    Args:
        entry: The model.
        folder: Where tokenizer files lie, for tokenizers that need files.
        preset: Preset name.
        tiny: Whether the model is the family's tiny one instead of the full-size one.
        fields: Fields of config.json that differ from the model's.
        seed, dtype, mesh: See `drawn_port`.

    Raises:
        CatalogError, FamilyError, TokenizerError: See `random_reader`.
    """
    reader = random_reader(entry, folder, preset, tiny=tiny, fields=fields)
    size = "tiny" if tiny else "full"
    identity = random_weights_id(reader, folder, size=size, fields=fields, seed=seed)
    return drawn_port(reader, identity, seed=seed, dtype=dtype, mesh=mesh)


def drawn_port(
    reader: Reader,
    weights_id: str,
    *,
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Draws the weights of a model of which everything else is known.

    They are those of the family's initialisers (normal matrices of standard deviation 0.02, unit
    scales and zero biases unless the family says otherwise), from `nnx.Rngs(seed)`.

    Args:
        reader: The model.
        weights_id: What tells the weights from others, see `random_weights_id`.
        seed: Seed of the weights.
        dtype: Dtype of parameters and computation.
        mesh: As for `load_port`; the weights are the same, and no device ever holds them all.
    """
    kind = family(reader.entry.family)
    graphdef, abstract = abstract_model(reader.entry.family, reader.config)
    shardings = _shardings(kind, abstract, mesh)
    layout = None if shardings is None else fill_state(abstract, shardings)

    def create() -> nnx.State:
        state = nnx.state(kind.Model(reader.config, rngs=nnx.Rngs(seed)))
        return cast_state(state, dtype, kind.FLOAT32)

    return Port(
        **vars(reader),
        graphdef=graphdef,
        state=jax.jit(create, out_shardings=layout)(),
        dtype=dtype,
        weights_id=weights_id,
        mesh=mesh,
    )


def random_weights_id(
    reader: Reader,
    folder: Path | None = None,
    *,
    size: Size = "full",
    fields: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> str:
    """Returns what tells random weights from others, without making them.

    Files count where they enter the embedding: those that make another tokenizer than there is
    without them, and the config.json of an architecture that is not the catalog's.

    Args:
        reader: The model.
        folder: Holds the tokenizer's files, and the config.json of a checkpoint.
        size: Whose architecture they have.
        fields, seed: See `random_port`.
    """
    identity = ["random", size, str(seed)]
    if fields:
        identity.append(json.dumps(fields, sort_keys=True))
    if folder is not None:
        names = {*read_files(folder, reader.entry.tokenizer, reader.tokenizer)}
        names |= {"config.json"} if size == "checkpoint" else set()
        if facts := {name: each for name, each in text_facts(folder).items() if name in names}:
            identity.append(weights_id(facts))
    return ":".join(identity)


def abstract_port(
    entry: catalog.Entry,
    folder: Path | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    mesh: Mesh | None = None,
) -> Port:
    """Builds a port whose parameters are shapes: its programs compile, without weights.

    Args:
        entry: The model.
        folder: Where tokenizer files lie, for tokenizers that need files.
        fields: Fields of config.json that differ from the full-size model's.
        dtype: Dtype of parameters and computation.
        mesh: As for `load_port`; its devices need not be there.

    Raises:
        CatalogError, FamilyError, TokenizerError: See `random_reader`.
    """
    return shape_port(random_reader(entry, folder, fields=fields), dtype=dtype, mesh=mesh)


def shape_port(
    reader: Reader, *, dtype: str = "float32", weights_id: str = "", mesh: Mesh | None = None
) -> Port:
    """Builds a port whose parameters are shapes, of a model that is known without its weights.

    Args:
        reader: The model.
        dtype: Dtype of parameters and computation.
        weights_id: What tells the weights that it stands for from others.
        mesh: As for `load_port`; its devices need not be there.
    """
    kind = family(reader.entry.family)
    graphdef, abstract = abstract_model(reader.entry.family, reader.config)
    shardings = _shardings(kind, abstract, mesh) or {}
    values = {}
    for path, shape in parameter_shapes(abstract).items():
        wanted = cast_dtype(path, jnp.dtype(dtype), kind.FLOAT32)
        values[path] = jax.ShapeDtypeStruct(shape, wanted, sharding=shardings.get(path))
    known = {field.name: getattr(reader, field.name) for field in dataclasses.fields(Reader)}
    return Port(
        **known,
        graphdef=graphdef,
        state=fill_state(abstract, values),
        dtype=dtype,
        weights_id=weights_id,
        mesh=mesh,
    )


def _shardings(
    kind: Family, abstract: nnx.State, mesh: Mesh | None
) -> Mapping[str, NamedSharding] | None:
    """Returns the sharding of each parameter, by dotted path; None: the default device."""
    shapes = parameter_shapes(abstract)
    return None if mesh is None else parameter_shardings(kind.SHARDING, shapes, mesh)
