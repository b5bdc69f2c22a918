"""What a finished run has left, so that two runs can be compared file by file."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from geneb_jax.embedding.store import Store

# What says when and how fast something was, which two runs do not share.
_OF_TIME = re.compile(
    r"work/(log(-\d+)?\.txt|status\.json|run\.lock|devices/.*\.json|report/index\.html"
    r"|figures/throughput\.(png|svg))"
)
_CAPTION_OF_TIME = re.compile(rb"(?m)^- \*\*throughput\*\*.*\n")  # none where status.json was torn
_KEY = re.compile(r"/[0-9a-f]{32}$")  # of an embedding
_OF_STORE = re.compile(r"embeddings/.*(/store\.json|\.tmp)$")
# Of run.json: what was measured, and which processes took part.
_OF_THE_RUN = ("seconds", "taken", "memory", "embedding", "processes")


def finals(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each final file of a round's folder, by its name.

    Embeddings are compared by key: their chunks depend on where a run was interrupted. run.json
    is taken without what was measured and who computed it, captions.md without the figure of times,
    and archives of predictions by their arrays. Files that unfinished writes left are among the
    names, so that they differ from an undisturbed run.

    Args:
        folder: Holds `work`, and `embeddings` where embeddings are kept outside of it.
    """
    files = [p for top in ("work", "embeddings") for p in (folder / top).rglob("*") if p.is_file()]
    stores = {path.parent for path in files if path.suffix == ".npy"}
    names = {str(path.relative_to(folder)): path for path in files if path.suffix != ".npy"}
    kept = {name: _digest(path) for name, path in names.items() if not _OF_TIME.fullmatch(name)}
    for store in stores:
        kept |= {f"{store.relative_to(folder)}/{key}": value for key, value in _by_key(store)}
    return kept


def differences(
    found: Mapping[str, str], expected: Mapping[str, str], damaged: bool = False
) -> list[str]:
    """Returns the names of files that are missing, additional or of other content.

    Args:
        found: The final files of a run.
        expected: Those of the undisturbed run.
        damaged: Whether files of stores were. A run does not open the store of a model whose scores
            are finished: store.json, left-over files and missing embeddings may stay so there.
            Embeddings of other content never do.
    """
    names = sorted({*found, *expected})
    differing = [name for name in names if found.get(name) != expected.get(name)]
    return [
        name
        for name in differing
        if not (damaged and (_OF_STORE.search(name) or (_KEY.search(name) and name not in found)))
    ]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    if path.name == "run.json":
        content = json.loads(path.read_text())
        del content["config"]["processes"]  # each run has a port of its own
        kept = {name: value for name, value in content.items() if name not in _OF_THE_RUN}
        digest.update(json.dumps(kept).encode())
    elif path.name == "captions.md":
        digest.update(_CAPTION_OF_TIME.sub(b"", path.read_bytes()))
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in sorted(arrays):
                digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
                digest.update(arrays[name].tobytes())
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _by_key(store: Path) -> Iterator[tuple[str, str]]:
    """Yields each key of a store, in hexadecimal, and the SHA-256 of its embedding."""
    with tempfile.TemporaryDirectory() as copy:  # to read a store removes what is damaged there
        shutil.copytree(store, copy, dirs_exist_ok=True)
        opened = Store(copy)
        keys = {row.tobytes() for path in Path(copy).glob("keys-*.npy") for row in np.load(path)}
        whole = sorted(keys - opened.missing(sorted(keys)))
        for key, row in zip(whole, opened.get(whole), strict=True):
            yield key.hex(), hashlib.sha256(row.tobytes()).hexdigest()
