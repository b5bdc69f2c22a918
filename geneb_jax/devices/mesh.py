"""The devices of a process as a mesh: rows of a batch over `data`, parameters over `model`."""

import jax
import numpy as np
from jax.sharding import Mesh

from model_ports.contract.family import DATA, MODEL


def process_mesh(model: int) -> Mesh | None:
    """Returns the mesh of this process's devices; None: there is one device.

    Args:
        model: Devices of the axis `model`; the axis `data` takes the rest.

    Raises:
        ValueError: `model` does not divide the number of devices.
    """
    devices = jax.local_devices()
    if len(devices) % model:
        raise ValueError(f"model={model} does not divide the {len(devices)} devices of a process")
    if len(devices) == 1:
        return None
    return Mesh(np.array(devices).reshape(-1, model), (DATA, MODEL))
