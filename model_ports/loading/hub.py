"""The checkpoints of models on the hub, which are converted on first use and stay in HF_HOME."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from huggingface_hub.constants import HF_HOME

from model_ports import catalog
from model_ports.loading.address import Address
from model_ports.loading.convert import convert
from model_ports.loading.converted import is_converted
from model_ports.loading.describe import describe
from model_ports.loading.download import HubError, current_revision, downloaded
from model_ports.loading.fetch import (
    checkpoint_source,
    fetch_checkpoint,
    fetch_description,
    fetch_text_files,
)
from model_ports.loading.planned import plan_checkpoint, text_reader
from model_ports.loading.tensors import CheckpointError, weight_files
from model_ports.port import Reader
from model_ports.tokenizers import TokenizerError

_COMMIT = re.compile("[0-9a-f]{40}")
_SHOWN = 60  # letters of a revision in an error


def check_hub_checkpoint(entry: catalog.Entry, preset: catalog.PresetName) -> Reader:
    """Checks what is there of a model on the hub before its weights are fetched.

    Args:
        entry: The model.
        preset: Preset name.

    Returns:
        A `PlannedCheckpoint` where the checkpoint was fetched and converted before; otherwise the
        reader of its config and tokenizer files, which are fetched.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    folder = _converted_folder(entry)
    if is_converted(folder):
        return plan_checkpoint(entry, folder, preset)
    return text_reader(entry, fetch_text_files(entry), preset)


def describe_address(
    address: Address, name: str, stated: Mapping[str, Any] = MappingProxyType({})
) -> catalog.Entry:
    """Returns the entry of the model at an address; see `describe` and `describe_repository`.

    Args:
        address: Its folder or repository. What is said of it is said of the base of an adapter.
        name: What the model is called.
        stated: See `describe`.

    Raises:
        CheckpointError, TokenizerError, HubError: The files do not say how the model is computed,
            or cannot be fetched.
    """
    if address.folder:
        return describe(address.folder, name, stated)
    return describe_repository(address.repo, address.revision, name, stated)


def describe_repository(
    repo: str, revision: str, name: str, stated: Mapping[str, Any] = MappingProxyType({})
) -> catalog.Entry:
    """Returns the entry of a model on the hub that need not be one of the catalog.

    Its config and tokenizer files are fetched into HF_HOME.

    Args:
        repo: The repository, ORG/NAME.
        revision: Its commit, 40 hexadecimal digits.
        name: What the model is called.
        stated: See `describe`.

    Raises:
        HubError: The revision is not a commit (says which one is current), or the hub cannot be
            reached or refuses.
        CheckpointError, TokenizerError: See `describe`.
    """
    if not _COMMIT.fullmatch(revision):
        given = f"'{revision[:_SHOWN]}' is not a commit" if revision else "no revision is given"
        current = current_revision(repo)
        found = f"{current} is current" if current else "add one, of 40 digits"
        raise HubError(
            f"{repo}: no such folder, and of a repository on the hub {given}; {found}, as in "
            f"hf:{repo}@{current or 'REVISION'}"
        )
    folder = fetch_description(repo, revision)
    try:
        entry = describe(folder, name, stated)
    except ValueError as error:
        raise type(error)(str(error).replace(str(folder), f"{repo}@{revision[:8]}")) from error
    url = f"https://huggingface.co/{repo}"
    source = {"kind": catalog.REPOSITORY, "repo": repo, "revision": revision, "url": url}
    return replace(entry, source=source)


def converted_checkpoint(entry: catalog.Entry) -> Path:
    """Returns the converted checkpoint of a model on the hub, fetched and converted on first use.

    It stays in HF_HOME, by revision: later uses need no network.

    Args:
        entry: The model.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, CheckpointError, TokenizerError: See `convert`.
    """
    folder = _converted_folder(entry)
    if not is_converted(folder):
        convert(entry, fetch_checkpoint(entry), folder.parent)
    return folder


def checkpoint_there(
    entry: catalog.Entry, preset: catalog.PresetName
) -> tuple[Reader | None, bool]:
    """Returns what is there already of a model's checkpoint on the hub; fetches nothing.

    Args:
        entry: The model.
        preset: Preset name.

    Returns:
        A `PlannedCheckpoint` where the checkpoint was converted before, else the reader of its
        config and tokenizer files, None where these were not fetched; and whether the weights
        were fetched.

    Raises:
        HubError: The model is not on the hub.
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    folder = _converted_folder(entry)
    if is_converted(folder):
        return plan_checkpoint(entry, folder, preset), True
    found = downloaded(*checkpoint_source(entry))
    if found is None:
        return None, False
    try:
        reader = text_reader(entry, found, preset)
    except (CheckpointError, TokenizerError):  # not all of the files have come
        return None, False
    return reader, bool(weight_files(found))


def _converted_folder(entry: catalog.Entry) -> Path:
    _, revision = checkpoint_source(entry)
    return Path(HF_HOME) / "geneb_jax" / revision / entry.id
