"""What of this machine will not work, found in seconds: a line for each thing that runs need.

JAX is imported by the checks of devices alone: where it does not start, that is one of the lines.
"""

import logging as stdlib_logging
import os
import platform
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from geneb_jax.benchmark import GENEB
from geneb_jax.files.folders import nearest_there
from geneb_jax.files.sizes import shown_size, size_of
from geneb_jax.files.user_cache import user_cache

if TYPE_CHECKING:
    from geneb_jax.devices.processes import Process

State = Literal["ok", "warn", "fails"]

_PACKAGES = ("geneb-jax", "jax", "jaxlib", "flax", "numpy", "scipy", "pandas", "tokenizers")
# What is installed with an extra, or not: package, and what does without it.
_OPTIONAL = {
    "torch": "checkpoints that are PyTorch files alone (extra convert)",
    "gcsfs": "embeddings in gs:// (extra gcs)",
    "pyarrow": "tasks as .parquet",
}
_LEAST_MEMORY = 4 * 2**30  # bytes that a run of a small model on small tasks should find
_LEAST_DISK = 10 * 2**30
_REACHED_WITHIN = 3.0  # seconds
_NO_HUB = "fetch elsewhere, and name folders: config.tasks_dir, config.checkpoints_dir"
_SIZE = {"cpu": 1024}  # of the matrices that are multiplied
_SIZE_ACCELERATOR = 4096
_CHECKED_ROWS = 64  # of a product, computed again in float64
# Largest error of a product, relative to the largest number in it: rounding of the dtype.
_TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}


class Line(NamedTuple):
    """What was found of one thing.

    Attributes:
        subject: The thing.
        state: 'ok'; 'warn': runs work, but not all of them or not well; 'fails': they do not.
        found: What was found, in one line.
        mend: What to do; empty where nothing is to be done.
    """

    subject: str
    state: State
    found: str
    mend: str = ""


class Asked(NamedTuple):
    """What a check is asked about.

    Attributes:
        workdir: Where a run would write; None: nowhere in particular.
        processes: As `config.processes`; empty: this process alone.
    """

    workdir: Path | None
    processes: str


def examine(asked: Asked) -> Iterator[Line]:
    """Yields a line for each thing that is looked at, as soon as it is known.

    What a check does not expect is a line too: nothing is raised.
    """
    for check in CHECKS:
        try:
            yield from check(asked)
        except Exception as error:
            subject = check.__name__.strip("_").replace("_", " ")
            yield Line(subject, "fails", _in_a_line(error), "report this as a fault of the program")


