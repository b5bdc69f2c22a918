"""From the authors' files to a converted checkpoint: bounded memory, resumable, all or nothing."""

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from geneb_jax.files.digests import files_under, folder_facts, remember_facts
from geneb_jax.files.json_files import read_object, write_json
from geneb_jax.files.sizes import shown_size
from geneb_jax.files.texts import FileError
from model_ports import catalog
from model_ports.contract.fields import unknown_text
from model_ports.loading import converted
from model_ports.loading.identity import checkpoint_facts, text_files, weights_id
from model_ports.loading.origin import recorded_origin
from model_ports.loading.planned import PlannedCheckpoint, plan_checkpoint
from model_ports.loading.tensors import CheckpointError, check_equal

_PROGRESS = "progress.json"
# What a file system without locks says where one is asked for.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_SPARE = 64 * 2**20  # bytes beyond the parameters: config, tokenizer, metadata

# Told each parameter's path, how many are done and how many there are.
Progress = Callable[[str, int, int], None]


def convert(
    entry: catalog.Entry, source: Path, out: Path, progress: Progress = lambda *_: None
) -> tuple[Path, bool]:
    """Converts a checkpoint folder of the authors' files.

    Parameters keep the dtype in which they are stored. One tensor at a time is in memory. Work
    goes to a hidden folder of `out`, is taken up again after an interruption, and gets the final
    name when it is whole.

    Args:
        entry: The model.
        source: Folder with config.json, tokenizer and weight files.
        out: Gets a folder of the model's id.
        progress: Called after each parameter.

    Returns:
        The converted folder, and whether anything was done: False where it was already there,
        made from the same files, and every byte of it is as it was written.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The source does not fit the port, the
            target holds something else, or the disk has no room.
    """
    final = out / entry.id
    source_facts = checkpoint_facts(source) if source.is_dir() else {}
    identity = weights_id(source_facts)
    if final.exists():
        return _already_there(final, identity), False
    planned = plan_checkpoint(entry, source)
    if planned.unknown_fields:
        logging.warning("model '%s': %s", entry.id, unknown_text(planned.unknown_fields))
    if planned.tensors is None:
        raise CheckpointError(f"{source}: is converted already; --source takes the authors' files")
    dtypes = {
        name: converted.stored_dtype(planned.tensors, assignment)
        for name, assignment in planned.assignments.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out / f".{entry.id}.lock"):
        if final.exists():  # another process has made it in the meantime
            return _already_there(final, identity), False
        partial = out / f".{entry.id}.partial"
        done = _resume(partial, identity, planned)
        _check_room(out, planned, dtypes, done)
        check_equal(planned.tensors, planned.equal)
        for count, (name, assignment) in enumerate(planned.assignments.items(), start=1):
            if name not in done:
                converted.write_parameter(partial, name, planned.tensors, assignment)
                done.append(name)
                write_json(partial / _PROGRESS, {"weights_id": identity, "done": done})
            progress(name, count, len(planned.assignments))
        for path in text_files(source):
            shutil.copyfile(path, partial / path.name)
        for path in partial.glob(f"{_PROGRESS}*"):  # also what a killed write has left
            path.unlink()
        manifest = _manifest(entry, source, source_facts, planned, dtypes)
        facts = folder_facts(partial, files_under(partial))
        write_json(partial / converted.MANIFEST, manifest | {"files": facts})
        partial.rename(final)
    remember_facts(final, facts)
    return final, True


def _already_there(final: Path, identity: str) -> Path:
    if not converted.is_converted(final):
        raise CheckpointError(f"{final}: is there and is no converted checkpoint; name another out")
    manifest = converted.read_manifest(final)
    if converted.source_id(manifest) != identity:
        raise CheckpointError(
            f"{final}: was converted from other files; remove it to convert these"
        )
    converted.check_files(final, manifest)
    return final


def _resume(partial: Path, identity: str, planned: PlannedCheckpoint) -> list[str]:
    """Returns the parameters that an interrupted conversion of the same files has written."""
    path = partial / _PROGRESS
    done = _finished(path, identity) if path.exists() else None
    if done is not None and done <= set(planned.assignments):
        return sorted(done)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    converted.create_orbax(partial / converted.PARAMS, list(planned.assignments))
    write_json(path, {"weights_id": identity, "done": []})
    return []


def _finished(path: Path, identity: str) -> set[str] | None:
    """Returns the parameters that are written; None: of other files, or it is not known."""
    try:
        state = read_object(path)
    except FileError as error:
        logging.warning("%s; the conversion starts anew", error)
        return None
    done = state.get("done")
    if state.get("weights_id") != identity or not isinstance(done, list):
        return None
    return set(done) if all(isinstance(name, str) for name in done) else None


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
            f"{out}: {shown_size(free)} are free, but {shown_size(wanted)} are needed"
        )


def _manifest(
    entry: catalog.Entry,
    source: Path,
    source_facts: Mapping[str, Any],
    planned: PlannedCheckpoint,
    dtypes: dict[str, np.dtype],
) -> dict[str, Any]:
    return {
        "format": converted.FORMAT,
        "port_version": metadata.version("geneb-jax"),
        "model": entry.id,
        "family": entry.family,
        "weights_id": weights_id(source_facts),
        "source": {
            **recorded_origin(source, source_facts)._asdict(),
            "published": dict(entry.source),
            "files": dict(source_facts),
        },
        "licence": dict(entry.licence),
        "dtype": sorted({str(dtype) for dtype in dtypes.values()}),
        "tokenizer_files": [
            path.name
            for path in text_files(source)
            if path.name not in ("config.json", "meta.json")
        ],
        "parameters": {
            name: {"shape": list(assignment.shape), "dtype": str(dtypes[name])}
            for name, assignment in planned.assignments.items()
        },
    }


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock file, so that two conversions of a model do not write into each other.

    On a file system without locks, such as some NFS and FUSE mounts, a file that is there while
    the conversion runs stands for one.

    Raises:
        CheckpointError: Another process holds it, or it cannot be written.
    """
    lock: BaseFileLock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            path.unlink(missing_ok=True)
            marker = path.with_suffix(".running")
            logging.warning(
                "%s: the file system has no locks; %s stands for one: remove it where a "
                "conversion was killed", path.parent, marker.name
            )  # fmt: skip
            lock = SoftFileLock(marker)
            lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(f"{lock.lock_file}: another conversion of this model runs") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield
        # Whoever waits for the file finds a finished conversion, and needs no lock.
        with suppress(OSError):  # Windows does not remove a file that is open
            path.unlink()
    finally:
        lock.release()
