"""Embeddings on disk: float32 vectors by the content of what they were computed from.

A store is a folder of chunks, on a local disk or in a bucket that `etils.epath` reaches (gs://,
with the extra `gcs`): `values-V.npy` [n, D] float32 and `keys-K-V.npy` [n, 16] uint8, K and V the
digests of the two files' bytes. The values are written first and each file appears whole and never
changes, so that any number of processes may read and write a store at once, and a killed one loses
the unwritten chunk only. A file whose bytes are not those of its name is damaged: it is removed,
and what the chunk held is computed anew.
"""

import hashlib
import io
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec.config
import numpy as np
from absl import logging
from etils import epath

from geneb_jax.files.atomic import remove_leftovers, write_whole
from geneb_jax.files.folders import nearest_there
from geneb_jax.files.json_files import canonical_json
from probes.padding import roomy_features

IDENTITY = "store.json"  # what the store's embeddings were computed with
_KEY_BYTES = 16
_CHUNK = re.compile(r"keys-[0-9a-f]+-[0-9a-f]+\.npy")

# fsspec, through which epath reaches buckets, would keep a folder's first listing for good: what
# other processes write would never be seen.
for _scheme in ("gs", "s3", "az"):
    fsspec.config.conf.setdefault(_scheme, {})["use_listings_cache"] = False


def key(*parts: str) -> bytes:
    """Returns the key of what an embedding depends on: a record, or its place and its batch."""
    digest = hashlib.blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()


def folder_of_stores(embeddings_dir: str, workdir: Path) -> epath.Path:
    """Returns the folder that holds the stores of all models, a folder a model.

    Args:
        embeddings_dir: The config's, on any file system; empty: it is in the workdir.
        workdir: A run's.
    """
    return epath.Path(embeddings_dir or workdir / "embeddings")


def check_folder(folder: epath.PathLike) -> None:
    """Writes into a folder, or into the one that would hold it, and removes what it wrote.

    Raises:
        ValueError: Nothing can be written there.
    """
    try:
        there = epath.Path(folder)
        if "://" not in str(folder):  # a bucket has no folders that would have to be made
            there = epath.Path(nearest_there(Path(folder)))
        trial = there / f"{uuid.uuid4().hex}.tmp"
        trial.write_bytes(b"")
        trial.unlink()
    except Exception as error:  # each file system has its own
        reason = getattr(error, "strerror", None) or repr(error)
        raise ValueError(f"{folder}: nothing can be written there: {reason}") from error


