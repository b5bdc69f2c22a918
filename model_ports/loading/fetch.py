"""The authors' checkpoint files, from the hub at their pinned revisions or put there by hand.

HF_ENDPOINT, HF_HOME and HF_TOKEN count as everywhere.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geneb_jax.files.digests import file_facts, files_under, folder_facts, remember_facts
from geneb_jax.files.json_files import read_object, write_json
from geneb_jax.files.names import is_inside
from geneb_jax.files.texts import FileError
from model_ports import catalog
from model_ports.loading.download import HubError, download
from model_ports.loading.tensors import (
    SAFETENSORS,
    TORCH,
    CheckpointError,
    is_safetensors,
    open_checkpoint,
    weight_files,
)

SOURCE = "source.json"  # in a staged folder: repository, revision, size and SHA-256 of each file
_TEXT_FILES = ["*.json", "*.txt"]
_TOKENIZER_FILES = ["*.model"]  # of SentencePiece
_SAFETENSORS_FILES = [f"*{suffix}" for suffix in SAFETENSORS]
_TORCH_FILES = [f"*{suffix}" for suffix in TORCH]
_HINT = "without a network, copy the files of {} into a folder and name it hf:FOLDER"


def checkpoint_source(entry: catalog.Entry) -> tuple[str, str]:
    """Returns the repository and pinned revision of a model on the hub.

    Raises:
        HubError: Its checkpoint lies elsewhere, or its revision is not known; says how to get it.
    """
    repo, revision = entry.source["repo"], entry.source["revision"]
    if not repo or not revision:
        how = how_to_get(entry.id, entry.source, listed=bool(entry.files))
        raise HubError(f"model '{entry.id}': {how}")
    return repo, revision


def how_to_get(model_id: str, source: Mapping[str, str | None], *, listed: bool = False) -> str:
    """Returns how somebody gets a checkpoint that cannot be fetched, in words.

    Args:
        model_id: The model.
        source: See `catalog.Entry`.
        listed: Whether the catalog lists its files, so that `geneb-jax models fetch` tells of them.
    """
    if listed:
        return (
            f"its checkpoint is not on the hub but at {source['url']}; fetch it by hand "
            f"(`geneb-jax models fetch {model_id} --to DIR` says which files, and checks them) and "
            "name DIR with config.checkpoints_dir"
        )
    by_hand = (
        f"put the files of {source['url']} into DIR/{model_id} and name DIR with "
        "config.checkpoints_dir"
    )
    if not source["repo"]:
        return by_hand
    return f"its revision is not known: {by_hand}, or name NAME=hf:{source['repo']}@REVISION"


def fetch_text_files(entry: catalog.Entry) -> Path:
    """Fetches a model's config and tokenizer files into HF_HOME; returns their folder.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
    """
    repo, revision = checkpoint_source(entry)
    return download(repo, revision, _text_files(entry), hint=_hint(entry))


def fetch_description(repo: str, revision: str) -> Path:
    """Fetches the config and tokenizer files of any repository into HF_HOME; returns their folder.

    Raises:
        HubError: The hub cannot be reached or refuses.
    """
    hint = _HINT.format(repo)
    return download(repo, revision, [*_TEXT_FILES, *_TOKENIZER_FILES], hint=hint)


def fetch_checkpoint(entry: catalog.Entry, folder: Path | None = None) -> Path:
    """Fetches a model's config, tokenizer and weight files; returns their folder.

    PyTorch weight files are fetched only where there are no safetensors.

    Args:
        entry: The model.
        folder: Where the files go; None: into HF_HOME.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
    """
    repo, revision = checkpoint_source(entry)
    texts, hint = _text_files(entry), _hint(entry)
    found = download(repo, revision, texts + _SAFETENSORS_FILES, hint=hint, folder=folder)
    if not any(map(is_safetensors, weight_files(found))):
        found = download(repo, revision, texts + _TORCH_FILES, hint=hint, folder=folder)
    return found


def _text_files(entry: catalog.Entry) -> list[str]:
    return _TEXT_FILES + (_TOKENIZER_FILES if entry.tokenizer["kind"] == "auto" else [])


def _hint(entry: catalog.Entry) -> str:
    if entry.source["kind"] == catalog.REPOSITORY:
        return _HINT.format(entry.source["repo"])
    return (
        f"without a network, run `geneb-jax models fetch {entry.id} --to DIR` where there is "
        "one and name DIR with config.checkpoints_dir"
    )


def stage(entry: catalog.Entry, to: Path) -> Path:
    """Fetches a model's checkpoint into `to`, for use without a network; returns its folder.

    The folder gets its name when it is complete. Where it is there already, its files are compared
    with what was fetched. A checkpoint that is not on the hub is checked where the user has put
    its files.

    Raises:
        HubError: It cannot be fetched, or files that are fetched by hand are missing or differ.
        CheckpointError: A file is not a readable weight file, or is not what was fetched.
    """
    final = to / entry.id
    if (final / SOURCE).is_file():
        _check_staged(final)
    elif entry.files:
        _take_in(entry, final)
    elif final.exists():
        raise HubError(f"{final}: is there without {SOURCE}; remove it or name another folder")
    else:
        repo, revision = checkpoint_source(entry)
        partial = to / f".{entry.id}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        fetch_checkpoint(entry, partial)
        open_checkpoint(partial)
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        facts = _write_source(partial, repo, revision)
        partial.rename(final)
        remember_facts(final, facts)
    return final


def _write_source(folder: Path, repo: str | None, revision: str | None) -> Mapping[str, Any]:
    """Writes source.json; returns the facts of the folder's files, of all but hidden ones."""
    visible = [
        path
        for path in files_under(folder)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    facts = folder_facts(folder, visible)
    write_json(folder / SOURCE, {"repo": repo, "revision": revision, "files": facts})
    return facts


def read_source(folder: Path) -> dict[str, Any]:
    """Returns what source.json says of a staged folder: `repo`, `revision` and `files`.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    try:
        source = read_object(folder / SOURCE)
    except FileError as error:
        raise CheckpointError(f"{error}; remove the folder and fetch it again") from error
    files = source.get("files")
    if not isinstance(files, dict) or not all(map(is_inside, files)):
        raise CheckpointError(
            f"{folder / SOURCE}: does not name the files of the folder; remove it and fetch again"
        )
    return source


def _check_staged(folder: Path) -> None:
    files = read_source(folder)["files"]
    found = folder_facts(folder, [folder / name for name in files if (folder / name).is_file()])
    for name, facts in files.items():
        if found.get(name) != facts:
            raise CheckpointError(f"{folder / name}: is not the file that was fetched")


def _take_in(entry: catalog.Entry, folder: Path) -> None:
    """Checks files that were fetched by hand, and adds the config where there is none."""
    problems = []
    for file in entry.files:
        path = folder / file["to"]
        words = f"{path}: {{}}; fetch '{file['name']}' from {file['at']} ({file['size']:,} bytes)"
        if not path.is_file():
            problems.append(words.format("missing"))
            continue
        size = path.stat().st_size
        if size != file["size"]:
            problems.append(words.format(f"has {size:,} bytes"))
        elif file["sha256"] and file_facts(path)["sha256"] != file["sha256"]:
            problems.append(words.format("its SHA-256 is not the published file's"))
    if problems:
        raise HubError(f"some files are fetched by hand: {'; '.join(problems)}")
    if not any(file["to"] == "config.json" for file in entry.files):
        text = json.dumps(entry.config, indent=1) + "\n"  # the authors have it in their code
        (folder / "config.json").write_text(text, encoding="utf-8")
    open_checkpoint(folder)
    _write_source(folder, None, None)
