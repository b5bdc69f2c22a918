"""Both strands of a record: a model whose embeddings are averaged over them, and one asked of both.

A record and its reverse complement are one piece of DNA, and most models embed them differently.
`BothStrands` is the model whose embedding is the mean of the two; `WithOtherStrand` is the model as
it is, which also gives the features of test records on the other strand, so that it can be said how
often a prediction changes with it. Both take the embeddings of records as given from one store.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geneb_jax.embedding.identity import BOTH_STRANDS
from geneb_jax.embedding.source import (
    Advance,
    Cost,
    OpenSource,
    Prepared,
    Refusal,
    Representation,
    Source,
    SourcePlan,
)
from geneb_jax.tasks.letters import reverse_complement
from geneb_jax.tasks.task import Split, Task
from model_ports.contract.family import View
from model_ports.running.letters import Unseen

_TURNED = " (reverse complement)"


def stranded(source: Source, strands: Sequence[str]) -> Iterator[Source]:
    """Yields what a run evaluates of a model.

    Args:
        source: The model; one that is averaged over both strands already stays what it is.
        strands: 'given', 'both' or both of these: see `config.strand`.
    """
    if source.strandless:  # a mean over strands would be the model again
        yield source
        return
    if "given" in strands:
        yield WithOtherStrand(source) if "both" in strands else source
    if "both" in strands:
        yield BothStrands(source)


@dataclass(frozen=True)
class _Stranded:
    """A model that is also asked of the reverse complement of each record.

    Attributes:
        source: The model.
    """

    source: Source

    @property
    def name(self) -> str:
        """The model's name in the config."""
        return self.source.name

    @property
    def shared(self) -> bool:
        """Whether the processes of a run compute its features together."""
        return self.source.shared

    @property
    def strandless(self) -> bool:
        """Whether the features of a record are those of its reverse complement, by definition."""
        return self.source.strandless

    @property
    def viewless(self) -> bool:
        """Whether the model has one vector a record and strand; see `Source`."""
        return self.source.viewless

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns what would keep the model from running on these tasks, on either strand."""
        return _of_records_as_given(self.source.check(_on_both(tasks)))

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns which records the model does not see in full, found without weights."""
        return self.source.unseen(sequences)

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns what is known of the model; it embeds every record on both strands."""
        plan = self.source.plan(workdir)

        def cost(tasks: Sequence[Task] | int) -> Cost:
            return plan.cost(2 * tasks if isinstance(tasks, int) else _on_both(tasks))

        return replace(
            plan,
            cost=cost,
            most=lambda tasks: 2 * plan.most(tasks),
            refusals=lambda tasks: _of_records_as_given(plan.refusals(_on_both(tasks))),
        )

    def operations(self, records: int) -> float | None:
        """Returns how many operations so many records take on both strands; see `Source`."""
        return self.source.operations(2 * records)

    def control(self, seed: int) -> None:
        """Returns nothing: controls are asked of the model itself."""
        del seed


def _of_records_as_given(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Returns refusals of tasks on either strand as those of the tasks."""
    return [refusal._replace(task=refusal.task.removesuffix(_TURNED)) for refusal in refusals]


@dataclass(frozen=True)
class WithOtherStrand(_Stranded):
    """A model as it is, with the features of test records on the other strand."""

    def open(self, workdir: Path) -> OpenSource:
        """Makes the model ready; see `Source`."""
        model = self.source.open(workdir)
        return _OpenStranded(model, model.card, model.representations, averaged=False)

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Embeds N sequences as they are; see `Source`."""
        return self.source.embed(sequences, names, advance)


@dataclass(frozen=True)
class BothStrands(_Stranded):
    """A model whose embeddings are the means of those of a record and its reverse complement."""

    @property
    def name(self) -> str:
        """The model's name in the config, and what is made of it."""
        return f"{self.source.name}{BOTH_STRANDS}"

    @property
    def strandless(self) -> bool:
        """Returns that it is: a mean over both strands is that of the other strand too."""
        return True

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns what is known of the model; it embeds every record on both strands."""
        plan = super().plan(workdir)
        return replace(plan, representations=[_averaged(each) for each in plan.representations])

    def open(self, workdir: Path) -> OpenSource:
        """Makes the model ready; see `Source`."""
        model = self.source.open(workdir)
        card = {
            **model.card,
            "model_id": f"{model.card['model_id']}{BOTH_STRANDS}",
            "display": f"{model.card['display']}, both strands",
        }
        representations = [_averaged(each) for each in model.representations]
        return _OpenStranded(model, card, representations, averaged=True)

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Embeds N sequences on both strands into memory, and averages; see `Source`."""
        turned = [reverse_complement(sequence) for sequence in sequences]
        found = self.source.embed([*sequences, *turned], [*names, *names], advance)
        half = len(sequences)
        return {view: _mean(x[:half], x[half:]) for view, x in found.items()}


@dataclass(frozen=True)
class _OpenStranded:
    """A model that is ready to give features of both strands.

    Attributes:
        model: The model.
        card: What a submission says of it.
        representations: The model's, in its order, or what averaging makes of them.
        averaged: Whether features are means over both strands.
    """

    model: OpenSource
    card: Mapping[str, Any]
    representations: Sequence[Representation]
    averaged: bool

    @property
    def widths(self) -> Sequence[int]:
        """The width of each representation; see `OpenSource`."""
        return self.model.widths

    def prepare(self, tasks: Sequence[Task], advance: Advance) -> Prepared:
        """Computes what the features of these tasks need, on both strands."""
        prepared = self.model.prepare(_on_both(tasks), _halved(advance))
        of_model = dict(
            zip(
                [each.name for each in self.representations],
                self.model.representations,
                strict=True,
            )
        )

        def given(task: Task, each: Representation) -> tuple[np.ndarray, np.ndarray]:
            return prepared.features(task, of_model[each.name])

        def turned(task: Task, each: Representation) -> tuple[np.ndarray, np.ndarray]:
            return prepared.features(_turn(task), of_model[each.name])

        def averaged(task: Task, each: Representation) -> tuple[np.ndarray, np.ndarray]:
            (a, b), (a_turned, b_turned) = given(task, each), turned(task, each)
            return _mean(a, a_turned), _mean(b, b_turned)

        if self.averaged:  # of the other strand it is the same
            return Prepared(averaged, prepared.speed, lambda task, each: averaged(task, each)[1])
        return Prepared(given, prepared.speed, lambda task, each: turned(task, each)[1])

    def prepare_share(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Computes this process's share of what `prepare` needs."""
        self.model.prepare_share(_on_both(tasks), _halved(advance))


def _averaged(representation: Representation) -> Representation:
    return replace(representation, identity={**representation.identity, "strands": "both"})


def _mean(x: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Returns the mean of two float32 [N, D], the same in either order."""
    return (x + turned) * np.float32(0.5)


def _on_both(tasks: Sequence[Task]) -> list[Task]:
    return [*tasks, *map(_turn, tasks)]


def _turn(task: Task) -> Task:
    """Returns a task with the reverse complement of each record, under a name of its own."""
    train, test = (
        Split([reverse_complement(s) for s in split.sequences], split.labels, split.rows)
        for split in (task.train, task.test)
    )
    info = replace(task.info, id=f"{task.info.id}{_TURNED}")
    return replace(task, info=info, train=train, test=test)


def _halved(advance: Callable[[int], None]) -> Advance:
    """Returns what is told of a record on each of its strands, and tells of it once."""
    told = [0, 0]  # on strands, of records

    def tell(done: int) -> None:
        told[0] += done
        records = told[0] // 2 - told[1]
        told[1] += records
        advance(records)

    return tell
