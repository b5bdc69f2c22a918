"""Checkpoints: the authors' tensors by name, and the one loader that fills any port with them."""

import functools
import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import safe_open

_MIB = 2**20

# From a tensor to the parameter's value: mostly T, reshape, swapaxes, indexing.
Layout = Callable[[np.ndarray], np.ndarray]


WEIGHT_DTYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": jnp.bfloat16,
    "float64": np.float64,
}
_SAFETENSORS_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class CheckpointError(ValueError):
    """A checkpoint is missing, incomplete or does not fit its config."""


@dataclass(frozen=True)
class Weight:
    """Where a tensor of the checkpoint goes.

    Attributes:
        source: Tensor name; each `{}` stands for a number (of a layer, an expert) and the tensors
            found are stacked over it, in rising order, on new leading axes.
        path: Dotted path of the parameter in the module.
        layout: Change of one tensor before stacking, such as `transpose`.
        only: Numbers of the first `{}` that this rule is for; None: all.
    """

    source: str
    path: str
    layout: Layout | None = None
    only: frozenset[int] | None = None


@dataclass(frozen=True)
class Ignored:
    """Tensors of the checkpoint that the embedding does not need.

    Attributes:
        pattern: Regular expression that matches whole tensor names.
        reason: Why they are not read.
    """

    pattern: str
    reason: str


def transpose(tensor: np.ndarray) -> np.ndarray:
    """PyTorch's linear weight [out, in] as Flax's kernel [in, out]."""
    return tensor.T


def linear_weights(
    places: Mapping[str, str], *, bias: bool = True, transposed: bool = True
) -> tuple[Weight, ...]:
    """Rules for linear layers: checkpoint name -> module path, both without suffix.

    Args:
        places: The names.
        bias: Whether the layers have biases.
        transposed: Whether kernels are stored [out, in], as PyTorch's linear layers have them.
    """
    layout = transpose if transposed else None
    kernels = [Weight(f"{a}.weight", f"{b}.kernel", layout) for a, b in places.items()]
    biases = [Weight(f"{a}.bias", f"{b}.bias") for a, b in places.items() if bias]
    return (*kernels, *biases)


def norm_weights(places: Mapping[str, str], *, bias: bool = True) -> tuple[Weight, ...]:
    """Rules for PyTorch LayerNorm, or RMSNorm without `bias`: checkpoint name -> module path."""
    scales = [Weight(f"{a}.weight", f"{b}.scale") for a, b in places.items()]
    biases = [Weight(f"{a}.bias", f"{b}.bias") for a, b in places.items() if bias]
    return (*scales, *biases)


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
            raise CheckpointError(
                f"{found.path}: tensor '{name}' is {found.dtype}; "
                f"weights are {', '.join(WEIGHT_DTYPES)}"
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


def open_checkpoint(folder: Path) -> Tensors:
    """Opens the weight files of a checkpoint folder without reading their tensors.

    Safetensors files count where there are any; otherwise PyTorch's (.bin, .pt, .pth, .ckpt),
    which need the extra `convert`.

    Raises:
        CheckpointError: No folder, no file, a malformed file, or a tensor that two files hold.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint folder")
    paths, open_file = sorted(folder.glob("*.safetensors")), _open_safetensors
    if not paths:
        paths = sorted(p for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        open_file = _open_torch
    if not paths:
        raise CheckpointError(f"{folder}: no weight file (.safetensors, .bin, .pt, .pth, .ckpt)")
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


def _check_index(folder: Path, found: Mapping[str, Stored]) -> None:
    """Compares the files with the index of a sharded checkpoint, which names each tensor's file.

    Raises:
        CheckpointError: The index is malformed, names a file outside the folder, or a tensor that
            does not stand in the file it names.
    """
    suffixes = {stored.path.suffix for stored in found.values()}
    for path in sorted(folder.glob("*.index.json")):
        if Path(path.name.removesuffix(".index.json")).suffix not in suffixes:
            continue  # of the other format's files, which are not read
        try:
            places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
            items = {str(name): str(file) for name, file in places.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: not an index of weight files: {error}") from error
        for name, file in items.items():
            if Path(file).name != file or file in ("", ".", ".."):
                raise CheckpointError(f"{path}: '{file}' of tensor '{name}' leaves the folder")
            if not (folder / file).is_file():
                raise CheckpointError(f"{folder / file}: missing; {path.name} names it")
            if name not in found or found[name].path.name != file:
                raise CheckpointError(
                    f"{folder / file}: tensor '{name}' is missing; {path.name} names it"
                )


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
            return found
    except Exception as error:  # the library raises a bare SafetensorError, and OSErrors
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _open_torch(path: Path) -> dict[str, Stored]:
    """Opens a pickled checkpoint with torch's weights-only loader, which runs no code of it."""
    mapped = zipfile.is_zipfile(path)  # files of PyTorch before 1.6 are not, and are read whole
    kept = _torch_tensors(path, mapped)

    def read(name: str) -> np.ndarray:
        # A mapping keeps all that was read of it in memory, so each tensor gets its own.
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
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # pickle, zip and torch errors alike
        raise CheckpointError(f"{path}: not a readable PyTorch weight file: {error}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not named tensors")
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}


