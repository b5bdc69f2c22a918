"""A run of several processes: all of them embed, the first does the rest.

Every process holds a model on its own devices (see `process_mesh`), embeds its share of the
records into the store, which takes several writers, and goes on to the next model. The first waits
for the others' shares, computes what a store then lacks, fits the probes and alone writes
results. No array spans processes: no device ever waits for another process, and a share that is
lost is computed by the first.
"""

import jax

from geneb_jax.config_checks import explicit_process

_PATIENCE_MS = 30 * 24 * 3600 * 1000  # a process that dies ends the others' waiting at once


def join(text: str) -> None:
    """Makes this process one of several, before JAX is used.

    Args:
        text: 'auto' as JAX finds the processes, or 'I/N@HOST:PORT' for process I of N.

    Raises:
        ValueError: JAX finds no cluster, or not all of the processes came.
    """
    address, count, index = (None, None, None) if text == "auto" else explicit_process(text)
    try:
        jax.distributed.initialize(address, count, index)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"the processes do not find each other: {error}") from error


def meet(name: str) -> None:
    """Waits until every process has come to the meeting of this name; one process does not wait."""
    if jax.process_count() == 1:
        return
    import orbax.checkpoint as ocp  # noqa: PLC0415 (one process needs it nowhere)

    ocp.multihost.get_barrier_sync_fn()(key=name, timeout_ms=_PATIENCE_MS)
