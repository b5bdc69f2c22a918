"""A task's rows on the devices: padded, spread over a mesh, and scored there."""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Bool, Float, Float32, Integer

from probes import metrics
from probes.padding import ladder, pad

DATA_AXIS = "data"


class TaskRows(NamedTuple):
    """The train or the test rows of a task.

    Attributes:
        x: Features.
        on_devices: The same on the devices, padded with zeros from N to M rows.
        classes: Class number 0 .. K - 1 of each row.
        class_count: K.
    """

    x: Float32[np.ndarray, "N D"]
    on_devices: Float32[Array, "M D"]
    classes: Integer[np.ndarray, " N"]
    class_count: int


def put_rows(
    x: Float32[np.ndarray, "N D"],
    classes: Integer[np.ndarray, " N"],
    class_count: int,
    mesh: Mesh | None = None,
) -> TaskRows:
    """Puts features on the devices once, padded to the ladder.

    Args:
        x: Features.
        classes: Class number of each row.
        class_count: K.
        mesh: Devices whose axis 'data' the rows are spread over; None: the default device.

    Raises:
        ValueError: The mesh lacks the axis.
    """
    size = ladder(len(x))
    if mesh is None:
        return TaskRows(x, jax.device_put(pad(x, size)), classes, class_count)
    if DATA_AXIS not in mesh.shape:
        raise ValueError(
            f"the mesh has the axes {mesh.axis_names}; rows need one named '{DATA_AXIS}'"
        )
    # The compiler spreads the products over the devices and sums: that needs `Auto` axes, which
    # a mesh has that is made of devices and names.
    mesh = Mesh(mesh.devices, mesh.axis_names)
    size += -size % mesh.shape[DATA_AXIS]
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return TaskRows(x, jax.device_put(pad(x, size), sharding), classes, class_count)


def score_rows(
    values: Float[Array, "S R M K1"],
    rows: TaskRows,
    counted: Bool[np.ndarray, " N"] | Bool[np.ndarray, "R N"] | None = None,
) -> dict[str, Float[Array, "S R"]]:
    """Scores decision values on rows.

    Args:
        values: Decision values on the padded rows.
        rows: The rows.
        counted: Which of them count, for all draws or for each; None: all.

    Returns:
        Scores by name, see `metrics.score`.
    """
    if counted is None:
        counted = np.ones(len(rows.x), bool)
    padding = values.shape[2] - counted.shape[-1]
    weight = np.pad(counted, [(0, 0)] * (counted.ndim - 1) + [(0, padding)])
    return metrics.score(values, pad(rows.classes, values.shape[2]), weight)