def _versions(asked: Asked) -> Iterator[Line]:
    del asked
    yield Line("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    found = {name: _version(name) for name in _PACKAGES}
    there = [f"{name} {version}" for name, version in found.items() if version]
    yield Line("packages", "ok", ", ".join(there))
    if missing := [name for name, version in found.items() if not version]:
        yield Line("packages", "fails", f"not installed: {', '.join(missing)}", "pip install .")
    optional = [
        f"{name} {version}" if (version := _version(name)) else f"{name}: no {use}"
        for name, use in _OPTIONAL.items()
    ]
    yield Line("optional packages", "ok", "; ".join(optional))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _host(asked: Asked) -> Iterator[Line]:
    del asked
    cores, usable = os.cpu_count() or 1, _usable_cores()
    yield Line("cores", "ok", f"{usable} of {cores} for this process")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free, limit = _available_memory(total), _memory_limit()
    most = min(total, limit) if limit else total
    found = f"{shown_size(free)} free of {shown_size(total)}"
    if limit and limit < total:
        found += f", of which this job may take {shown_size(limit)}"
    short = min(free, most) < _LEAST_MEMORY
    wanted = f"runs want {shown_size(_LEAST_MEMORY)}: end other programs, or ask for more"
    mend = wanted if short else ""
    yield Line("host memory", "warn" if short else "ok", found, mend)


def _usable_cores() -> int:
    """Returns on how many cores this process may run; where the system does not tell, of all."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _available_memory(total: int) -> int:
    """Returns the bytes that programs could take now; where the system does not tell, all."""
    table = Path("/proc/meminfo")
    if not table.is_file():
        return total
    fields = dict(line.split(":", 1) for line in table.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def _memory_limit() -> int | None:
    """Returns the limit of this process's control group in bytes; None: there is none."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup v2 and v1
        path = Path("/sys/fs/cgroup") / name
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            return int(text)
    return None


def _linear_algebra(asked: Asked) -> Iterator[Line]:
    """BLAS: probes are fitted with products of one thread, several at once."""
    del asked
    import scipy.linalg  # noqa: F401, PLC0415 (its BLAS is loaded before libraries are looked for)
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    libraries = [found for found in threadpool_info() if found["user_api"] == "blas"]
    # NumPy and SciPy bring one each, often the same.
    names = dict.fromkeys(
        f"{found['internal_api']} with {found['num_threads']} threads" for found in libraries
    )
    usable = _usable_cores()
    if not libraries:
        mend = "probes may be slow: install NumPy by pip"
        yield Line("BLAS", "warn", "no library is known", mend)
    elif max(found["num_threads"] for found in libraries) > usable:
        mend = f"set OMP_NUM_THREADS={usable}"
        yield Line("BLAS", "warn", f"{', '.join(names)} on {usable} cores", mend)
    else:
        yield Line("BLAS", "ok", ", ".join(names))


def _caches(asked: Asked) -> Iterator[Line]:
    del asked
    from huggingface_hub.constants import HF_HOME  # noqa: PLC0415 (loading it takes time)

    names = {"program cache": "programs", "audit cache": "audits", "digest cache": "digests"}
    folders = {subject: user_cache(name) for subject, name in names.items()}
    for subject, folder in (folders | {"HF_HOME": Path(HF_HOME)}).items():
        yield _writable(subject, folder, f"{shown_size(size_of(folder))} in {folder}")


def _workdir(asked: Asked) -> Iterator[Line]:
    if asked.workdir is None:
        return
    if asked.workdir.exists() and not asked.workdir.is_dir():
        yield Line("workdir", "fails", f"{asked.workdir} is a file", "name a folder")
        return
    there = nearest_there(asked.workdir)
    free = shutil.disk_usage(there).free
    line = _writable("workdir", asked.workdir, f"{asked.workdir}, {shown_size(free)} free")
    if line.state == "ok" and free < _LEAST_DISK:
        mend = "embeddings of many records take more: `geneb-jax run --plan` tells how much"
        line = line._replace(state="warn", mend=mend)
    yield line


def _writable(subject: str, folder: Path, found: str) -> Line:
    """Says whether files can be made in a folder, or in the one that would hold it."""
    there = nearest_there(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=there, suffix=".tmp"):
            pass
    except OSError as error:
        reason = f"{found}; nothing can be written into {there}: {error.strerror}"
        return Line(subject, "fails", reason, "change its rights, or name another folder")
    return Line(subject, "ok", found)


def _network(asked: Asked) -> Iterator[Line]:
    """The hub, from which tasks and checkpoints are fetched."""
    del asked
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE  # noqa: PLC0415

    if HF_HUB_OFFLINE:
        yield Line("hub", "ok", "HF_HUB_OFFLINE is set: nothing is fetched")
        return
    found: list[Line] = []
    url = f"{ENDPOINT}/api/datasets/{GENEB.dataset_repo}/revision/{GENEB.dataset_revision}"
    # Looking a name up heeds no time limit: a thread may take longer, and is left alone then.
    asking = threading.Thread(target=lambda: found.append(_answer(url, ENDPOINT)), daemon=True)
    asking.start()
    asking.join(_REACHED_WITHIN)
    late = f"{ENDPOINT} does not answer within {_REACHED_WITHIN:g} s"
    yield found[0] if found else Line("hub", "warn", late, _NO_HUB)


def _answer(url: str, hub: str) -> Line:
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(url, timeout=2 * _REACHED_WITHIN):
            return Line("hub", "ok", f"{hub} answers in {time.perf_counter() - start:.1f} s")
    except urllib.error.HTTPError as error:
        mend = "set HF_TOKEN, or look at HF_ENDPOINT"
        return Line("hub", "warn", f"{hub} refuses: {error.code} {error.reason}", mend)
    except OSError as error:
        return Line("hub", "warn", f"{hub} is not reached: {_in_a_line(error)}", _NO_HUB)


def _devices(asked: Asked) -> Iterator[Line]:
    """JAX and its devices, with a product on each and a sum over all; and the other processes."""
    with _heard() as words:
        try:
            import jax  # noqa: PLC0415

            from geneb_jax.devices.processes import join  # noqa: PLC0415

            process = join(asked.processes)
            devices = jax.local_devices()
        except Exception as error:  # whatever a plugin raises
            asked_for = os.environ.get("JAX_PLATFORMS")
            mend = f"JAX_PLATFORMS={asked_for} asks for it; " if asked_for else ""
            mend += "install the extra for this machine (cuda, tpu), or set JAX_PLATFORMS=cpu"
            if isinstance(error, ValueError) and asked.processes:
                mend = "start all processes with one address, each with its own number"
            yield Line("JAX", "fails", _in_a_line(error), mend)
            return
    for word in words:
        yield Line("JAX", "warn", word, "a run uses the devices below alone")
    if devices[0].platform == "cpu" and Path("/dev/nvidia0").exists():
        yield Line("JAX", "warn", "a GPU is there, and not used", "pip install '.[cuda]'")
    for device in devices:
        yield _device_line(device)
        for dtype in _TOLERANCE:
            yield _product_line(device, dtype)
    yield from _sums(devices)
    yield from _processes(process)


def _device_line(device: Any) -> Line:
    stats = device.memory_stats() or {}
    subject = f"device {device.id}"
    if "bytes_limit" not in stats:
        return Line(subject, "ok", f"{device.device_kind}; it uses the host's memory")
    limit, used = stats["bytes_limit"], stats.get("bytes_in_use", 0)
    free = f"{shown_size(limit - used)} free of {shown_size(limit)}"
    return Line(subject, "ok", f"{device.device_kind}, {free}")


def _product_line(device: Any, dtype: str) -> Line:
    """Multiplies two matrices on a device, compares some rows with NumPy, and takes the time."""
    import jax  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415

    from geneb_jax.devices.capacity import best_seconds  # noqa: PLC0415

    subject = f"product {device.id}, {dtype}"
    size = _SIZE.get(device.platform, _SIZE_ACCELERATOR)
    rng = np.random.default_rng(0)
    try:
        a, b = (
            jax.device_put(jnp.asarray(rng.standard_normal((size, size)), dtype), device)
            for _ in range(2)
        )
        product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
        seconds = best_seconds(lambda: product(a, b))
        found = np.asarray(product(a, b)[:_CHECKED_ROWS], np.float64)
    except Exception as error:  # whatever the device's compiler raises
        return Line(subject, "fails", _in_a_line(error), "the driver may not fit the installed JAX")
    exact = np.asarray(a[:_CHECKED_ROWS], np.float64) @ np.asarray(b, np.float64)
    error = float(np.max(np.abs(found - exact)) / np.max(np.abs(exact)))
    rate = f"{2 * size**3 / seconds / 1e12:.3g} TFLOP/s, error {error:.0e} of NumPy's in float64"
    if not error <= _TOLERANCE[dtype]:
        return Line(subject, "fails", rate, "the device computes wrongly: do not use it")
    return Line(subject, "ok", rate)


def _sums(devices: list[Any]) -> Iterator[Line]:
    """Sums a number a device over the devices of this process."""
    if len(devices) == 1:
        yield Line("all-reduce", "ok", "one device: nothing to reduce")
        return
    try:
        found = _all_reduce(devices)
    except Exception as error:  # whatever the transport raises
        mend = "use one device, as with CUDA_VISIBLE_DEVICES=0"
        yield Line("all-reduce", "fails", _in_a_line(error), mend)
        return
    right = found == sum(range(1, len(devices) + 1))
    words = f"{len(devices)} devices sum to {found:g}"
    mend = "" if right else "the devices do not add up: use one of them"
    yield Line("all-reduce", "ok" if right else "fails", words, mend)


def _processes(process: "Process") -> Iterator[Line]:
    """Lets the processes meet as those of a run do, which compute nothing across processes."""
    from geneb_jax.devices.meeting import First, MeetingError, Peer, in_touch  # noqa: PLC0415

    if process.count == 1:
        return
    try:
        if process.number:
            with in_touch(Peer(process, _MET_WITHIN)) as peer:
                peer.agree({})
                peer.finish()
        else:
            with in_touch(First(process, _MET_WITHIN)) as first:
                first.gather()
                first.agree({}, ())
                first.finish(None)
    except MeetingError as error:
        mend = "start all processes with one address, each with its own number"
        yield Line("processes", "fails", " ".join(str(error).split()), mend)
        return
    yield Line("processes", "ok", f"all {process.count} are here, this is {process.number}")


def _all_reduce(devices: list[Any]) -> float:
    """Returns the sum of the numbers 1, 2, ... of which each device holds one."""
    import jax  # noqa: PLC0415
    from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: PLC0415

    mesh = Mesh(np.array(devices), ("all",))
    numbers = np.arange(1, len(devices) + 1, dtype=np.float32)
    spread = NamedSharding(mesh, PartitionSpec("all"))
    array = jax.make_array_from_callback(numbers.shape, spread, lambda part: numbers[part])
    everywhere = NamedSharding(mesh, PartitionSpec())
    total = jax.jit(lambda x: x.sum(), out_shardings=everywhere)(array)
    return float(np.asarray(total.addressable_shards[0].data))


class _heard(stdlib_logging.Handler):  # noqa: N801 (used as a context)
    """Takes what JAX's log says inside the context, instead of the terminal; the first lines."""

    def __enter__(self) -> list[str]:
        self.words: list[str] = []
        self.logger = stdlib_logging.getLogger("jax")
        self.before = self.logger.propagate, list(self.logger.handlers)
        self.logger.propagate, self.logger.handlers = False, [self]
        self.setLevel(stdlib_logging.WARNING)
        return self.words

    def __exit__(self, *_: object) -> None:
        self.logger.propagate, self.logger.handlers = self.before

    def emit(self, record: stdlib_logging.LogRecord) -> None:
        """Keeps a record's message and error in one line."""
        error = record.exc_info[1] if record.exc_info else None
        reason = f" {_in_a_line(error)}" if error else ""
        line = f"{' '.join(record.getMessage().split())}{reason}"
        if line not in self.words:
            self.words.append(line)


_MET_WITHIN = 60.0  # seconds; whoever starts the processes by hand takes some
_LETTERS = 160  # of what a library says


def _in_a_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."


# In the order in which they are made; what takes longest is last.
CHECKS: Iterable[Callable[[Asked], Iterator[Line]]] = (
    _versions,
    _host,
    _linear_algebra,
    _caches,
    _workdir,
    _network,
    _devices,
)