def _torch(path: Path | None = None) -> Any:
    try:
        import torch  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise CheckpointError(
            f"{path}: PyTorch is needed to read it; install the extra 'convert'"
        ) from error
    return torch


def fingerprint(folder: Path) -> str:
    """Returns a digest that tells this folder's config, tokenizer and weights from others.

    Small files count whole; of each weight file its size, first and last MiB, so that a
    checkpoint of many GB takes milliseconds.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.name != "source.json"):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            digest.update(file.read(_MIB))
            file.seek(max(0, size - _MIB))
            digest.update(file.read(_MIB))
    return digest.hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """Returns the folder's config.json.

    Raises:
        CheckpointError: It is missing or not a JSON object.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: no config.json") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: holds a {type(config).__name__}, not an object")
    return config


@dataclass(frozen=True)
class Fill:
    """A parameter's sources in the order they are stacked.

    Attributes:
        sources: Tensor names, row-major over the stacking axes.
        stack: Lengths of the stacking axes; () for a single tensor.
        layout: Change of each tensor's layout.
        shape: Shape of the parameter.
    """

    sources: tuple[str, ...]
    stack: tuple[int, ...]
    layout: Layout | None
    shape: tuple[int, ...]


def plan(
    rules: Iterable[Weight | Ignored],
    shapes: Mapping[str, Sequence[int]],
    parameters: Mapping[str, Sequence[int]],
) -> dict[str, Fill]:
    """Assigns every tensor of a checkpoint to a parameter, by names and shapes alone.

    Args:
        rules: The family's table.
        shapes: Shape of each tensor of the checkpoint.
        parameters: Shape of each parameter of the module, by dotted path.

    Returns:
        A `Fill` for every parameter.

    Raises:
        CheckpointError: Lists every tensor without a rule, every parameter without a tensor,
            and every shape that differs.
    """
    errors, fills, seen = [], {}, set()
    ignored = []
    for rule in rules:
        if isinstance(rule, Ignored):
            ignored.append(re.compile(rule.pattern))
            continue
        matches = _matches(rule, shapes)
        seen.update(matches.values())
        if rule.path not in parameters:
            errors.append(f"rule for '{rule.source}': the module has no parameter '{rule.path}'")
        elif rule.path in fills:
            errors.append(f"parameter '{rule.path}' has two rules")
        elif matches:
            fill, problem = _fill(rule, matches, shapes, tuple(parameters[rule.path]))
            fills[rule.path] = fill
            errors.extend(problem)
    for name in shapes:
        if name not in seen and not any(pattern.fullmatch(name) for pattern in ignored):
            errors.append(f"tensor '{name}' {list(shapes[name])} has no place in the module")
    for path in parameters:
        if path not in fills:
            errors.append(f"parameter '{path}' {list(parameters[path])} has no tensor")
    if errors:
        raise CheckpointError(
            f"the checkpoint does not fit its config, {len(errors)} differences:\n  "
            + "\n  ".join(errors)
        )
    return fills