class Store:
    """The embeddings of one model under one preset, precision, hidden state and pooling."""

    def __init__(self, folder: epath.PathLike, identity: Mapping[str, Any] | None = None):
        """Opens a store and reads its keys; makes the folder if it is missing.

        Args:
            folder: Any path that `etils.epath` opens.
            identity: What its embeddings are computed with, written beside them for people.
        """
        self.folder = epath.Path(folder)
        self._rows: dict[bytes, tuple[str, int]] = {}  # keys file and row of each key
        self._seen: set[str] = set()  # keys files that were read
        self._verified: set[str] = set()  # values files whose bytes are those of their name
        self.folder.mkdir(parents=True, exist_ok=True)
        if "://" not in str(folder):
            remove_leftovers(Path(folder))
        if identity is not None:
            _write_identity(self.folder / IDENTITY, canonical_json(identity).encode() + b"\n")
        self._look()

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, keys: Sequence[bytes]) -> set[bytes]:
        """Returns which of `keys` are to be computed.

        What other processes have written meanwhile is found. Each chunk that holds one of the keys
        is compared with its name, once; a damaged one is removed, with a warning that names it.
        """
        self._look()
        for chunk in sorted({self._rows[key][0] for key in keys if key in self._rows}):
            values = _values_of(chunk)
            if values not in self._verified:
                if self._read(values) is None:
                    self._forget(chunk)
                else:
                    self._verified.add(values)
        return {key for key in keys if key not in self._rows}

    def add(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Writes a chunk: `values` [n, D] under `keys`."""
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _KEY_BYTES)
        content, index = _npy(np.asarray(values, "<f4")), _npy(table)
        chunk = f"keys-{_digest(index)}-{_digest(content)}.npy"
        write_whole(self.folder / _values_of(chunk), content)
        write_whole(self.folder / chunk, index)
        self._verified.add(_values_of(chunk))
        self._enter(chunk, keys)

    def get(self, keys: Sequence[bytes]) -> np.ndarray:
        """Returns float32 [n, D], in the order of `keys`.

        Raises:
            KeyError: A key is not in the store.
        """
        rows_of: dict[str, list[int]] = {}
        for row, key in enumerate(keys):
            rows_of.setdefault(self._rows[key][0], []).append(row)
        found = np.empty((len(keys), 0), np.float32)
        for chunk, rows in rows_of.items():
            # In one piece: NumPy would ask a bucket for one small part after another.
            values = np.load(io.BytesIO((self.folder / _values_of(chunk)).read_bytes()))
            if not found.shape[1]:
                found = roomy_features(len(keys), values.shape[1])
            found[rows] = values[[self._rows[keys[row]][1] for row in rows]]
        return found

    def _look(self) -> None:
        """Reads the keys of chunks that are new, and drops chunks that are gone."""
        try:
            names = {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:  # a bucket has no empty folders
            names = set[str]()
        for name in self._seen - names:
            self._forget(name)
        for name in sorted(names - self._seen):
            if _CHUNK.fullmatch(name) and (content := self._read(name)) is not None:
                table = np.load(io.BytesIO(content))
                self._enter(name, [row.tobytes() for row in table])

    def _read(self, name: str) -> bytes | None:
        """The bytes of a chunk's file; None: they were damaged, and the file is removed."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # another process has removed it
            return None
        except OSError as error:  # a folder of this name, say: it stays as it is
            reason = error.strerror or repr(error)
            logging.warning("%s: %s; its embeddings are computed anew", path, reason)
            return None
        if _digest(content) == path.stem.split("-")[1]:
            return content
        path.unlink(missing_ok=True)
        logging.warning(
            "%s: its checksum is not that of its name; its embeddings are computed anew", path
        )
        return None

    def _enter(self, chunk: str, keys: Sequence[bytes]) -> None:
        self._seen.add(chunk)
        self._rows.update((key, (chunk, row)) for row, key in enumerate(keys))

    def _forget(self, chunk: str) -> None:
        """Drops a chunk whose values are lost."""
        self._seen.discard(chunk)
        self._rows = {key: row for key, row in self._rows.items() if row[0] != chunk}
        if (self.folder / chunk).is_file():
            (self.folder / chunk).unlink(missing_ok=True)


def _write_identity(path: epath.Path, content: bytes) -> None:
    """Writes what a store was computed with, where that is not there or is damaged."""
    try:
        same = path.read_bytes() == content
    except OSError:
        same = False
    if not same:
        write_whole(path, content)


def kept_keys(folder: epath.Path, keys: Collection[bytes]) -> set[bytes]:
    """Returns which of some keys a store's folder holds, as `Store.missing` would find.

    Chunks that hold one of the keys are read and compared with their names. Damaged and missing
    files count as holding nothing, and stay as they are.
    """
    wanted, found = set(keys), set[bytes]()
    for path in folder.iterdir() if folder.is_dir() else ():
        if _CHUNK.fullmatch(path.name) and (index := _undamaged(path)) is not None:
            here = wanted.intersection(row.tobytes() for row in np.load(io.BytesIO(index)))
            if here and _undamaged(folder / _values_of(path.name)) is not None:
                found |= here
    return found


def _undamaged(path: epath.Path) -> bytes | None:
    """Returns the bytes of a chunk's file; None: they are not those of its name, or not there."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if _digest(content) == path.stem.split("-")[1] else None


def _values_of(chunk: str) -> str:
    """The values file that belongs to a keys file."""
    return f"values-{chunk.rpartition('-')[2]}"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_KEY_BYTES).hexdigest()
