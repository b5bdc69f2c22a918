"""Checkpoint folders that are checked and whose tensors are assigned, before any is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from absl import logging
from flax import nnx

from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.contract.fields import FieldError, Fields
from model_ports.loading import converted
from model_ports.loading.adapter import merged
from model_ports.loading.assignment import Assignment, assign_tensors, parameter_shapes
from model_ports.loading.identity import adapter_id, checkpoint_facts, weights_id
from model_ports.loading.names import read_names
from model_ports.loading.tensors import (
    CheckpointError,
    Tensors,
    open_checkpoint,
    read_config,
    refuse_adapter,
    refuse_quantised,
)
from model_ports.port import Reader
from model_ports.tokenizers import Tokenizer, build_tokenizer
from model_ports.tokenizers.character import CharacterTokenizer


def family_config(
    entry: catalog.Entry,
    content: Mapping[str, Any],
    otherwise: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Any, tuple[str, ...]]:
    """Reads the content of a checkpoint's config.json.

    The repositories of some models have a config.json that names the model and no more, as their
    authors' code holds the sizes (Evo 2). Where it shares no field with the catalog's, that counts.

    Args:
        entry: The model.
        content: The content of config.json.
        otherwise: See `Fields`.

    Returns:
        The family's config, and the names of the fields that the family does not know.

    Raises:
        FamilyError: The family is not ported yet.
        CheckpointError: A field is missing or malformed, or asks for what is not computed.
    """
    kind = family(entry.family)
    if entry.config and entry.config.keys().isdisjoint(content):
        logging.warning(
            "model '%s': config.json states nothing of the computation: the sizes are those that "
            "the catalog states of the published model",
            entry.id,
        )
        content = {**content, **entry.config}
    fields = Fields({**content, **entry.unstated}, otherwise)
    try:
        return kind.Config.from_json(fields), fields.unknown(kind.UNUSED)
    except FieldError as error:
        raise CheckpointError(f"model '{entry.id}': {error}") from error


def abstract_model(name: str, config: Any) -> tuple[nnx.GraphDef, nnx.State]:
    """Returns a family's module as structure and shapes, without memory for its parameters."""
    module = nnx.eval_shape(lambda: family(name).Model(config, rngs=nnx.Rngs(0)))
    return nnx.split(module)


@dataclass(frozen=True)
class PlannedCheckpoint(Reader):
    """The reader of a checkpoint folder that was checked, all but the values of its tensors.

    Attributes:
        folder: The checkpoint, of the authors' files or converted.
        graphdef: Structure of the module.
        abstract: Shapes of its parameters.
        weights_id: See `Port`; a converted checkpoint has that of the files it was made from.
        tensors: The authors' tensors; None where the checkpoint is converted.
        assignments: The tensors of each parameter, by dotted path; empty where it is converted.
        equal: Pairs of tensors that must be equal.
    """

    folder: Path
    graphdef: nnx.GraphDef
    abstract: nnx.State
    weights_id: str
    tensors: Tensors | None
    assignments: Mapping[str, Assignment]
    equal: Sequence[tuple[str, str]]