def _matches(rule: Weight, names: Iterable[str]) -> dict[tuple[int, ...], str]:
    pattern = re.compile(re.escape(rule.source).replace(r"\{\}", r"(\d+)"))
    found = {}
    for name in names:
        match = pattern.fullmatch(name)
        if match:
            index = tuple(map(int, match.groups()))
            if rule.only is None or index[0] in rule.only:
                found[index] = name
    return dict(sorted(found.items()))


def _fill(
    rule: Weight,
    matches: Mapping[tuple[int, ...], str],
    shapes: Mapping[str, Sequence[int]],
    expected: tuple[int, ...],
) -> tuple[Fill, list[str]]:
    axes = list(zip(*matches, strict=True))
    stack = tuple(len(set(axis)) for axis in axes)
    errors = []
    if np.prod(stack, dtype=int) != len(matches):
        errors.append(f"tensors '{rule.source}': some of the {stack} numbered ones are missing")
    inner = expected[len(stack) :]
    for name in matches.values():
        shape = _shape_after(rule.layout, shapes[name])
        if shape != inner:
            errors.append(
                f"tensor '{name}' {list(shapes[name])} becomes {list(shape)}, "
                f"but parameter '{rule.path}' takes {list(inner)}"
            )
    if stack != expected[: len(stack)]:
        errors.append(
            f"tensors '{rule.source}': {list(stack)} are there, "
            f"but parameter '{rule.path}' takes {list(expected[: len(stack)])}"
        )
    return Fill(tuple(matches.values()), stack, rule.layout, expected), errors


def _shape_after(layout: Layout | None, shape: Sequence[int]) -> tuple[int, ...]:
    if layout is None:
        return tuple(shape)
    try:
        return layout(np.broadcast_to(np.float32(0), shape)).shape  # all entries are one
    except (TypeError, ValueError, IndexError):
        return ()


def parameter_shapes(abstract: nnx.State) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each parameter of a module's state by dotted path."""
    return {".".join(map(str, path)): leaf.shape for path, leaf in nnx.to_flat_state(abstract)}


def fill_state(abstract: nnx.State, values: Mapping[str, Any]) -> nnx.State:
    """Returns a module's state with a value for each parameter's dotted path."""
    flat = nnx.to_flat_state(abstract)
    return nnx.from_flat_state(
        [(path, leaf.replace(values[".".join(map(str, path))])) for path, leaf in flat]
    )


def cast_dtype(path: str, dtype: Any, float32: Sequence[str]) -> Any:
    """Returns the dtype of a parameter: float32 where a pattern of `float32` matches its path."""
    kept = any(re.fullmatch(pattern, path) for pattern in float32)
    return np.dtype(np.float32) if kept else np.dtype(dtype)


def load(
    tensors: Tensors,
    fills: Mapping[str, Fill],
    abstract: nnx.State,
    dtype: Any,
    float32: Sequence[str] = (),
    shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> nnx.State:
    """Reads the tensors that `plan` assigned into a module's state.

    Args:
        tensors: The open checkpoint.
        fills: The result of `plan`.
        abstract: State of the module built under `nnx.eval_shape`.
        dtype: Parameters are cast to it.
        float32: Patterns of the paths of parameters that stay float32.
        shardings: Where each parameter goes, by dotted path; None: the default device.

    Returns:
        The state; one parameter at a time is whole in host memory.

    Raises:
        CheckpointError: A tensor holds a NaN or an infinity, or is of no weights' dtype.
    """
    filled = {}
    for name in parameter_shapes(abstract):
        fill = fills[name]
        array = np.empty(fill.shape, cast_dtype(name, dtype, float32))
        rows = array.reshape(len(fill.sources), *fill.shape[len(fill.stack) :])
        for row, source in zip(rows, fill.sources, strict=True):
            tensors.read_row(source, fill.layout, row)
        sharding = shardings[name] if shardings else None
        filled[name] = jax.device_put(array, sharding)
    return fill_state(abstract, filled)
