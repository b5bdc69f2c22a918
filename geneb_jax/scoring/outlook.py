"""How long a run still takes: what all of its stages are expected to take, at the rates of the run.

Models differ a thousandfold, so that their number says little. A model is expected to take time in
each stage in proportion to what there is to do: operations of embedding, the sizes of probes. The
seconds for each are those that this run has taken for what it has done; of stages that are still to
come, those of `scoring.cost` and of earlier runs.

What is measured first says little: the smallest tasks are probed first, and take longer by their
size than others. So the rate of a stage moves from what was expected to what is measured, in
proportion to what is done: over all of probing, and over the first quarter of embedding, whose
batches are like each other. Of units that are in hand, such as a task that is probed, as much
counts as done as the time says that they have taken.

Waiting for programs to be compiled is apart: a model waits once in a stage, however much there is
to do, and those ahead as long as those before it on average. The audit stands before the models,
tables and report behind them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from geneb_jax.config import ProbeSettings
from geneb_jax.embedding.source import Source, SourcePlan, count_records
from geneb_jax.scoring.cells import holds_scores
from geneb_jax.scoring.cost import is_known, probing_in_all
from geneb_jax.tasks.sizes import sizes_of
from geneb_jax.tasks.task import Task

AUDIT, SHOWING = "audit", "tables and report"  # stages of the whole run
# How much of a stage is done where its rate is what was measured of it.
_TRUSTED = {"load": 1.0, "embed": 0.25, "probe": 1.0}


class Expected(NamedTuple):
    """What there is to do for a model, by stage, in units that add up over models.

    Attributes:
        load: 1.
        embed: Operations of embedding what is not scored; None: not known.
        probe: Seconds that probing it takes by `scoring.cost`; None: not known.
    """

    load: float = 1.0
    embed: float | None = 0.0
    probe: float | None = 0.0


_STAGES = Expected._fields  # in their order


def expect(
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    probes: ProbeSettings,
    workdir: Path,
) -> list[Expected]:
    """Returns what there is to do for each model of a run.

    Args:
        workloads: The models with their tasks.
        plans: What is known of each model, by its name; of those that are not there, probing is
            not known.
        probes: What is fitted.
        workdir: Tasks of which it holds scores are not counted, whatever they were computed from.
    """
    expected = []
    for source, tasks in workloads:
        name, plan = source.name, plans.get(source.name)
        pending = [task for task in tasks if not holds_scores(workdir, name, task.info.id)]
        operations = source.operations(count_records(pending)) if pending else 0.0
        probing = None if pending else 0.0
        if plan is not None:
            probing = probing_in_all(sizes_of(pending), plan, probes)
        expected.append(Expected(1.0, operations, probing))
    return expected


def rates_before(
    probes: ProbeSettings, expected: Sequence[Expected] = (), speeds: Sequence[float | None] = ()
) -> dict[str, float]:
    """Returns the seconds a unit of the stages that are known before anything was done.

    Loading counts nothing: it is short beside the embedding of models that take long for it.

    Args:
        probes: What is fitted.
        expected: What there is to do for each model.
        speeds: Operations a second at which each was embedded before; None: it was not.
    """
    embedded = [
        (each.embed, speed)
        for each, speed in zip(expected, speeds, strict=True)
        if each.embed and speed
    ]
    rates = {"load": 0.0} | ({"probe": 1.0} if is_known(probes) else {})
    if embedded:
        seconds = sum(operations / speed for operations, speed in embedded)
        rates["embed"] = seconds / sum(operations for operations, _ in embedded)
    return rates


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

    def __init__(
        self,
        expected: Sequence[Expected],
        rates: Mapping[str, float] = MappingProxyType({}),
        showing: float = 0.0,
    ) -> None:
        """Begins before the first model.

        Args:
            expected: What there is to do for each model, in the order in which they are taken up.
            rates: Seconds a unit of a stage, until something of it was done (see `rates_before`).
            showing: Seconds that `SHOWING` is expected to take.
        """
        self._expected = list(expected)
        self._rates, self._showing = rates, showing
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

    def remaining(
        self,
        stage: str,
        worked: float,
        waited: float,
        share: float,
        in_hand: float = 0.0,
        since: float = 0.0,
    ) -> float | None:
        """Returns the seconds that the run still takes; None: they are not known.

        Args:
            stage: What is done now; see `ended`. `AUDIT` is before all models, `SHOWING` behind.
            worked: How long that was done, without the waiting for programs.
            waited: How long it has waited for programs.
            share: How much of it is done, from 0 to 1.
            in_hand: How much of it, besides, was taken up and is not done yet.
            since: For how long of `worked` nothing was finished.
        """
        if stage == SHOWING:  # whose parts are not counted
            return self._showing - worked if worked < self._showing else None
        if stage == AUDIT and share:
            own, ahead = worked * (1 - share) / share, self._expected
        elif stage in _STAGES and 0 <= self._number < len(self._expected):
            own, ahead = 0.0, self._expected[self._number + 1 :]
        else:
            return None
        if stage in _STAGES:
            share += self._done_in_hand(stage, worked, share, in_hand, since)
        of_models = self._left_of_models(stage, worked, waited, share, ahead)
        return None if of_models is None else own + of_models + self._showing

    def left_of_stage(
        self, stage: str, worked: float, share: float, in_hand: float = 0.0, since: float = 0.0
    ) -> float | None:
        """Returns the seconds of work that the stage still takes; None: they are not known.

        The arguments are those of `remaining`.
        """
        share += self._done_in_hand(stage, worked, share, in_hand, since)
        whole = self._seconds_of(stage, worked, share)
        return None if whole is None else (1 - share) * whole

    def _left_of_models(
        self, stage: str, worked: float, waited: float, share: float, ahead: Sequence[Expected]
    ) -> float | None:
        """Returns the seconds left of the model that is taken up, if one is, and those ahead."""
        total = 0.0
        for kind in _STAGES:
            units, past = [getattr(each, kind) for each in ahead], self._past[kind]
            rate = self._rate_before(kind)
            if kind == stage and share:
                here = self._expected_here(kind)
                total += self.left_of_stage(kind, worked, share) or 0.0
                past = past.and_also(worked, waited, share * (here or 0.0))
                rate = _moving(kind, rate, past.worked / past.done if past.done else None, share)
            elif stage in _STAGES and _STAGES.index(kind) >= _STAGES.index(stage):
                units.append(self._expected_here(kind))
            if None in units or (any(units) and rate is None):
                return None
            if any(units) and rate is not None:
                total += sum(units) * rate
                total += sum(map(bool, units)) * past.waited / max(past.models, 1)
        return total

    def _rate_before(self, stage: str) -> float | None:
        """Returns the seconds a unit by the models before this one, or before anything was done."""
        past = self._past.get(stage, _Past())
        return past.worked / past.done if past.done else self._rates.get(stage)

    def _seconds_of(self, stage: str, worked: float, share: float) -> float | None:
        """Returns the seconds of a whole stage, of which a share took some; None: not known."""
        rate, units = self._rate_before(stage), self._expected_here(stage)
        before = None if rate is None or not units else rate * units
        return _moving(stage, before, worked / share if share else None, share)

    def _done_in_hand(
        self, stage: str, worked: float, share: float, in_hand: float, since: float
    ) -> float:
        """Returns how much is done of what is in hand, by the time that it has taken."""
        whole = self._seconds_of(stage, worked - since, share)
        return min(since / whole, in_hand) if whole else 0.0

    def _expected_here(self, stage: str) -> float | None:
        """Returns what there is to do in a stage of the model that is taken up."""
        if stage not in _STAGES or not 0 <= self._number < len(self._expected):
            return 0.0
        return getattr(self._expected[self._number], stage)


def _moving(stage: str, before: float | None, measured: float | None, share: float) -> float | None:
    """Returns what is expected where a share of a stage was measured; None: nothing is known."""
    if before is None or measured is None:
        return measured if before is None else before
    trust = min(share / _TRUSTED[stage], 1.0)
    return (1 - trust) * before + trust * measured
