"""From the authors' files to a converted checkpoint: bounded memory, resumable, all or nothing."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.constants import HF_HOME

from model_ports import catalog, checkpoint, converted
from model_ports.checkpoint import CheckpointError
from model_ports.fetch import SOURCE, checkpoint_source, fetch_checkpoint, fetch_text_files
from model_ports.port import Fit, Reader, check_port, fit_checkpoint, text_reader

_PROGRESS = "progress.json"
_SPARE = 64 * 2**20  # bytes beyond the parameters: config, tokenizer, metadata

# Told each parameter's path, how many are done and how many there are.
Progress = Callable[[str, int, int], None]


def convert(
    model_id: str, source: Path, out: Path, progress: Progress = lambda *_: None
) -> tuple[Path, bool]:
    """Converts a checkpoint folder of the authors' files.

    Parameters keep the dtype in which they are stored. One tensor at a time is in memory. Work
    goes to a hidden folder of `out`, is taken up again after an interruption, and gets the final
    name when it is whole.

    Args:
        model_id: Model of the catalog.
        source: Folder with config.json, tokenizer and weight files.
        out: Gets the folder `model_id`.
        progress: Called after each parameter.

    Returns:
        The converted folder, and whether anything was done: False where it was already there,
        made from the same files, and every byte of it is as it was written.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The source does not fit the port, the
            target holds something else, or the disk has no room.
    """
    entry = catalog.get(model_id)
    final = out / model_id
    weights_id = f"sha256:{checkpoint.fingerprint(source)}" if source.is_dir() else ""
    if final.exists():
        return _already_there(final, weights_id), False
    fit = fit_checkpoint(entry, source)
    if fit.tensors is None:
        raise CheckpointError(f"{source}: is converted already; --source takes the authors' files")
    dtypes = {name: converted.stored_dtype(fit.tensors, fill) for name, fill in fit.fills.items()}
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out / f".{model_id}.lock"):
        partial = out / f".{model_id}.partial"
        done = _resume(partial, weights_id, fit)
        _check_room(out, fit, dtypes, done)
        for count, (name, fill) in enumerate(fit.fills.items(), start=1):
            if name not in done:
                converted.write_parameter(partial, name, fit.tensors, fill)
                done.append(name)
                _write_json(partial / _PROGRESS, {"weights_id": weights_id, "done": done})
            progress(name, count, len(fit.fills))
        for path in _side_files(source):
            shutil.copyfile(path, partial / path.name)
        (partial / _PROGRESS).unlink()
        manifest = _manifest(entry, source, weights_id, fit, dtypes)
        _write_json(partial / converted.MANIFEST, manifest | _files(partial))
        partial.rename(final)
    return final, True


def converted_checkpoint(model_id: str) -> Path:
    """Returns the converted checkpoint of a model on the hub, fetched and converted on first use.

    It is kept in HF_HOME, by revision; later uses need no network.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, CheckpointError, TokenizerError: See `convert`.
    """
    folder = _converted_folder(model_id)
    if not converted.is_converted(folder):
        convert(model_id, fetch_checkpoint(model_id), folder.parent)
    return folder


def check_hub_checkpoint(model_id: str, preset: catalog.PresetName) -> Reader:
    """Checks what is there of a model on the hub before its weights are fetched.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, CheckpointError, TokenizerError: See `convert`.
    """
    folder = _converted_folder(model_id)
    if converted.is_converted(folder):
        return check_port(model_id, folder, preset)
    return text_reader(model_id, fetch_text_files(model_id), preset)


def _converted_folder(model_id: str) -> Path:
    _, revision = checkpoint_source(model_id)
    return Path(HF_HOME) / "geneb_jax" / revision / model_id


def _already_there(final: Path, weights_id: str) -> Path:
    if not converted.is_converted(final):
        raise CheckpointError(f"{final}: is there and is no converted checkpoint; name another out")
    manifest = converted.read_manifest(final)
    if manifest["weights_id"] != weights_id:
        raise CheckpointError(
            f"{final}: was converted from other files; remove it to convert these"
        )
    converted.check_files(final, manifest, whole=True)
    return final


def _resume(partial: Path, weights_id: str, fit: Fit) -> list[str]:
    """Returns the parameters that an interrupted conversion of the same files has written."""
    path = partial / _PROGRESS
    if path.is_file():
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["weights_id"] == weights_id and set(state["done"]) <= set(fit.fills):
            return state["done"]
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    converted.create_orbax(partial / converted.PARAMS, list(fit.fills))
    _write_json(path, {"weights_id": weights_id, "done": []})
    return []


def _check_room(out: Path, fit: Fit, dtypes: dict[str, np.dtype], done: list[str]) -> None:
    missing = [name for name in fit.fills if name not in done]
    wanted = _SPARE + sum(
        int(np.prod(fit.fills[name].shape, dtype=np.int64)) * dtypes[name].itemsize
        for name in missing
    )
    free = shutil.disk_usage(out).free
    if free < wanted:
        raise CheckpointError(
            f"{out}: {free / 1e9:.1f} GB are free, but {wanted / 1e9:.1f} GB are needed"
        )


def _side_files(source: Path) -> list[Path]:
    """Config and tokenizer files, and a fixture's meta.json."""
    return sorted(
        path
        for path in source.iterdir()
        if path.is_file()
        and path.suffix in (".json", ".txt", ".model")
        and not path.name.endswith(".index.json")
        and path.name not in (SOURCE, converted.MANIFEST)
    )


def _manifest(
    entry: catalog.Entry, source: Path, weights_id: str, fit: Fit, dtypes: dict[str, np.dtype]
) -> dict[str, Any]:
    fetched: dict[str, Any] = {"repo": None, "revision": None}
    if (source / SOURCE).is_file():
        fetched = json.loads((source / SOURCE).read_text(encoding="utf-8"))
    assert fit.tensors is not None
    paths = {stored.path for stored in fit.tensors.stored.values()}
    side = _side_files(source)
    return {
        "format": converted.FORMAT,
        "port_version": metadata.version("geneb-jax"),
        "model": entry.id,
        "family": entry.family,
        "weights_id": weights_id,
        "source": {
            "repo": fetched["repo"],
            "revision": fetched["revision"],
            "published": dict(entry.source),
            "files": {p.name: converted.file_facts(p) for p in sorted([*paths, *side])},
        },
        "licence": dict(entry.licence),
        "dtype": sorted({str(dtype) for dtype in dtypes.values()}),
        "tokenizer_files": [p.name for p in side if p.name not in ("config.json", "meta.json")],
        "parameters": {
            name: {"shape": list(fill.shape), "dtype": str(dtypes[name])}
            for name, fill in fit.fills.items()
        },
    }


def _files(partial: Path) -> dict[str, Any]:
    return {"files": converted.folder_facts(partial)}


def _write_json(path: Path, content: Any) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock file, so that two conversions of a model do not write into each other.

    Raises:
        CheckpointError: Another process holds it.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"{path}: another conversion of this model runs") from None
        try:
            yield
        finally:
            path.unlink()
