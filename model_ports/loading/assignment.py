"""The tensors of a checkpoint assigned to the parameters of a port, and read into them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx

from model_ports.contract.weights import Ignored, Layout, Weight
from model_ports.loading.tensors import CheckpointError, Tensors


@dataclass(frozen=True)
class Assignment:
    """The tensors that fill a parameter, in the order in which they are stacked.

    Attributes:
        sources: Tensor names, row-major over the stacking axes.
        stack: Lengths of the stacking axes; () for a single tensor.
        layout: Change of each tensor before stacking; None: as it is stored.
        shape: Shape of the parameter.
    """

    sources: tuple[str, ...]
    stack: tuple[int, ...]
    layout: Layout | None
    shape: tuple[int, ...]


def assign_tensors(
    rules: Iterable[Weight | Ignored],
    shapes: Mapping[str, Sequence[int]],
    parameters: Mapping[str, Sequence[int]],
) -> dict[str, Assignment]:
    """Assigns every tensor of a checkpoint to a parameter, by names and shapes alone.

    Args:
        rules: The family's table.
        shapes: Shape of each tensor of the checkpoint.
        parameters: Shape of each parameter of the module, by dotted path.

    Returns:
        The assignment of every parameter, by dotted path.

    Raises:
        CheckpointError: Lists every tensor without a rule, every parameter without a tensor,
            and every shape that differs.
    """
    errors, assignments, seen = [], {}, set()
    ignored = []
    for rule in rules:
        if isinstance(rule, Ignored):
            ignored.append(re.compile(rule.pattern))
            continue
        matches = _matches(rule, shapes)
        seen.update(matches.values())
        if rule.path not in parameters:
            errors.append(f"rule for '{rule.source}': the module has no parameter '{rule.path}'")
        elif rule.path in assignments:
            errors.append(f"parameter '{rule.path}' has two rules")
        elif matches:
            assignment, problem = _assignment(rule, matches, shapes, tuple(parameters[rule.path]))
            assignments[rule.path] = assignment
            errors.extend(problem)
    for name in shapes:
        if name not in seen and not any(pattern.fullmatch(name) for pattern in ignored):
            errors.append(f"tensor '{name}' {list(shapes[name])} has no place in the module")
    for path in parameters:
        if path not in assignments:
            errors.append(f"parameter '{path}' {list(parameters[path])} has no tensor")
    if errors:
        raise CheckpointError(
            f"the checkpoint does not fit its config, {len(errors)} differences:\n  "
            + "\n  ".join(errors)
        )
    return assignments


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


def _assignment(
    rule: Weight,
    matches: Mapping[tuple[int, ...], str],
    shapes: Mapping[str, Sequence[int]],
    expected: tuple[int, ...],
) -> tuple[Assignment, list[str]]:
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
    return Assignment(tuple(matches.values()), stack, rule.layout, expected), errors


def _shape_after(layout: Layout | None, shape: Sequence[int]) -> tuple[int, ...]:
    if layout is None:
        return tuple(shape)
    try:
        return layout(np.broadcast_to(np.float32(0), shape)).shape  # all entries are one
    except (TypeError, ValueError, IndexError):
        return ()


def parameter_shapes(abstract: nnx.State) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each parameter of a module's state, by dotted path."""
    return {_dotted(path): leaf.shape for path, leaf in nnx.to_flat_state(abstract)}


def _dotted(path: Iterable[Any]) -> str:
    return ".".join(map(str, path))


def fill_state(abstract: nnx.State, values: Mapping[str, Any]) -> nnx.State:
    """Returns a module's state with a new value for each parameter.

    Args:
        abstract: The state, whose values may be shapes.
        values: The new values, by dotted path.
    """
    flat = nnx.to_flat_state(abstract)
    return nnx.from_flat_state([(path, leaf.replace(values[_dotted(path)])) for path, leaf in flat])


def cast_dtype(path: str, dtype: Any, float32: Sequence[str]) -> np.dtype:
    """Returns the dtype of a parameter: float32 where a pattern of `float32` matches its path."""
    kept = any(re.fullmatch(pattern, path) for pattern in float32)
    return np.dtype(np.float32) if kept else np.dtype(dtype)


def cast_state(state: nnx.State, dtype: str, float32: Sequence[str]) -> nnx.State:
    """Casts a module's parameters, but for those whose paths match a pattern of `float32`."""
    flat = []
    for path, leaf in nnx.to_flat_state(state):
        wanted = cast_dtype(_dotted(path), dtype, float32)
        flat.append((path, leaf.replace(leaf[...].astype(wanted))))
    return nnx.from_flat_state(flat)


def load_parameters(
    tensors: Tensors,
    assignments: Mapping[str, Assignment],
    abstract: nnx.State,
    dtype: Any,
    float32: Sequence[str] = (),
    shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> nnx.State:
    """Reads the tensors that `assign_tensors` assigned into a module's state.

    Args:
        tensors: The open checkpoint.
        assignments: The result of `assign_tensors`.
        abstract: State of the module built under `nnx.eval_shape`.
        dtype: Parameters are cast to it.
        float32: Patterns of the paths of parameters that stay float32.
        shardings: Where each parameter goes, by dotted path; None: the default device.

    Returns:
        The state. No more than one parameter at a time is whole in host memory.

    Raises:
        CheckpointError: A tensor holds a NaN or an infinity, or is of no weights' dtype.
    """
    filled = {}
    for path in parameter_shapes(abstract):
        assignment = assignments[path]
        array = np.empty(assignment.shape, cast_dtype(path, dtype, float32))
        rows = array.reshape(len(assignment.sources), *assignment.shape[len(assignment.stack) :])
        for row, source in zip(rows, assignment.sources, strict=True):
            tensors.read_row(source, assignment.layout, row)
        filled[path] = jax.device_put(array, shardings[path] if shardings else None)
    return fill_state(abstract, filled)
