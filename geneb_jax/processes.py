"""A run of several processes: all of them embed, the first does the rest.

Every process holds a model on its own devices (see `process_mesh`), embeds its share of the
records into the store, which takes several writers, and goes on to the next model. The first waits
for the others' shares, computes what a store then lacks, fits the probes and alone writes
results. No array spans processes: no device ever waits for another process, and a share that is
lost is computed by the first.
"""

import re

import jax
import orbax.checkpoint as ocp

AUTOMATIC = "auto"
_EXPLICIT = re.compile(r"(\d+)/(\d+)@(\S+:\d+)")
_PATIENCE_MS = 30 * 24 * 3600 * 1000  # a process that dies ends the others' waiting at once


def parse_processes(text: str) -> tuple[str, int, int] | None:
    """Returns the coordinator, the number of processes and this one's; None: JAX finds them.

    Args:
        text: 'auto', or 'I/N@HOST:PORT' for process I of N.

    Raises:
        ValueError: The text is neither, or I is not below N.
    """
    if text == AUTOMATIC:
        return None
    match = _EXPLICIT.fullmatch(text)
    if not match or int(match[1]) >= int(match[2]):
        raise ValueError(
            f"{text!r} is not valid; say {AUTOMATIC}, or I/N@HOST:PORT for process I of N (from "
            "0) with the first one's address, such as 0/2@10.0.0.1:7000"
        )
    return match[3], int(match[2]), int(match[1])


def join(text: str) -> None:
    """Makes this process one of several, before JAX is used.

    Args:
        text: See `parse_processes`.

    Raises:
        ValueError: JAX finds no cluster, or not all of the processes came.
    """
    address, count, index = parse_processes(text) or (None, None, None)
    try:
        jax.distributed.initialize(address, count, index)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"the processes do not find each other: {error}") from error


def meet(name: str) -> None:
    """Waits until every process has come to the meeting of this name; one process does not wait."""
    ocp.multihost.get_barrier_sync_fn()(key=name, timeout_ms=_PATIENCE_MS)
