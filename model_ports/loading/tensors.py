"""The weight files of a checkpoint folder: the authors' tensors by name; and its config."""

# pyright: reportMissingImports=false

import fnmatch
import functools
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from safetensors import safe_open

from geneb_jax.files.json_files import read_object, unique_names
from geneb_jax.files.texts import FileError
from model_ports.contract.weights import Layout

# By format, the preferred one first: how names of weight files end, in any case.
SAFETENSORS = (".safetensors",)
TORCH = (".bin", ".pt", ".pth", ".ckpt")

ADAPTER_CONFIG = "adapter_config.json"  # of a folder that PEFT wrote

# What the Trainer of transformers and accelerate save beside the weights.
_TRAINING_STATE = (
    "optimizer*", "scheduler*", "scaler*", "sampler*", "training_args*", "rng_state*",
    "dl_state_dict*",
)  # fmt: skip

WEIGHT_DTYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": jnp.bfloat16,
    "float64": np.float64,
}

# What a stored number is called in the formats where it is an index or a scaled integer.
_QUANTISED = re.compile(r"u?int[48]|[iu][48]|q[u]?int.*|f(loat)?[468]_.*", re.IGNORECASE)
_LETTERS = 300  # of a library's message
_PART = re.compile(r"(.+)\.part\d+")  # a piece of a file, cut where it became too long for a host
# What stands at the beginning of files that are no weights, and what to do.
_STRANGERS = {
    b"version https://git-lfs": "it is a pointer of git-lfs; fetch the file with `git lfs pull`",
    b"<!doctype": "it is a web page; fetch the file itself",
    b"<html": "it is a web page; fetch the file itself",
}
_DEEPEST = 32  # objects and lists in one another in a config.json

_SAFETENSORS_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


_DEQUANTISE = "save the model dequantised (`model.dequantize().save_pretrained(...)`)"


class CheckpointError(ValueError):
    """Raised for a checkpoint that is missing, incomplete or does not fit its config."""


_LISTED = 3  # differences of a checkpoint that its error names; the others are counted


def unfit(text: str, differences: Sequence[str]) -> CheckpointError:
    """Returns the error of a checkpoint that differs from what it should be.

    Args:
        text: What does not fit, and what is to be done.
        differences: All of them. The error names the first in its line; all are in its notes,
            which tracebacks show.
    """
    listed = "; ".join(differences[:_LISTED])
    more = len(differences) - _LISTED
    error = CheckpointError(f"{text}: {listed}{f'; and {more} more' if more > 0 else ''}")
    if more > 0:
        error.add_note("\n".join(["all of them:", *differences]))
    return error


@dataclass(frozen=True)
class Stored:
    """A tensor in a weight file.

    Attributes:
        shape: Its shape.
        dtype: Its dtype as the file's format names it, such as 'float32', 'bfloat16' or 'int64'.
        path: The file.
        read: Reads it in its stored dtype (bfloat16 as ml_dtypes has it).
    """

    shape: tuple[int, ...]
    dtype: str
    path: Path
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Tensors(Mapping[str, tuple[int, ...]]):
    """The tensors of a checkpoint folder: shapes by name, contents on request."""

    stored: Mapping[str, Stored]

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self.stored[name].shape

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def dtype(self, name: str) -> np.dtype:
        """Returns a tensor's dtype.

        Raises:
            CheckpointError: It is not one that weights have.
        """
        found = self.stored[name]
        if found.dtype not in WEIGHT_DTYPES:
            quantised = _QUANTISED.fullmatch(found.dtype)
            raise CheckpointError(
                f"{found.path}: tensor '{name}' is {found.dtype}; "
                f"weights are {', '.join(WEIGHT_DTYPES)}"
                + (f"; quantised ones: {_DEQUANTISE}" if quantised else "")
            )
        return np.dtype(WEIGHT_DTYPES[found.dtype])

    def read(self, name: str) -> np.ndarray:
        """Returns one tensor."""
        return self.stored[name].read()

    def read_row(self, name: str, layout: Layout | None, row: np.ndarray) -> None:
        """Reads a tensor into an array of its shape after `layout`, casting it.

        Raises:
            CheckpointError: It is of no weights' dtype, or holds a NaN or an infinity.
        """
        self.dtype(name)
        tensor = self.read(name)
        row[...] = tensor if layout is None else layout(tensor)
        if not np.isfinite(np.sum(row, dtype=np.float64)):
            raise CheckpointError(
                f"{self.stored[name].path}: tensor '{name}' holds a NaN or an infinity"
            )


def check_equal(tensors: Tensors, pairs: Iterable[tuple[str, str]]) -> None:
    """Compares tensors that are one tensor under two names.

    Raises:
        CheckpointError: Two of them differ, so that which one counts is not known.
    """
    for first, second in pairs:
        if not np.array_equal(tensors.read(first), tensors.read(second)):
            raise CheckpointError(
                f"{tensors.stored[second].path}: tensor '{second}' is not equal to '{first}', "
                "though the model has one parameter for both; save the model again"
            )


