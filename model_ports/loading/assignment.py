"""The tensors of a checkpoint assigned to the parameters of a port, and read into them."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx

from model_ports.contract.weights import Ignored, Layout, Weight
from model_ports.loading.names import Names, weight_pattern
from model_ports.loading.tensors import Tensors, unfit

_SHOWN = 8  # numbers of layers that an error lists


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
    names: Names,
    shapes: Mapping[str, Sequence[int]],
    parameters: Mapping[str, Sequence[int]],
) -> dict[str, Assignment]:
    """Assigns every tensor of a checkpoint to a parameter, by names and shapes alone.

    Args:
        rules: The family's table.
        names: What `read_names` found of the checkpoint's tensors.
        shapes: Shape of each tensor of the checkpoint, by its name in the file.
        parameters: Shape of each parameter of the module, by dotted path.

    Returns:
        The assignment of every parameter, by dotted path.

    Raises:
        CheckpointError: Lists the tensors without a rule, the parameters without a tensor, the
            numbers that are missing or unexpected, and the shapes that differ.
    """
    errors = []
    found: dict[Weight, dict[tuple[int, ...], str]] = {}  # one rule a parameter
    for rule in (rule for rule in rules if isinstance(rule, Weight)):
        if rule.path not in parameters:
            errors.append(f"rule for '{rule.source}': the module has no parameter '{rule.path}'")
        elif any(rule.path == other.path for other in found):
            errors.append(f"parameter '{rule.path}' has two rules")
        else:
            found[rule] = _matches(rule, names.needed)
    layers = _layers(found, parameters)
    errors += [
        _layers_text(stem, there, wanted)
        for stem, (there, wanted) in layers.items()
        if there != wanted
    ]
    assignments, left = {}, dict.fromkeys([*names.needed.values(), *names.unknown])
    for rule, matches in found.items():
        shape = tuple(parameters[rule.path])
        ranges = _ranges(rule, shape)
        there, wanted = layers.get(_stem(rule), (set(), set()))
        taken = []
        for index in itertools.product(*ranges):
            if index in matches:
                taken.append(matches[index])
            elif not index or index[0] in there:
                name = rule.source.replace("{}", "%d") % index
                errors.append(f"parameter '{rule.path}' {list(shape)} has no tensor '{name}'")
        beyond = [name for index, name in matches.items() if index and index[0] not in wanted]
        for name in (*taken, *beyond):
            left.pop(name, None)
        errors += _misshapen(rule, taken, shapes, shape[len(ranges) :])
        stack = tuple(map(len, ranges))
        assignments[rule.path] = Assignment(tuple(taken), stack, rule.layout, shape)
    errors += [f"tensor '{name}' {list(shapes[name])} has no place in the module" for name in left]
    errors += [
        f"parameter '{path}' {list(shape)} has no rule"
        for path, shape in parameters.items()
        if not any(path == rule.path for rule in found)
    ]
    if errors:
        count = f"{len(errors)} difference{'s' * (len(errors) > 1)}"
        raise unfit(f"the checkpoint does not fit its config, {count}", errors)
    return assignments


def _matches(rule: Weight, names: Mapping[str, str]) -> dict[tuple[int, ...], str]:
    """Returns the names in the file of a rule's tensors, by their numbers."""
    pattern = re.compile(weight_pattern(rule.source))
    matches = ((pattern.fullmatch(name), stored) for name, stored in names.items())
    return {tuple(map(int, match.groups())): stored for match, stored in matches if match}


def _ranges(rule: Weight, shape: Sequence[int]) -> list[Sequence[int]]:
    """Returns the numbers that a rule's tensors have, for each `{}`."""
    ranges: list[Sequence[int]] = [range(n) for n in shape[: rule.source.count("{}")]]
    return ranges if rule.only is None else [sorted(rule.only), *ranges[1:]]


def _stem(rule: Weight) -> str:
    """Returns a rule's tensor name up to its first number; '' where it has none."""
    stem, numbered, _ = rule.source.partition("{}")
    return stem + numbered if numbered else ""


def _layers(
    found: Mapping[Weight, Mapping[tuple[int, ...], str]], parameters: Mapping[str, Sequence[int]]
) -> dict[str, tuple[set[int], set[int]]]:
    """Returns the first numbers that are there and those that are wanted, by name before them."""
    layers: dict[str, tuple[set[int], set[int]]] = {}
    for rule, matches in found.items():
        if stem := _stem(rule):
            there, wanted = layers.setdefault(stem, (set(), set()))
            there |= {index[0] for index in matches}
            wanted |= set(_ranges(rule, parameters[rule.path])[0])
    return layers


def _layers_text(stem: str, there: Set[int], wanted: Set[int]) -> str:
    words = f"'{stem}': {len(there)} are in the file, but config.json says {len(wanted)}"
    for what, numbers in (("missing", wanted - there), ("unexpected", there - wanted)):
        if numbers:
            shown = ", ".join(map(str, sorted(numbers)[:_SHOWN]))
            words += f"; {what}: {shown}" + (", ..." if len(numbers) > _SHOWN else "")
    return words


def _misshapen(
    rule: Weight,
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
    expected: tuple[int, ...],
) -> list[str]:
    """Returns an error on the first tensor of a rule that is not of the expected shape."""
    after = {name: _shape_after(rule.layout, shapes[name]) for name in names}
    wrong = [(name, shape) for name, shape in after.items() if shape != expected]
    if not wrong:
        return []
    first, shape = wrong[0]
    becomes = "does not fit" if shape is None else f"becomes {list(shape)}"
    like_it = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
    return [
        f"tensor '{first}' {list(shapes[first])} {becomes}, "
        f"but parameter '{rule.path}' takes {list(expected)}{like_it}"
    ]


def _shape_after(layout: Layout | None, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Returns a tensor's shape after its layout; None where the layout is not for it."""
    if layout is None:
        return tuple(shape)
    try:
        return layout(np.broadcast_to(np.float32(0), shape)).shape  # all entries are one
    except (TypeError, ValueError, IndexError):
        return None


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
