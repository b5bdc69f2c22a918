"""Local catalogs: a folder with one JSON file a model, of which most can be left out.

A file has the fields of `catalog.Entry` and `folder`, where the checkpoint is (see
`address.parse_address`; relative to the file). What it leaves out is found out by `describe`.
"""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from model_ports import catalog
from model_ports.loading.address import Address, parse_address
from model_ports.loading.hub import describe_address
from model_ports.loading.tensors import CheckpointError

_SHOWN = 60  # letters of a value in an error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _has_a_family(value: Any) -> bool:
    return _is_text(value) and value.isidentifier() and catalog.is_ported(value)


# Each field of a file: what it must be, as a check and in words.
_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "folder": (_is_text, "the path of a checkpoint"),
    "id": (_is_text, "a name"),
    "paper_name": (_is_text, "a name"),
    "family": (_has_a_family, "a module of model_ports.families"),
    "labels": (_is_object, "an object of texts"),
    "labels_paper_v1": (_is_object, "an object of texts"),
    "params": (_is_count, "a whole number above 0"),
    "width": (_is_count, "a whole number above 0"),
    "source": (_is_object, "an object with repo and revision"),
    "licence": (_is_object, "an object with weights and code"),
    "known_defects": (_is_list, "a list of texts"),
    "tokenizer": (lambda v: _is_object(v) and _is_text(v.get("kind")), "an object with kind"),
    "presets": (_is_object, "an object with corrected and published"),
    "config": (_is_object, "the content of a config.json"),
    "unstated": (_is_object, "an object of fields of config.json"),
    "dtype": (lambda v: v in catalog.DTYPES[1:], " or ".join(catalog.DTYPES[1:])),
    "files": (_is_list, "a list of files"),
    "proof": (_is_text, "what the model was compared with"),
}
_PRESET_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_tokens": (lambda v: v is None or _is_count(v), "a whole number above 0, or null"),
    "pooling": (_is_text, "the name of a pooling"),
    "batching": (lambda v: v in catalog.BATCHINGS, " or ".join(catalog.BATCHINGS)),
    "tap": (lambda v: type(v) in (int, str), "the number or the name of a hidden state"),
    "padding_side": (lambda v: v in ("right", "left", "both"), "right, left or both"),
    "masked": (lambda v: isinstance(v, bool), "true or false"),
    "window": (lambda v: v is None or _is_count(v), "a whole number above 0, or null"),
    "stride": (lambda v: v is None or _is_count(v), "a whole number above 0, or null"),
}
# What `presets` says instead of fields.
_PRESET_REASONS = ("same_as_corrected", "unavailable")


class LocalModel(NamedTuple):
    """A model of a local catalog.

    Attributes:
        entry: All that is known of it.
        address: Where its checkpoint is.
    """

    entry: catalog.Entry
    address: Address