def is_weight_file(name: str) -> bool:
    """Tells whether a file of this name holds weights.

    Hidden files do not, such as the `._` files that macOS puts beside others, nor does the state
    of a training.
    """
    return (
        name.lower().endswith((*SAFETENSORS, *TORCH))
        and not name.startswith(".")
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in _TRAINING_STATE)
    )


def weight_files(folder: Path) -> list[Path]:
    """Returns the weight files of a checkpoint folder, sorted; of one format where both are there.

    Safetensors files count where there are any; otherwise PyTorch's (.bin, .pt, .pth, .ckpt).
    """
    found = sorted(p for p in folder.iterdir() if is_weight_file(p.name) and not p.is_dir())
    return [p for p in found if is_safetensors(p)] or found


def is_safetensors(path: Path) -> bool:
    """Tells whether a weight file's name says that it is of the safetensors format."""
    return path.name.lower().endswith(SAFETENSORS)


def refuse_adapter(folder: Path) -> None:
    """Refuses a folder of a PEFT adapter, whose base weights alone would be another model.

    Raises:
        CheckpointError: adapter_config.json or a file of adapter weights is there.
    """
    path = folder / ADAPTER_CONFIG
    fields = read_object_file(path) if path.is_file() else {}
    if not fields and not any(folder.glob("adapter_model.*")):
        return
    kind, base = fields.get("peft_type", "LoRA"), fields.get("base_model_name_or_path")
    raise CheckpointError(
        f"{folder}: is a PEFT adapter ({kind} of {base or 'a base model'}): merge it first "
        "(`model.merge_and_unload().save_pretrained(...)`), or name it with its base, as in "
        "NAME=hf:FOLDER+ADAPTER_FOLDER"
    )


def refuse_quantised(folder: Path, fields: Mapping[str, Any]) -> None:
    """Refuses weights that config.json says are quantised.

    Raises:
        CheckpointError: There is a `quantization_config`.
    """
    if found := fields.get("quantization_config"):
        kind = found.get("quant_method", "some way") if isinstance(found, Mapping) else found
        raise CheckpointError(f"{folder}: its weights are quantised ({kind}): {_DEQUANTISE}")


def open_checkpoint(folder: Path) -> Tensors:
    """Opens the weight files of a checkpoint folder without reading their tensors.

    Which files count, `weight_files` says; PyTorch's need the extra `convert`.

    Raises:
        CheckpointError: No folder, no file, a malformed file, or a tensor that two files hold.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint folder")
    paths = weight_files(folder)
    if not paths:
        raise CheckpointError(f"{folder}: {_no_weight_file(folder)}")
    found: dict[str, Stored] = {}
    for path in paths:
        for name, stored in open_file(path).items():
            if name in found:
                raise CheckpointError(
                    f"tensor '{name}' stands in {found[name].path.name} and in {path.name}; "
                    "keep one set of weight files in the folder"
                )
            found[name] = stored
    _check_index(folder, found)
    return Tensors(found)


def _no_weight_file(folder: Path) -> str:
    """Returns that a folder has no weight file; of one that is in parts, how they are joined."""
    parts = [match[1] for path in folder.iterdir() if (match := _PART.fullmatch(path.name))]
    for whole in sorted(filter(is_weight_file, parts)):
        return (
            f"'{whole}' is in {parts.count(whole)} parts; join them in the order of their numbers, "
            f"as with `cat {whole}.part0 {whole}.part1 > {whole}`"
        )
    return f"no weight file ({', '.join((*SAFETENSORS, *TORCH))})"


def _check_index(folder: Path, found: Mapping[str, Stored]) -> None:
    """Compares the files with the index of a sharded checkpoint, which names each tensor's file.

    Raises:
        CheckpointError: The index is malformed, names a file outside the folder, or a tensor that
            does not stand in the file it names.
    """
    suffixes = {stored.path.suffix.lower() for stored in found.values()}
    paths = sorted(folder.iterdir())
    names = {path.name for path in paths}
    for path in paths:
        shards = path.name.lower().removesuffix(".index.json")
        if shards == path.name.lower() or shards.startswith("."):
            continue
        if Path(shards).suffix not in suffixes:
            continue  # of the other format's files, which are not read
        try:
            files = read_object_file(path)["weight_map"]
            items = {str(name): str(file) for name, file in files.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: not an index of weight files: {error!r}") from error
        for name, file in items.items():
            if Path(file).name != file or file in ("", ".", ".."):
                raise CheckpointError(f"{path}: '{file}' of tensor '{name}' leaves the folder")
            if file not in names:
                raise CheckpointError(f"{folder / file[:80]}: missing; {path.name} names it")
            if name not in found or found[name].path.name != file:
                raise CheckpointError(
                    f"{folder / file}: tensor '{name}' is missing; {path.name} names it"
                )


def read_object_file(path: Path) -> dict[str, Any]:
    """Returns the object of a JSON file of a checkpoint.

    Raises:
        CheckpointError: It cannot be read, or holds none.
    """
    try:
        return read_object(path)
    except FileError as error:
        raise CheckpointError(str(error)) from error


def open_file(path: Path) -> dict[str, Stored]:
    """Opens one weight file; see `open_checkpoint`."""
    return _open_safetensors(path) if is_safetensors(path) else _open_torch(path)


def _open_safetensors(path: Path) -> dict[str, Stored]:
    def read(name: str) -> np.ndarray:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(name)

    try:
        with safe_open(path, framework="numpy") as file:
            found = {}
            for name in file.keys():  # noqa: SIM118 (safe_open is not iterable)
                part = file.get_slice(name)
                code = str(part.get_dtype())
                dtype = _SAFETENSORS_DTYPES.get(code, code)
                reader = functools.partial(read, name)
                found[name] = Stored(tuple(part.get_shape()), dtype, path, reader)
            # A tensor that has two names is stored once: `save_model` of safetensors notes the
            # other name in the metadata.
            for name, same in (file.metadata() or {}).items():
                if same in found:
                    found.setdefault(name, found[same])
        _refuse_repeated_names(path)
        return found
    except Exception as error:  # the library raises a bare SafetensorError, and OSErrors
        raise CheckpointError(
            f"{path}: not a readable safetensors file: {_reason(path, error)}"
        ) from error


def _refuse_repeated_names(path: Path) -> None:
    """Reads a header again: the library takes the last of two tensors that have one name.

    Raises:
        ValueError: A name stands twice.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        json.loads(file.read(length), object_pairs_hook=unique_names)


