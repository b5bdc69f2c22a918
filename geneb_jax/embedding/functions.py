"""A Python function as a model of a run: from a list of sequences to their embeddings."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from geneb_jax.embedding.source import (
    Advance,
    Cost,
    Prepared,
    Refusal,
    Representation,
    SourcePlan,
    Weightless,
    baseline,
    count_records,
    unpublished_card,
)
from geneb_jax.embedding.store import IDENTITY, Store, key
from geneb_jax.files.atomic import write_whole
from geneb_jax.tasks.task import Task
from model_ports.contract.family import FINAL, View
from model_ports.running.letters import Unseen
from model_ports.running.windows import telling_of_records

# Takes N sequences and returns their embeddings [N, D], as an array or what NumPy makes one of.
Embed = Callable[[list[str]], Any]

_FLUSH_SECONDS = 10.0  # of embeddings are lost at most where a run is killed
_LETTERS = 40  # of a record that are shown
# Kept embeddings that are computed again, to see whether the function is the same: of the records
# in this file of the store.
_COMPARED = 4
_COMPARED_FILE = "compared.json"
_TOLERANCE = 1e-2  # of their largest value: what another batch or bfloat16 may change


class FunctionError(ValueError):
    """Raised for a function that returns no embeddings, or others than were kept of it."""


@dataclass(frozen=True)
class FunctionSource(Weightless):
    """A function as a model of a run.

    Its embeddings are kept by name and record. What a function computes cannot be read from it, so
    that another one needs another name. Before kept embeddings are taken, some are computed again
    and compared.

    Attributes:
        name: Its name in the config and in scores.csv.
        function: Embeds sequences.
        batch_size: The most sequences that it is given at once.
        folder: Keeps its embeddings.
    """

    name: str
    function: Embed
    batch_size: int
    folder: epath.Path

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns what is wrong where kept embeddings are not those of the function."""
        del tasks  # the same records are compared, whatever is asked
        if not (self.folder / _COMPARED_FILE).exists():
            return []
        store = Store(self.folder)
        try:
            records = json.loads((self.folder / _COMPARED_FILE).read_text())
            keys = {key(record): record for record in records}
        except (ValueError, TypeError, AttributeError) as error:
            why = f"is damaged ({error}); remove its folder: all is computed anew"
            return [Refusal(f"{self.folder / _COMPARED_FILE}: {why}")]
        lost = store.missing(list(keys))
        kept = [k for k in keys if k not in lost]
        if not kept:
            return []
        old, new = store.get(kept), self.call([keys[k] for k in kept])
        if old.shape == new.shape:
            difference = np.abs(old - new).max(axis=1) / np.abs(old).max(axis=1).clip(1e-30)
            worst = int(difference.argmax())
            if difference[worst] <= _TOLERANCE:
                return []
            what = f"differs by {difference[worst]:.2g} of its largest value"
        else:
            worst, what = 0, f"has {new.shape[1]} values, not {old.shape[1]}"
        shown = keys[kept[worst]][:_LETTERS]
        return [
            Refusal(
                f"its embedding of '{shown}' {what} from the one that is kept in {self.folder}; "
                "give another function another name"
            )
        ]

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns that nothing is known of the function."""
        del workdir
        return SourcePlan(lambda tasks: Cost(count_records(tasks)), 0)

    def operations(self, records: int) -> float | None:
        """Returns None: nothing is known of the function."""
        del records
        return None

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns nothing: what the function reads of a sequence is not known."""
        del sequences
        return []

    def open(self, workdir: Path) -> "OpenFunction":
        """Opens the store of its embeddings.

        Raises:
            FunctionError: The file that says which store it is cannot be read.
        """
        del workdir
        # A new store has a new identity: scores of what an older one kept are not taken for its.
        identity: Mapping[str, Any] = {"model": self.name, "function": uuid.uuid4().hex}
        path = self.folder / IDENTITY
        try:
            identity = json.loads(path.read_text()) if path.exists() else identity
        except ValueError as error:
            raise FunctionError(
                f"{path}: is not JSON ({error}); remove its folder: all is computed anew"
            ) from error
        return OpenFunction(self, (baseline(identity),), Store(self.folder, identity))

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Returns the function's embeddings of N sequences, float32 [N, D]; see `Source`."""
        del names
        vectors = np.concatenate([*self.batches(sequences, advance)])
        return {View(FINAL, "mean"): vectors}

    def batches(self, sequences: Sequence[str], advance: Advance) -> Iterator[np.ndarray]:
        """Yields the embeddings of sequences, batch after batch, float32 [n, D].

        Raises:
            FunctionError: The function returns something else, or embeddings of several widths.
        """
        width = None
        for start in range(0, len(sequences), self.batch_size):
            batch = list(sequences[start : start + self.batch_size])
            vectors = self.call(batch)
            width = width or vectors.shape[1]
            if vectors.shape[1] != width:
                raise FunctionError(
                    f"function '{self.name}' returned embeddings of {width} and of "
                    f"{vectors.shape[1]} values; all need the same number"
                )
            yield vectors
            advance(len(batch))

    def call(self, sequences: list[str]) -> np.ndarray:
        """Returns the function's embeddings of N sequences, float32 [N, D].

        Raises:
            FunctionError: The function returns something else, or values that are not finite.
        """
        returned = self.function(sequences)
        try:
            vectors = np.asarray(returned)
        except Exception as error:  # whatever the array of another framework raises
            raise FunctionError(
                f"function '{self.name}' returned {type(returned).__name__}, of which NumPy makes "
                f"no array ({' '.join(str(error).split())}); return a NumPy array [N, D]"
            ) from error
        if vectors.dtype.kind not in "fiu" or vectors.ndim != 2 or not vectors.shape[1]:
            raise FunctionError(
                f"function '{self.name}' returned an array of the shape {list(vectors.shape)} and "
                f"dtype {vectors.dtype}; numbers [{len(sequences)}, D] are needed"
            )
        if len(vectors) != len(sequences):
            raise FunctionError(
                f"function '{self.name}' returned {len(vectors)} embeddings of {len(sequences)} "
                "sequences"
            )
        with np.errstate(over="ignore"):
            vectors = vectors.astype(np.float32)
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            raise FunctionError(
                f"function '{self.name}' returned values that are not finite in float32 for "
                f"'{sequences[int(finite.argmin())][:_LETTERS]}'"
            )
        return vectors


