"""A task's rows, and how they lie on the devices for a compiled fit."""

import functools
from dataclasses import dataclass

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float32, Integer

from probes.padding import ladder, padded_features

DATA_AXIS = "data"


@dataclass(frozen=True, eq=False)
class TaskRows:
    """The train rows of a task.

    Attributes:
        x: Features.
        classes: Class number 0 .. K - 1 of each row.
        class_count: K.
        mesh: Devices whose axis 'data' a compiled fit's rows are spread over; None: the default
            device.
    """

    x: Float32[np.ndarray, "N D"]
    classes: Integer[np.ndarray, " N"]
    class_count: int
    mesh: Mesh | None = None

    @functools.cached_property
    def on_devices(self) -> Float32[Array, "M D"]:
        """Features on the devices, put there once, padded with zeros from N rows to the ladder.

        On CPUs they are the memory of the host where `x` has room behind it (see `padding`).
        """
        size = ladder(len(self.x))
        if self.mesh is None:
            return jax.device_put(padded_features(self.x, size))
        # The compiler spreads the products over the devices and sums: that needs `Auto` axes,
        # which a mesh has that is made of devices and names.
        mesh = Mesh(self.mesh.devices, self.mesh.axis_names)
        size += -size % mesh.shape[DATA_AXIS]
        by_rows = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
        return jax.device_put(padded_features(self.x, size), by_rows)


def check_mesh(mesh: Mesh) -> None:
    """Checks that rows can be spread over a mesh.

    Raises:
        ValueError: The mesh lacks the axis 'data'.
    """
    if DATA_AXIS not in mesh.shape:
        raise ValueError(
            f"the mesh has the axes {mesh.axis_names}; rows need one named '{DATA_AXIS}'"
        )