def _open_torch(path: Path) -> dict[str, Stored]:
    """Opens a pickled checkpoint with PyTorch's weights-only loader, which runs no code of it."""
    mapped = zipfile.is_zipfile(path)  # files of PyTorch before 1.6 are not, and are read whole
    kept = _torch_tensors(path, mapped)

    def read(name: str) -> np.ndarray:
        # A mapping keeps all that was read of it in memory, so each tensor opens a new one.
        tensor = (_torch_tensors(path, mapped) if mapped else kept)[name].detach()
        tensor = tensor.clone().contiguous()  # strides of the file may be of any order
        if str(tensor.dtype) == "torch.bfloat16":
            return tensor.view(_torch().int16).numpy().view(jnp.bfloat16)
        return tensor.numpy()

    return {
        name: Stored(
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            path,
            functools.partial(read, name),
        )
        for name, tensor in kept.items()
    }


def _torch_tensors(path: Path, mapped: bool) -> dict[str, Any]:
    torch = _torch(path)
    try:
        # Transformer Engine keeps its fp8 scales as buffers of bytes among the tensors: such a
        # buffer is made as it stands, and what is in it is not read.
        with torch.serialization.safe_globals([io.BytesIO]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # pickle, zip and torch errors alike
        raise CheckpointError(
            f"{path}: not a readable PyTorch weight file: {_reason(path, error)}"
        ) from error
    for wrapper in ("state_dict", "model_state_dict", "module", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not named tensors")
    tensors = {
        str(name): tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)
    }
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta:
            raise CheckpointError(f"{path}: tensor '{name:.80}' is sparse or without values")
    return tensors


def _reason(path: Path, error: Exception) -> str:
    """Returns why a file cannot be read: what it is instead, or a library's message in short."""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(64).lstrip().lower()
        for beginning, words in _STRANGERS.items():
            if start.startswith(beginning):
                return words
    if "weights_only" in str(error) or "Weights only" in str(error):
        how = "docs/your-model.md, 'A pickled module'"
        return f"it holds other Python objects than tensors; save model.state_dict() ({how})"
    return " ".join(str(error).split())[:_LETTERS]


def _torch(path: Path | None = None) -> Any:
    try:
        import torch  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise CheckpointError(
            f"{path}: PyTorch is needed to read it; install the extra 'convert'"
        ) from error
    return torch


def read_config(folder: Path) -> dict[str, Any]:
    """Returns the folder's config.json.

    NaN and infinities, which Python and the authors write, are read.

    Raises:
        CheckpointError: It is missing, cannot be read or is not a JSON object, or an object in it
            states a field twice or holds too many objects in one another.
    """
    path = folder / "config.json"
    if not path.exists():
        raise CheckpointError(
            f"{folder}: no config.json; copy it from the model's repository, or write it where "
            "that has none (docs/your-model.md)"
        )
    config = read_object_file(path)
    level: list[Any] = [config]
    for _ in range(_DEEPEST):
        inside = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in inside for each in values if isinstance(each, dict | list)]
    if level:
        raise CheckpointError(f"{path}: not JSON: objects and lists are too deep")
    return config
