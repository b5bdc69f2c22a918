"""Embeddings on disk: float32 vectors by the content of what they were computed from.

A store is a folder of chunks, `keys-00000.npy` [n, 16] uint8 and `values-00000.npy` [n, D]
float32. The values are written first and each file appears whole, so that a chunk whose keys
are there is complete: a killed run loses the unwritten chunk only.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_KEY_BYTES = 16


class StoreError(ValueError):
    """A store's file is damaged."""


def key(*parts: str) -> bytes:
    """Returns the key of what an embedding depends on: a record, or its place and its batch."""
    digest = hashlib.blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()


class Store:
    """The embeddings of one model under one preset and precision."""

    def __init__(self, folder: Path):
        """Opens a store and reads its keys; makes the folder if it is missing.

        Raises:
            StoreError: A chunk cannot be read.
        """
        self.folder = folder
        self._place: dict[bytes, tuple[int, int]] = {}
        self._values: list[np.ndarray] = []
        folder.mkdir(parents=True, exist_ok=True)
        while self._path("keys", len(self._values)).exists():
            self._open(len(self._values))

    def __contains__(self, key: bytes) -> bool:
        return key in self._place

    def __len__(self) -> int:
        return len(self._place)

    def add(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Writes a chunk: `values` [n, D] under `keys`."""
        chunk = len(self._values)
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _KEY_BYTES)
        _save(self._path("values", chunk), np.asarray(values, np.float32))
        _save(self._path("keys", chunk), table)
        self._open(chunk)

    def get(self, keys: Sequence[bytes]) -> np.ndarray:
        """Returns float32 [n, D], in the order of `keys`.

        Raises:
            KeyError: A key is not in the store.
        """
        places = np.array([self._place[key] for key in keys]).reshape(-1, 2)
        width = self._values[0].shape[1] if self._values else 0
        found = np.empty((len(keys), width), np.float32)
        for chunk in np.unique(places[:, 0]):
            rows = np.flatnonzero(places[:, 0] == chunk)
            found[rows] = self._values[chunk][places[rows, 1]]
        return found

    def _path(self, what: str, chunk: int) -> Path:
        return self.folder / f"{what}-{chunk:05d}.npy"

    def _open(self, chunk: int) -> None:
        try:
            keys = np.load(self._path("keys", chunk))
            values = np.load(self._path("values", chunk), mmap_mode="r")
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.folder}: chunk {chunk} cannot be read ({error}); "
                "remove the folder to compute it anew"
            ) from error
        if len(keys) != len(values):
            raise StoreError(
                f"{self.folder}: chunk {chunk} has {len(keys)} keys for {len(values)} embeddings; "
                "remove the folder to compute it anew"
            )
        self._values.append(values)
        self._place.update((row.tobytes(), (chunk, i)) for i, row in enumerate(keys))


def _save(path: Path, array: np.ndarray) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
