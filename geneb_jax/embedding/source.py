"""What a model is to a run: one object from its name in the config to the features of tasks.

A `Source` says what it would refuse before anything is computed, and opens into an `OpenSource`,
which gives features. K-mers, stored embeddings and ports are sources (`kmers`, `stored`,
`ports`); `models` finds the one that a name asks for. Nothing else asks what kind a model is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from etils import epath

from geneb_jax.tasks.task import Task
from model_ports.contract.family import View
from model_ports.running.letters import Unseen

Advance = Callable[[int], None]  # told how many records were done since the last call


class Refusal(NamedTuple):
    """What keeps a model from running, found without weights.

    Attributes:
        reason: What is wrong, in one line.
        task: The task's id, where the model can be run on others; empty: on none.
        details: More lines than the reason has, for the log; empty: there are none.
    """

    reason: str
    task: str = ""
    details: str = ""

    def __str__(self) -> str:
        """Returns the reason, with the task's name before it if it is of one."""
        return f"task '{self.task}': {self.reason}" if self.task else self.reason


@dataclass(frozen=True)
class Representation:
    """One view of a model whose features are probed.

    Attributes:
        columns: The columns preset, dtype, tap and pooling of scores.csv.
        identity: Everything that the features depend on beside the records; where it differs,
            kept embeddings and scores are not taken.
        view: Hidden state and pooling of a port; None of a baseline.
        of_preset: Whether it is the view that the model's preset pools.
        unknown_fields: Fields of a checkpoint's config.json that its port does not know.
        known_defects: What whoever runs the model must know of it, in sentences.
    """

    columns: Mapping[str, str]
    identity: Mapping[str, Any]
    view: View | None = None
    of_preset: bool = True
    unknown_fields: tuple[str, ...] = ()
    known_defects: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the representation's folder."""
        return "-".join(self.columns.values())