def plan_checkpoint(
    entry: catalog.Entry,
    folder: Path,
    preset: catalog.PresetName = "corrected",
    adapter: Path | None = None,
) -> PlannedCheckpoint:
    """Opens a checkpoint folder and checks all but the values of its tensors.

    Its large files are hashed where they have not been since they changed last, at some hundred
    MB or more a second; without that it takes seconds.

    A conformance fixture (meta.json with `check`) is a checkpoint too, and states the limit of
    its records.

    Args:
        entry: The model.
        folder: A converted checkpoint, or config.json, tokenizer and weight files.
        preset: Preset name.
        adapter: Folder of a LoRA adapter that is merged into the weights; None: there is none.

    Raises:
        CatalogError: The preset cannot be computed.
        FamilyError: The family is not ported yet.
        CheckpointError: The folder's files are missing or do not fit each other.
        TokenizerError: The tokenizer's files are missing or malformed.
    """
    refuse_adapter(folder)
    fields = read_config(folder)
    refuse_quantised(folder, fields)
    config, unknown_fields = family_config(entry, fields)
    graphdef, abstract = abstract_model(entry.family, config)
    shapes = parameter_shapes(abstract)
    tensors, assignments, equal = None, {}, ()
    if converted.is_converted(folder):
        if adapter:
            raise CheckpointError(
                f"{folder}: is converted; an adapter is merged into the authors' files"
            )
        identity = converted.check(folder, entry, shapes)
    else:
        tensors = open_checkpoint(folder)
        tensors = merged(tensors, adapter) if adapter else tensors
        rules = family(entry.family).weights(config)
        described = entry.source["kind"] in (catalog.FOLDER, catalog.REPOSITORY)
        try:
            names = read_names(rules, tensors, every_head=described)
        except CheckpointError as error:
            error.args = (f"{folder}: {error}",)
            raise
        for name in names.needed.values():
            tensors.dtype(name)  # raises where it is not one of weights
        try:
            assignments, equal = assign_tensors(rules, names, tensors, shapes), names.equal
        except CheckpointError as error:
            error.args = (f"{folder}: {error}",)
            raise
        for note in names.notes:
            logging.warning("%s: %s", folder, note)
        identity = weights_id(checkpoint_facts(folder))
        identity += f"+{adapter_id(adapter)}" if adapter else ""
    tokenizer = build_tokenizer(folder, entry.tokenizer)
    return PlannedCheckpoint(
        entry=entry,
        preset=_fitted(entry, _preset_of(entry, preset, folder), config, tokenizer),
        config=config,
        tokenizer=tokenizer,
        unknown_fields=unknown_fields,
        folder=folder,
        graphdef=graphdef,
        abstract=abstract,
        weights_id=identity,
        tensors=tensors,
        assignments=assignments,
        equal=equal,
    )


def _preset_of(entry: catalog.Entry, name: catalog.PresetName, folder: Path) -> catalog.Preset:
    """Returns the preset, with the limit of the fixture where the folder is one."""
    preset = entry.preset(name)
    meta = folder / "meta.json"
    if not meta.is_file():
        return preset
    try:
        check = read_object(meta).get("check")
        if not check or not check.get(name):
            return preset
        limit = check[name]["max_tokens"]
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ValueError(f"max_tokens is {limit!r}")
    except FileError as error:
        raise CheckpointError(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{meta}: states no limit of preset '{name}' as a fixture does ({error!r}); remove "
            "the file where the folder is no fixture"
        ) from error
    return replace(preset, max_tokens=limit)


def _fitted(
    entry: catalog.Entry, preset: catalog.Preset, config: Any, tokenizer: Tokenizer
) -> catalog.Preset:
    """Returns a preset whose windows fit the positions of the checkpoint, where it has windows.

    A smaller checkpoint has shorter windows, with a stride in proportion, instead of such as lose
    their ends. That needs a tokenizer of letters: of others, what is cut is said of the records.
    """
    limits = [limit for limit in (preset.max_tokens, config.max_tokens) if limit is not None]
    if not preset.window or not limits or not isinstance(tokenizer, CharacterTokenizer):
        return preset
    limit, step = min(limits), preset.stride or preset.window
    letters = max(limit - tokenizer.specials, 1)
    if letters >= preset.window:
        return preset
    stride = max(step * letters // preset.window, 1)
    logging.warning(
        "model '%s': the checkpoint takes %d tokens: windows have %d letters, one every %d, "
        "instead of %d, one every %d",
        entry.id, limit, letters, stride, preset.window, step,
    )  # fmt: skip
    return replace(preset, max_tokens=limit, window=letters, stride=stride)


def text_reader(
    entry: catalog.Entry, folder: Path, preset: catalog.PresetName = "corrected"
) -> Reader:
    """Returns the reader of a checkpoint without its weight files, which need not be there.

    Args:
        entry: The model.
        folder: Holds config.json and the tokenizer's files; a fixture states the limit of its
            records, as for `plan_checkpoint`.
        preset: Preset name.

    Raises:
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    config, unknown_fields = family_config(entry, read_config(folder))
    tokenizer = build_tokenizer(folder, entry.tokenizer)
    fitted = _fitted(entry, _preset_of(entry, preset, folder), config, tokenizer)
    return Reader(entry, fitted, config, tokenizer, unknown_fields)
