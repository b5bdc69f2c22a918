"""What a device can do, measured once and kept in the workdir, and how much memory it uses."""

import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging

from geneb_jax.files.json_files import read_object, write_json
from geneb_jax.files.texts import FileError

_REPEATS = 3
_STATUS = Path("/proc/self/status")
_highest = {"host": 0}  # peaks that were seen
# What is measured, with the kind of its numbers.
_MEASURED: Mapping[str, Any] = {
    "matmul_rate": (int, float),
    "fitting_tokens": int,
    "embedding_rate": (int, float),
}


def matmul_rate(dtype: str, workdir: Path | None = None) -> float:
    """Returns the FLOP/s of a large square product in a dtype, measured once a workdir."""
    facts = read_facts(workdir)
    if dtype not in facts["matmul_rate"]:
        size = 2048 if jax.default_backend() == "cpu" else 8192
        keys = jax.random.split(jax.random.key(0))
        a, b = (jax.random.normal(key, (size, size), dtype) for key in keys)
        product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))  # as models' forward
        facts["matmul_rate"][dtype] = 2 * size**3 / best_seconds(lambda: product(a, b))
        keep_facts(workdir, facts)
    return facts["matmul_rate"][dtype]


def out_of_memory(error: Exception) -> bool:
    """Says whether a device had too little memory, in the words of GPUs and TPUs or of CPUs."""
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "Out of memory"))


def peak_bytes() -> int | None:
    """Returns the largest memory in use on the first device since the process began, in bytes.

    None: the device does not tell.
    """
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def host_peak_bytes() -> int | None:
    """Returns the largest resident memory of this program since it began, in bytes.

    None: the system, which is Windows, does not tell.
    """
    if sys.platform == "win32":
        return None
    if _STATUS.is_file():  # Linux's ru_maxrss counts what the parent held when it began this one
        (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", _STATUS.read_text())
        _highest["host"] = max(_highest["host"], int(peak) * 1024)  # pages are counted in batches
        return _highest["host"]
    import resource  # noqa: PLC0415 (Windows has no such module)

    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peaks() -> dict[str, int]:
    """Returns the peaks of memory so far, in bytes: `host` and `device`, where these are told."""
    found = {"host": host_peak_bytes(), "device": peak_bytes()}
    return {name: peak for name, peak in found.items() if peak is not None}


def memory_bytes() -> int | None:
    """Returns the memory that the first device gives a program, in bytes.

    None: the device does not tell.
    """
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def best_seconds(work: Callable[[], jax.Array]) -> float:
    """Returns the shortest wall time of a call in seconds, after one that compiles."""
    work().block_until_ready()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work().block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)


def read_facts(workdir: Path | None) -> dict[str, dict[str, Any]]:
    """Reads what a workdir knows of this kind of device.

    Returns:
        `matmul_rate`: FLOP/s by dtype; `fitting_tokens`: the tokens that a batch may have at most,
        of models for which the device's memory ran out; `embedding_rate`: FLOP/s a device of
        models that were embedded (see `embedding.tuning.keep_rate`). Each is empty where nothing
        was measured, or without a workdir.
    """
    nothing: dict[str, dict[str, Any]] = {name: {} for name in _MEASURED}
    if workdir is None or not _facts_file(workdir).exists():
        return nothing
    try:
        facts = nothing | read_object(_facts_file(workdir))  # older code knew fewer kinds
        if not all(_are_positive(facts[name], kind) for name, kind in _MEASURED.items()):
            raise FileError(f"{_facts_file(workdir)}: not what was measured of a device")
    except FileError as error:
        logging.warning("%s; it is measured anew", error)
        if _facts_file(workdir).is_file():
            _facts_file(workdir).unlink()
        return nothing
    return facts


def _are_positive(values: Any, kind: Any) -> bool:
    """Says whether a mapping's values are positive finite numbers of a kind."""
    return isinstance(values, Mapping) and all(
        isinstance(value, kind) and not isinstance(value, bool) and 0 < value < float("inf")
        for value in values.values()
    )


def keep_facts(workdir: Path | None, facts: dict[str, dict[str, Any]]) -> None:
    """Writes what `read_facts` is to return from now on; nothing without a workdir."""
    if workdir is not None:
        write_json(_facts_file(workdir), facts)


def _facts_file(workdir: Path) -> Path:
    """The file of this kind of device: another machine may go on in the same workdir."""
    kind = "".join(c if c.isalnum() else "-" for c in jax.devices()[0].device_kind)
    return workdir / "devices" / f"{kind}.json"