def baseline(identity: Mapping[str, Any]) -> Representation:
    """Returns the one representation of a source without preset, hidden states and pooling."""
    columns = {"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}
    return Representation(columns, identity)


# Features of a task in a representation: float32 [N_train, D] and [N_test, D].
Features = Callable[[Task, Representation], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Cost:
    """What the features of some records take.

    Attributes:
        records: Records to be embedded: distinct ones where they are there, else all.
        kept: Records whose features are there.
        tokens: Their tokens, without padding.
        flop: Operations of matrix products and convolutions, with the padding of lengths.
        programs: Static shapes that they run in.
        store: Bytes of their embeddings on disk.
        typical: Whether token lengths are those of the benchmark's records, not of these.
    """

    records: int
    kept: int = 0
    tokens: float = 0.0
    flop: float = 0.0
    programs: int = 0
    store: int = 0
    typical: bool = False


ITERATIONS = 330  # of a fit of all rows on embeddings at C = 1, about; see `scoring.cost`


@dataclass(frozen=True)
class SourcePlan:
    """A model as far as it is known without its weights.

    Attributes:
        cost: Returns what the features of some tasks take, or of a number of records that are not
            there.
        representations: As `OpenSource.representations`; none where weights are to be fetched
            first, by which they are told apart.
        width: Features of each representation.
        dtype: Precision of the computation.
        download: Bytes of weights to be fetched, from the numbers of parameters.
        convert: Bytes of weights to be converted, from the same.
        stores: The folders that keep its embeddings; models with the same ones share these.
        most: Returns the bytes of the embeddings of some tasks' records where none is kept and
            none comes twice, without looking at them.
        notes: What else is to be said, a sentence each.
        refusals: Returns what keeps the model from running on tasks, as far as it is known without
            weights and without a network.
        unseen: Returns which records the model does not see in full, as far as that is known so.
        iterations: About how many a fit of all train rows takes on its features.
    """

    cost: Callable[[Sequence[Task] | int], Cost]
    width: int
    representations: Sequence[Representation] = ()
    dtype: str = "float32"
    download: int = 0
    convert: int = 0
    stores: Sequence[epath.Path] = ()
    most: Callable[[Sequence[Task]], int] = lambda _: 0
    notes: Sequence[str] = ()
    refusals: Callable[[Sequence[Task]], Sequence[Refusal]] = lambda _: ()
    unseen: Callable[[Sequence[str]], Sequence[Unseen]] = lambda _: ()
    iterations: int = ITERATIONS


def count_records(tasks: Sequence[Task] | int) -> int:
    """Returns how many rows tasks have; a number is returned as it is."""
    if isinstance(tasks, int):
        return tasks
    return sum(len(task.train.labels) + len(task.test.labels) for task in tasks)


class Prepared(NamedTuple):
    """The features of some tasks, and what computing them took.

    Attributes:
        features: Looks the features of one of the tasks up.
        speed: What embedding took (see `tuning.speed_figures`); empty where nothing was embedded.
        turned: Looks the features of a task's test records on the other strand up, float32
            [N_test, D]; None: they are not asked for.
    """

    features: Features
    speed: Mapping[str, Any]
    turned: Callable[[Task, Representation], np.ndarray] | None = None


class OpenSource(Protocol):
    """A model that is ready to give features."""

    @property
    def representations(self) -> Sequence[Representation]:
        """The views that are probed, all from one forward pass."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """What a submission says of the model: model_id, display, params, url, training_data.

        Beside it stand what the report says of a network: architecture and tokenization.
        """
        ...

    @property
    def widths(self) -> Sequence[int]:
        """The width D of each representation's features; none: not known before `prepare`."""
        ...

    def prepare(self, tasks: Sequence[Task], advance: Advance) -> Prepared:
        """Computes what the features of these tasks need.

        Raises:
            FloatingPointError: An embedding is not finite; names the task and the row.
            DeviceMemoryError: A single record does not fit the device.
        """
        ...

    def prepare_share(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Computes this process's share of what `prepare` needs, where processes share it.

        Raises:
            FloatingPointError, DeviceMemoryError: See `prepare`.
        """
        ...


class Source(Protocol):
    """A model as the config names it."""

    @property
    def name(self) -> str:
        """The model's name in the config and in scores.csv."""
        ...

    @property
    def shared(self) -> bool:
        """Whether the processes of a run compute its features together."""
        ...

    @property
    def strandless(self) -> bool:
        """Whether the features of a record are those of its reverse complement, by definition."""
        ...

    @property
    def viewless(self) -> bool:
        """Whether it has one vector a record, whatever hidden states and poolings are asked."""
        ...

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns what would keep the model from running on these tasks, found without weights."""
        ...

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns which records the model does not see in full, found without weights.

        Args:
            sequences: N records of a model that `check` finds fit to run.
        """
        ...

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns what is known of the model and its costs, without weights; writes nothing.

        Args:
            workdir: See `open`; it need not be there.

        Raises:
            ValueError: The model's files cannot be read.
        """
        ...

    def operations(self, records: int) -> float | None:
        """Returns how many operations the features of so many records take, roughly.

        It is for comparing models, before anything is computed, and takes no time.

        Args:
            records: How many there are, like the benchmark's.

        Returns:
            0: there is nothing to embed; None: not known.
        """
        ...

    def open(self, workdir: Path) -> OpenSource:
        """Makes the model ready; weights are loaded here.

        Args:
            workdir: Holds embeddings and measurements of the devices.

        Raises:
            ValueError: The model cannot be loaded.
        """
        ...

    def control(self, seed: int) -> "Source | None":
        """Returns the same model with random weights drawn with a seed; None: it has no weights."""
        ...

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Embeds N sequences into memory, float32 [N, D] of each view.

        Args:
            sequences: N sequences, none of them empty.
            names: What errors call the sequences; none: their indices.
            advance: Told how many sequences were done since the last call.

        Raises:
            ValueError: The model cannot be loaded, has no such view, or refuses a sequence.
        """
        ...


class Weightless:
    """What sources without weights have in common, which embed nothing before it is probed."""

    @property
    def shared(self) -> bool:
        """False: there is nothing to compute together."""
        return False

    @property
    def strandless(self) -> bool:
        """False: features may differ between strands."""
        return False

    @property
    def viewless(self) -> bool:
        """True: without weights there are no hidden states."""
        return True

    def operations(self, records: int) -> float | None:
        """Returns 0: nothing is embedded."""
        del records
        return 0.0

    def control(self, seed: int) -> None:
        """Returns nothing: there are no weights to be drawn."""
        del seed


@dataclass(frozen=True)
class UnfitSource(Weightless):
    """A model whose files keep it from being run; the others of a run go on.

    Attributes:
        name: Its name in the config.
        reason: What is wrong, in one line.
    """

    name: str
    reason: str

    @property
    def viewless(self) -> bool:
        """False: it is not known."""
        return False

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns the reason."""
        del tasks
        return [Refusal(self.reason)]

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns nothing: the model sees no record."""
        del sequences
        return []

    def plan(self, workdir: Path) -> SourcePlan:
        """Raises ValueError with the reason."""
        raise ValueError(self.reason)

    def open(self, workdir: Path) -> OpenSource:
        """Raises ValueError with the reason."""
        raise ValueError(self.reason)

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Raises ValueError with the reason."""
        raise ValueError(self.reason)


def unpublished_card(name: str, *, params: int = 0, training_data: str = "none") -> dict[str, Any]:
    """Returns what a submission says of a model that nobody has published."""
    return {
        "model_id": name,
        "display": name,
        "params": params,
        "url": "",
        "training_data": training_data,
    }


@dataclass(frozen=True)
class Immediate:
    """An open source whose features take no preparation.

    Attributes:
        card: See `OpenSource`.
        representation: Its one representation.
        of_task: Returns the features of a task, float32 [N_train, D] and [N_test, D].
        widths: See `OpenSource`.
    """

    card: Mapping[str, Any]
    representation: Representation
    of_task: Callable[[Task], tuple[np.ndarray, np.ndarray]]
    widths: Sequence[int] = ()

    @property
    def representations(self) -> Sequence[Representation]:
        """The one representation."""
        return (self.representation,)

    def prepare(self, tasks: Sequence[Task], advance: Advance) -> Prepared:
        """Returns the look-up of features; nothing is computed before it is asked."""
        del tasks, advance
        return Prepared(lambda task, _: self.of_task(task), {})

    def prepare_share(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Does nothing: there is nothing to share."""
