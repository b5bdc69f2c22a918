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

from geneb_jax.files.digests import file_facts, folder_facts
from geneb_jax.files.json_files import write_json
from model_ports import catalog
from model_ports.loading import converted
from model_ports.loading.fetch import SOURCE
from model_ports.loading.planned import PlannedCheckpoint, plan_checkpoint
from model_ports.loading.tensors import CheckpointError, fingerprint

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
    weights_id = f"sha256:{fingerprint(source)}" if source.is_dir() else ""
    if final.exists():
        return _already_there(final, weights_id), False
    planned = plan_checkpoint(model_id, source)
    if planned.tensors is None:
        raise CheckpointError(f"{source}: is converted already; --source takes the authors' files")
    dtypes = {
        name: converted.stored_dtype(planned.tensors, assignment)
        for name, assignment in planned.assignments.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out / f".{model_id}.lock"):
        partial = out / f".{model_id}.partial"
        done = _resume(partial, weights_id, planned)
        _check_room(out, planned, dtypes, done)
        for count, (name, assignment) in enumerate(planned.assignments.items(), start=1):
            if name not in done:
                converted.write_parameter(partial, name, planned.tensors, assignment)
                done.append(name)
                write_json(partial / _PROGRESS, {"weights_id": weights_id, "done": done})
            progress(name, count, len(planned.assignments))
        for path in _side_files(source):
            shutil.copyfile(path, partial / path.name)
        for path in partial.glob(f"{_PROGRESS}*"):  # also what a killed write has left
            path.unlink()
        manifest = _manifest(entry, source, weights_id, planned, dtypes)
        write_json(partial / converted.MANIFEST, manifest | {"files": folder_facts(partial)})
        partial.rename(final)
    return final, True


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


def _resume(partial: Path, weights_id: str, planned: PlannedCheckpoint) -> list[str]:
    """Returns the parameters that an interrupted conversion of the same files has written."""
    path = partial / _PROGRESS
    if path.is_file():
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["weights_id"] == weights_id and set(state["done"]) <= set(planned.assignments):
            return state["done"]
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    converted.create_orbax(partial / converted.PARAMS, list(planned.assignments))
    write_json(path, {"weights_id": weights_id, "done": []})
    return []


def _check_room(
    out: Path, planned: PlannedCheckpoint, dtypes: dict[str, np.dtype], done: list[str]
) -> None:
    missing = [name for name in planned.assignments if name not in done]
    wanted = _SPARE + sum(
        int(np.prod(planned.assignments[name].shape, dtype=np.int64)) * dtypes[name].itemsize
        for name in missing
    )
    free = shutil.disk_usage(out).free
    if free < wanted:
        raise CheckpointError(
            f"{out}: {free / 1e9:.1f} GB are free, but {wanted / 1e9:.1f} GB are needed"
        )


def _side_files(source: Path) -> list[Path]:
    """Returns the config and the tokenizer files, and the meta.json of a fixture."""
    return sorted(
        path
        for path in source.iterdir()
        if path.is_file()
        and path.suffix in (".json", ".txt", ".model")
        and not path.name.endswith(".index.json")
        and path.name not in (SOURCE, converted.MANIFEST)
    )


def _manifest(
    entry: catalog.Entry,
    source: Path,
    weights_id: str,
    planned: PlannedCheckpoint,
    dtypes: dict[str, np.dtype],
) -> dict[str, Any]:
    fetched: dict[str, Any] = {"repo": None, "revision": None}
    if (source / SOURCE).is_file():
        fetched = json.loads((source / SOURCE).read_text(encoding="utf-8"))
    assert planned.tensors is not None
    paths = {stored.path for stored in planned.tensors.stored.values()}
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
            "files": {p.name: file_facts(p) for p in sorted([*paths, *side])},
        },
        "licence": dict(entry.licence),
        "dtype": sorted({str(dtype) for dtype in dtypes.values()}),
        "tokenizer_files": [p.name for p in side if p.name not in ("config.json", "meta.json")],
        "parameters": {
            name: {"shape": list(assignment.shape), "dtype": str(dtypes[name])}
            for name, assignment in planned.assignments.items()
        },
    }


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