def model_files(folder: Path) -> dict[str, Path]:
    """Returns the file of each model of a catalog by its id, which is the file's name unless said.

    Raises:
        CatalogError: A file cannot be read, has no text as `id`, or two have one id.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*.json")):
        model_id = _read(path).get("id", path.stem)
        _check(path, "id", model_id, _FIELDS["id"])
        if model_id in found:
            raise catalog.CatalogError(
                f"{path}: id '{model_id[:_SHOWN]}' is that of {found[model_id].name} too; "
                "change one"
            )
        found[model_id] = path
    return found


def read_model(path: Path, checkpoints_dir: Path | None = None) -> LocalModel:
    """Reads a file of a catalog, and finds out what it leaves out.

    The checkpoint is at `folder`, or in the folder of the id under `checkpoints_dir`, or on the
    hub as `source` says.

    Args:
        path: The file.
        checkpoints_dir: See the config; None: there is none.

    Raises:
        CatalogError: Names a field that is not known or not valid, or there is no checkpoint.
        CheckpointError, TokenizerError, HubError: See `describe` and `describe_repository`; or the
            checkpoint's config.json differs from what the file states of it.
    """
    content = _read(path)
    for name, value in content.items():
        if name not in _FIELDS:
            raise _unknown(path, name, _FIELDS)
        _check(path, name, value, _FIELDS[name])
    for preset, values in content.get("presets", {}).items():
        if preset not in ("corrected", "published"):
            raise _unknown(path, f"presets.{preset}", ("presets.corrected", "presets.published"))
        _check(path, f"presets.{preset}", values, (_is_object, "an object"))
        _check_preset(path, preset, values)
    model_id = content.pop("id", path.stem)
    text, config = content.pop("folder", None), content.pop("config", {})
    content.pop("proof", None)
    if text is None and checkpoints_dir and (checkpoints_dir / model_id).is_dir():
        text = str((checkpoints_dir / model_id).absolute())
    try:
        if text is not None:
            address = parse_address(text, lambda each: path.parent / Path(each).expanduser())
        elif repo := content.get("source", {}).get("repo"):
            address = Address(None, None, str(repo), str(content["source"].get("revision") or ""))
        else:
            raise catalog.CatalogError(
                "folder is missing: say where the checkpoint is, or source.repo and source.revision"
            )
        if not address.folder:
            content.pop("source", None)  # the address says it
        entry = describe_address(address, model_id, content)
        _check_config(entry, config)
        return LocalModel(entry, address)
    except ValueError as error:
        raise type(error)(f"{path}: {error}") from error


def _check_config(entry: catalog.Entry, stated: Mapping[str, Any]) -> None:
    """Checks what a file states of config.json, so that no other size goes under a model's name.

    Raises:
        CheckpointError: Names the field that the checkpoint's config.json has another value of.
    """
    for name, value in stated.items():
        if name in entry.config and entry.config[name] != value:
            raise CheckpointError(
                f"config.json: {name} is {json.dumps(entry.config[name])[:_SHOWN]}, but the "
                f"model '{entry.id}' has {json.dumps(value)[:_SHOWN]}: it is another model's "
                "checkpoint, or remove the field from the catalog's file"
            )


def model_text(entry: catalog.Entry, folder: str | None) -> str:
    """Returns the file of a model for a local catalog, as JSON with all that was found out.

    config.json is left out: it comes with the checkpoint.

    Args:
        entry: What `describe` found.
        folder: Where its checkpoint is; None: on the hub, as the entry's source says.
    """
    of_folder = entry.source["kind"] == catalog.FOLDER
    left_out = {"config", "files", "labels_paper_v1", *(("source",) if of_folder else ())}
    known = {name: value for name, value in asdict(entry).items() if name not in left_out}
    where = {"folder": folder} if folder else {}
    return json.dumps({"id": known.pop("id"), **where, **known}, indent=1, default=dict) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except FileError as error:
        raise catalog.CatalogError(str(error)) from error


def _check_preset(path: Path, preset: str, values: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(catalog.Preset)} | set(_PRESET_REASONS)
    for name, value in values.items():
        if name not in known:
            raise _unknown(
                path, f"presets.{preset}.{name}", [f"presets.{preset}.{n}" for n in known]
            )
        if name in _PRESET_FIELDS:
            _check(path, f"presets.{preset}.{name}", value, _PRESET_FIELDS[name])
    window, stride = values.get("window"), values.get("stride")
    if (window is None) != (stride is None) or (window is not None and stride > window):
        raise catalog.CatalogError(
            f"{path}: presets.{preset}: window is {json.dumps(window)} and stride is "
            f"{json.dumps(stride)}; give both, the stride at most the window"
        )


def _check(path: Path, name: str, value: Any, rule: tuple[Callable[[Any], bool], str]) -> None:
    holds, words = rule
    if not holds(value):
        shown = json.dumps(value)[:_SHOWN]
        raise catalog.CatalogError(f"{path}: {name} is {shown}; it must be {words}")


def _unknown(path: Path, name: str, known: Any) -> catalog.CatalogError:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "remove it"
    return catalog.CatalogError(f"{path}: there is no field {name[:_SHOWN]}; {hint}")
