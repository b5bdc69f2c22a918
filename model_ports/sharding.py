"""From a family's SHARDING table to the shardings of its parameters on a mesh."""

import re
from collections.abc import Mapping, Sequence

from jax.sharding import Mesh, NamedSharding, PartitionSpec

Table = Sequence[tuple[str, tuple[str | None, ...]]]


def parameter_shardings(
    table: Table, parameters: Mapping[str, Sequence[int]], mesh: Mesh
) -> dict[str, NamedSharding]:
    """Returns the sharding of each parameter.

    A dimension that its axis does not divide, or whose axis the mesh lacks, is replicated.

    Args:
        table: Pairs of a regular expression over dotted parameter paths and the mesh axis of each
            dimension; the first that matches the whole path counts, none means replicated.
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
        found[path] = NamedSharding(mesh, PartitionSpec(*kept))
    return found
