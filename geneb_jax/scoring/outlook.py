"""How long a run still takes: what its models are expected to take, at the rates of what is done.

Models differ a thousandfold, so that their number says little. A model is expected to take time in
each stage in proportion to what there is to do: operations of embedding, train rows of probing.
The seconds for each are those that this run has taken for what it has done. Waiting for programs to
be compiled is apart: a model waits once in a stage, however much there is to do, and those ahead as
long as those before it on average.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from geneb_jax.embedding.source import Source, count_records
from geneb_jax.scoring.cells import holds_scores
from geneb_jax.tasks.task import Task


class Expected(NamedTuple):
    """What there is to do for a model, by stage, in units that add up over models.

    Attributes:
        load: 1.
        embed: Operations of embedding what is not scored; None: not known.
        probe: Train rows of the tasks that are not scored.
    """

    load: float = 1.0
    embed: float | None = 0.0
    probe: float = 0.0


_STAGES = Expected._fields  # in their order


def expect(workloads: Sequence[tuple[Source, Sequence[Task]]], workdir: Path) -> list[Expected]:
    """Returns what there is to do for each model of a run.

    Args:
        workloads: The models with their tasks.
        workdir: Tasks of which it holds scores are not counted, whatever they were computed from.
    """
    expected = []
    for source, tasks in workloads:
        name = source.name
        pending = [task for task in tasks if not holds_scores(workdir, name, task.info.id)]
        rows = sum(len(task.train.labels) for task in pending)
        operations = source.operations(count_records(pending)) if pending else 0.0
        expected.append(Expected(1.0, operations, rows))
    return expected


class _Past(NamedTuple):
    """What was done in a stage by the models so far.

    Attributes:
        worked: Seconds that it took, without the waiting for programs.
        waited: Seconds of this waiting.
        done: What of the expected was done.
        models: How many models had something to do.
    """

    worked: float = 0.0
    waited: float = 0.0
    done: float = 0.0
    models: int = 0

    def and_also(self, worked: float, waited: float, done: float) -> "_Past":
        """Returns the sums with one more model."""
        return _Past(self.worked + worked, self.waited + waited, self.done + done, self.models + 1)


class Outlook:
    """What of the expected is done, and how long it took."""

    def __init__(self, expected: Sequence[Expected]) -> None:
        """Begins before the first model.

        Args:
            expected: What there is to do for each model, in the order in which they are taken up.
        """
        self._expected = list(expected)
        self._number = -1
        self._past = {stage: _Past() for stage in _STAGES}

    def next_model(self) -> None:
        """Hears that the next model is taken up."""
        self._number += 1

    def ended(self, stage: str, worked: float, waited: float, share: float) -> None:
        """Hears that a stage of the model has ended.

        Args:
            stage: 'load', 'embed' or 'probe'; others count for nothing.
            worked: Seconds that it took, without the waiting for programs.
            waited: Seconds that it waited for programs.
            share: How much of it was done, from 0 to 1.
        """
        if expected := self._expected_here(stage):
            self._past[stage] = self._past[stage].and_also(worked, waited, share * expected)

    def remaining(self, stage: str, worked: float, waited: float, share: float) -> float | None:
        """Returns the seconds that the run still takes; None: nothing like it was done yet.

        Args:
            stage: What is done now; see `ended`.
            worked: How long that was done, without the waiting for programs.
            waited: How long it has waited for programs.
            share: How much of it is done, from 0 to 1.
        """
        if stage not in _STAGES or not 0 <= self._number < len(self._expected):
            return None
        total = 0.0
        for kind in _STAGES:
            ahead = [getattr(each, kind) for each in self._expected[self._number + 1 :]]
            past = self._past[kind]
            if kind == stage and share:
                total += worked * (1 - share) / share
                past = past.and_also(worked, waited, share * (self._expected_here(kind) or 0.0))
            elif _STAGES.index(kind) >= _STAGES.index(stage):
                ahead.append(self._expected_here(kind))
            if None in ahead or (any(ahead) and not past.done):
                return None
            if any(ahead):
                total += sum(ahead) * past.worked / past.done
                total += sum(map(bool, ahead)) * past.waited / past.models
        return total

    def _expected_here(self, stage: str) -> float | None:
        """Returns what there is to do in a stage of the model that is taken up."""
        if stage not in _STAGES or not 0 <= self._number < len(self._expected):
            return 0.0
        return getattr(self._expected[self._number], stage)