class OpenFunction(NamedTuple):
    """A function and the store of its embeddings.

    Attributes:
        source: The function.
        representations: Its one representation.
        store: Keeps its embeddings by record.
    """

    source: FunctionSource
    representations: Sequence[Representation]
    store: Store

    @property
    def card(self) -> Mapping[str, Any]:
        """What a submission says of the model."""
        return unpublished_card(self.source.name, training_data="not stated")

    @property
    def widths(self) -> Sequence[int]:
        """None: the function has not been called yet."""
        return ()

    def prepare(self, tasks: Sequence[Task], advance: Advance) -> Prepared:
        """Embeds the records of these tasks that are not kept already, each distinct one once."""
        records = dict.fromkeys(
            s for task in tasks for split in (task.train, task.test) for s in split.sequences
        )
        keys = {key(sequence): sequence for sequence in records}
        missing = self.store.missing(list(keys))
        # Records of like length together: a model that pads has less to pad.
        wanted = sorted((k for k in keys if k in missing), key=lambda k: len(keys[k]))
        path = self.source.folder / _COMPARED_FILE
        if wanted and not path.exists():
            spread = wanted[:: max(len(wanted) // _COMPARED, 1)][:_COMPARED]
            write_whole(path, json.dumps([keys[k] for k in spread]).encode())
        held, written, flushed = [], 0, time.monotonic()

        def flush() -> None:
            nonlocal held, written, flushed
            if held:
                end = written + sum(map(len, held))
                self.store.add(wanted[written:end], np.concatenate(held))
                held, written = [], end
            flushed = time.monotonic()

        tell = telling_of_records(advance, len(records), max(len(wanted), 1))
        try:
            for vectors in self.source.batches([keys[k] for k in wanted], tell):
                held.append(vectors)
                if time.monotonic() - flushed > _FLUSH_SECONDS:
                    flush()
        finally:  # an interruption, or a record that the function cannot take, loses nothing
            flush()

        def features(task: Task, _: Representation) -> tuple[np.ndarray, np.ndarray]:
            train, test = ([key(s) for s in split.sequences] for split in (task.train, task.test))
            return self.store.get(train), self.store.get(test)

        return Prepared(features, {})

    def prepare_share(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Does nothing: the first process alone calls the function."""
