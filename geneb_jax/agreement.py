"""What the processes of a run must have in common, and how they find out."""

import dataclasses
import importlib.metadata
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from etils import epath

from geneb_jax.config import OF_A_HOST, ConfigError, Settings
from geneb_jax.devices.meeting import First, Peer
from geneb_jax.embedding.store import check_folder
from geneb_jax.files.atomic import temporary_name
from geneb_jax.files.folders import unless_empty
from geneb_jax.tasks.task import Task, content_digest

_SEEN_WITHIN = 30.0  # seconds, after which a shared disk shows a new file to other hosts
_COMPUTING = ("geneb-jax", "jax", "jaxlib", "numpy", "scipy")  # packages that results depend on
_DIGITS = 16  # of a digest, which people are to compare
_FOLDER, _SHARED = "the folder of embeddings (the workdir's, or config.embeddings_dir)", "shared"


def facts(settings: Settings, tasks: Sequence[Task]) -> dict[str, str]:
    """Returns what all processes of a run must have in common, by names that errors show.

    These are versions of packages, the fields of the config but those that say where things are on
    a host, and the content of each task.
    """
    groups = (getattr(settings, field.name) for field in dataclasses.fields(settings))
    values = {name: value for group in groups for name, value in vars(group).items()}
    return {
        **{f"package {name}": importlib.metadata.version(name) for name in _COMPUTING},
        **{f"config.{name}": str(values[name]) for name in values if name not in OF_A_HOST},
        **{
            f"the content of task '{task.info.id}'": content_digest(task)[:_DIGITS]
            for task in tasks
        },
        _FOLDER: _SHARED,
    }


@contextmanager
def shown_to_others(first: First, folder: epath.Path) -> Iterator[None]:
    """Lets a file stand in the folder of embeddings, by which others know that they share it.

    Raises:
        ConfigError: Nothing can be written there.
    """
    if first.process.count == 1:
        yield
        return
    try:
        check_folder(folder)
    except ValueError as error:
        raise ConfigError([f"config.embeddings_dir: {error}"]) from error
    with unless_empty(folder):
        sign = folder / temporary_name(first.token)
        sign.write_text("")
        try:
            yield
        finally:
            sign.unlink(missing_ok=True)


def look_for_first(peer: Peer, folder: epath.Path) -> dict[str, str]:
    """Returns the fact whether a folder of embeddings is that of the first process."""
    deadline = time.monotonic() + _SEEN_WITHIN
    while not any(folder.glob(f"*.{peer.token}.tmp")):
        if time.monotonic() > deadline:
            return {_FOLDER: f"another one, {folder} on host {socket.gethostname()}"}
        time.sleep(0.2)
    return {_FOLDER: _SHARED}
