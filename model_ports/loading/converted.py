"""Converted checkpoints: an Orbax checkpoint of a port's parameters, and a manifest of its files.

DIR/manifest.json     what it was made from, its parameters, and size and SHA-256 of every file
DIR/params/           Orbax checkpoint, the parameters by path; one Zarr array each
DIR/config.json, ...  the authors' config and tokenizer files
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
from flax import nnx, traverse_util

from geneb_jax.files.digests import files_under, folder_facts
from geneb_jax.files.json_files import read_object
from geneb_jax.files.names import is_inside
from geneb_jax.files.texts import FileError
from model_ports.catalog import FOLDER, Entry
from model_ports.loading.assignment import Assignment, cast_dtype, fill_state, parameter_shapes
from model_ports.loading.identity import weights_id
from model_ports.loading.tensors import CheckpointError, Tensors, unfit

MANIFEST = "manifest.json"
PARAMS = "params"
FORMAT = 1  # version of the folder's layout; others are refused
_SHOWN = 100  # letters of a value that is wrong
_CHUNK_BYTES = 64 * 2**20  # a chunk is a file: few files, and slices that a mesh reads alone


def is_converted(folder: Path) -> bool:
    """Tells whether a checkpoint folder holds a converted checkpoint."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest.

    Raises:
        CheckpointError: It is missing, malformed or of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = read_object(path)
    except FileError as error:
        raise CheckpointError(f"{error}; not a readable manifest: convert again") from error
    if manifest.get("format", FORMAT) != FORMAT:
        raise CheckpointError(
            f"{path}: format {str(manifest['format'])[:_SHOWN]}, but this version reads {FORMAT}"
        )
    try:
        outside = [name for name in map(str, manifest["files"]) if not is_inside(name)]
        for facts in manifest["files"].values():
            dict(facts)
        for name in ("format", "model"):
            manifest[name]
        source_id(manifest)
        for facts in manifest["parameters"].values():
            tuple(map(int, facts["shape"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = repr(error)[:_SHOWN]
        raise CheckpointError(
            f"{path}: not a readable manifest: {reason}; convert again"
        ) from error
    if outside:
        raise CheckpointError(f"{path}: '{outside[0][:_SHOWN]}' is a file outside its folder")
    return manifest


def check(folder: Path, entry: Entry, shapes: Mapping[str, Sequence[int]]) -> str:
    """Checks a converted checkpoint: that it holds this model, and that every byte is as written.

    Args:
        folder: The converted checkpoint.
        entry: The model that it should hold. One that was described from a folder may have been
            called otherwise when it was converted.
        shapes: Shape of each parameter of the port, by dotted path.

    Returns:
        The `weights_id` of the files that it was made from.

    Raises:
        CheckpointError: It holds another model or other parameters, or a file is not the
            manifest's.
    """
    manifest = read_manifest(folder)
    if manifest["model"] != entry.id and entry.source["kind"] != FOLDER:
        held = str(manifest["model"])[:_SHOWN]
        raise CheckpointError(f"{folder}: holds model '{held}', not '{entry.id}'")
    check_parameters(folder, manifest, shapes)
    check_files(folder, manifest)
    return source_id(manifest)


def source_id(manifest: Mapping[str, Any]) -> str:
    """Returns the `weights_id` of the files that a converted checkpoint was made from.

    It is computed from the digests of these files. The field `weights_id` of the manifest is for
    people: older versions wrote one that did not count all bytes.
    """
    return weights_id(manifest["source"]["files"])


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compares the files with the manifest: first their sizes, then their contents.

    Large files are read where they have not been since they changed last.

    Args:
        folder: The converted checkpoint.
        manifest: Its manifest.

    Raises:
        CheckpointError: A file is missing, cannot be read, is not the manifest's, or stands in
            the Orbax checkpoint without being named.
    """
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path}: missing; {MANIFEST} names it: convert again")
        size = path.stat().st_size
        if size != facts.get("size"):
            raise CheckpointError(
                f"{path}: {size} bytes, but {MANIFEST} says {facts.get('size')}: convert again"
            )
    for path in files_under(folder / PARAMS):
        # macOS puts a `._` file beside each file that it copies to some file systems.
        hidden = path.name.startswith("._")
        if not hidden and path.relative_to(folder).as_posix() not in manifest["files"]:
            raise CheckpointError(f"{path}: {MANIFEST} does not name it: convert again")
    try:
        found = folder_facts(folder, [folder / name for name in manifest["files"]])
    except OSError as error:
        raise CheckpointError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for name, facts in manifest["files"].items():
        if found[name]["sha256"] != facts.get("sha256"):
            raise CheckpointError(
                f"{folder / name}: its contents are not those {MANIFEST} names: convert again"
            )


def check_parameters(
    folder: Path, manifest: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]
) -> None:
    """Compares the manifest's parameters with those of the port.

    Raises:
        CheckpointError: Names parameters that are missing, left over or of another shape.
    """
    stored = {path: tuple(facts["shape"]) for path, facts in manifest["parameters"].items()}
    wanted = {path: tuple(shape) for path, shape in shapes.items()}
    errors = [
        f"parameter '{path}' is {_shown(stored, path)}, but the port has {_shown(wanted, path)}"
        for path in sorted(stored.keys() | wanted.keys())
        if stored.get(path) != wanted.get(path)
    ]
    if errors:
        words = "the checkpoint does not fit the port and is to be converted again"
        raise unfit(f"{folder / MANIFEST}: {words}", errors)


def _shown(shapes: Mapping[str, tuple[int, ...]], path: str) -> str:
    return str(list(shapes[path])) if path in shapes else "absent"


def create_orbax(folder: Path, paths: Sequence[str]) -> None:
    """Writes an Orbax checkpoint that names these parameters, each one number to be overwritten."""
    tree = traverse_util.unflatten_dict({path: np.zeros(1, np.float32) for path in paths}, sep=".")
    with ocp.Checkpointer(_handler()) as checkpointer:
        checkpointer.save(folder.absolute(), args=ocp.args.PyTreeSave(tree))


def _handler() -> ocp.PyTreeCheckpointHandler:
    return ocp.PyTreeCheckpointHandler(use_ocdbt=False)


def stored_dtype(tensors: Tensors, assignment: Assignment) -> np.dtype:
    """Returns the dtype that holds a parameter's tensors as they are stored."""
    return np.result_type(*{tensors.dtype(source) for source in assignment.sources})


def write_parameter(folder: Path, name: str, tensors: Tensors, assignment: Assignment) -> None:
    """Overwrites a parameter of the Orbax checkpoint, one of its tensors in memory at a time.

    Raises:
        CheckpointError: A tensor holds a NaN or an infinity, or it cannot be written.
    """
    dtype = stored_dtype(tensors, assignment)
    inner = assignment.shape[len(assignment.stack) :]
    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": str((folder / PARAMS / name).absolute())},
        "metadata": {
            "compressor": None,
            "chunks": [1] * len(assignment.stack) + _chunk(inner, dtype.itemsize),
        },
    }
    row = np.empty(inner, dtype)
    try:
        array = ts.open(
            spec, create=True, delete_existing=True, dtype=dtype, shape=assignment.shape
        )
        store = array.result()
        for index, source in zip(np.ndindex(*assignment.stack), assignment.sources, strict=True):
            tensors.read_row(source, assignment.layout, row)
            store[index].write(row).result()
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:  # tensorstore raises ValueError where writing fails
        raise CheckpointError(
            f"{folder / PARAMS / name}: cannot be written: {str(error).splitlines()[0]}"
        ) from error


def _chunk(shape: Sequence[int], itemsize: int) -> list[int]:
    """Returns a chunk shape of at most `_CHUNK_BYTES`, cut along the first axes."""
    chunk = [max(1, length) for length in shape]
    for axis in range(len(chunk)):
        while chunk[axis] > 1 and np.prod(chunk, dtype=int) * itemsize > _CHUNK_BYTES:
            chunk[axis] = -(-chunk[axis] // 2)
    return chunk


def restore(
    folder: Path,
    abstract: nnx.State,
    dtype: Any,
    float32: Sequence[str] = (),
    shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> nnx.State:
    """Restores a converted checkpoint straight into its shardings.

    Args:
        folder: The converted checkpoint, checked.
        abstract: State of the module built under `nnx.eval_shape`.
        dtype: Parameters are cast to it.
        float32: Patterns of the paths of parameters that stay float32.
        shardings: Where each parameter goes, by dotted path; None: the default device.

    Raises:
        CheckpointError: Orbax cannot read it.
    """
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = {
        name: jax.ShapeDtypeStruct(
            shape,
            cast_dtype(name, dtype, float32),
            sharding=shardings[name] if shardings else here,
        )
        for name, shape in parameter_shapes(abstract).items()
    }
    # The shardings are of this process's devices: it does not wait for others to restore too.
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=str(process)
    )
    tree = traverse_util.unflatten_dict(target, sep=".")
    arguments = ocp.args.PyTreeRestore(
        item=tree, restore_args=ocp.checkpoint_utils.construct_restore_args(tree)
    )
    try:
        with ocp.Checkpointer(_handler(), multiprocessing_options=alone) as checkpointer:
            restored = checkpointer.restore((folder / PARAMS).absolute(), args=arguments)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder / PARAMS}: not readable: {error}") from error
    return fill_state(abstract, traverse_util.flatten_dict(restored, sep="."))
