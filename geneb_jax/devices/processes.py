"""Which of a run's processes this one is, and which devices of its host are its.

Every process is a JAX program for itself, with the devices of its host or some of them (see
`process_mesh`): nothing is computed across processes, so JAX's distributed runtime, which ends all
processes where one is lost, is not started. What the processes say to each other is in `meeting`.
"""

import os
from dataclasses import dataclass

import jax

from geneb_jax.config_checks import explicit_process


@dataclass(frozen=True)
class Process:
    """A process of a run.

    Attributes:
        number: From 0; the process 0 is called the first.
        count: How many there are.
        address: HOST:PORT at which the first one is met; empty: there is one process.
    """

    number: int = 0
    count: int = 1
    address: str = ""


_this = [Process()]


def this_process() -> Process:
    """Returns which process this is; the only one before `join`."""
    return _this[-1]


def join(text: str) -> Process:
    """Makes this process one of several, before JAX's devices are used.

    Under Slurm and Open MPI a process uses the GPU of its rank on the node alone;
    JAX_LOCAL_DEVICE_IDS says otherwise.

    Args:
        text: As `config.processes`: empty: there is one; 'auto' as JAX finds the cluster, or
            'I/N@HOST:PORT' for process I of N.

    Raises:
        ValueError: JAX finds no cluster.
    """
    _this[:] = [_find(text) if text else Process()]
    return this_process()


def _find(text: str) -> Process:
    # Not a public interface; `jax.distributed.initialize` finds processes with it.
    from jax._src.clusters import ClusterEnv  # noqa: PLC0415
    from jax._src.distributed import global_state  # noqa: PLC0415, F401 (registers the clusters)

    explicit = (None, None, None) if text == "auto" else explicit_process(text)
    devices = os.environ.get("JAX_LOCAL_DEVICE_IDS")
    try:
        address, count, number, local = ClusterEnv.auto_detect_unset_distributed_params(
            *explicit, [int(each) for each in devices.split(",")] if devices else None, None, 60
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"JAX does not find the cluster: {error!r}") from error
    if address is None or count is None or number is None:
        raise ValueError(
            "JAX finds no cluster here (Slurm, Open MPI, Kubernetes, TPU pod); name the processes: "
            "I/N@HOST:PORT"
        )
    if local:
        for platform in ("cuda", "rocm"):
            jax.config.update(f"jax_{platform}_visible_devices", ",".join(map(str, local)))
    return Process(int(number), int(count), address)
