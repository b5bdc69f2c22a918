"""From a family's SHARDING table to the shardings of its parameters on a mesh."""

import math
import re
from collections.abc import Mapping, Sequence

from jax.sharding import Mesh, NamedSharding, PartitionSpec

from model_ports.contract.family import MODEL

Table = Sequence[tuple[str, tuple[str | None, ...]]]

LARGE = 2**20  # from so many elements on, no parameter is held whole by every device


def parameter_shardings(
    table: Table, parameters: Mapping[str, Sequence[int]], mesh: Mesh
) -> dict[str, NamedSharding]:
    """Returns the sharding of each parameter, by dotted path.

    A dimension that its axis does not divide, or whose axis the mesh lacks, is replicated. A
    parameter of `LARGE` elements that is then whole is split over `model` in the largest of its
    dimensions that the axis divides: embeddings, language-model heads, whatever no rule names.

    Args:
        table: Pairs of a regular expression over dotted parameter paths and the mesh axis of each
            dimension; the first that matches the whole path counts.
        parameters: Shape of each parameter by dotted path.
        mesh: Device mesh, with axes such as data and model.
    """
    found = {}
    for path, shape in parameters.items():
        axes = next((axes for pattern, axes in table if re.fullmatch(pattern, path)), ())
        kept = [
            axis if axis in mesh.shape and length % mesh.shape[axis] == 0 else None
            for axis, length in zip(axes, shape, strict=False)
        ]
        if not any(kept) and math.prod(shape) >= LARGE:
            kept = _split(shape, mesh.shape.get(MODEL, 1))
        found[path] = NamedSharding(mesh, PartitionSpec(*kept))
    return found


def _split(shape: Sequence[int], parts: int) -> list[str | None]:
    """Returns the axes of a parameter's dimensions: the largest that `parts` divides is split."""
    able = [i for i, length in enumerate(shape) if length and length % parts == 0]
    largest = max(able, key=lambda i: shape[i], default=None)
    return [MODEL if i == largest else None for i in range(len(shape))]
