"""What a run would compute, what is there already, and what it will cost: printed, not written.

Nothing is fetched, no weights are loaded, and the workdir stays as it is. Tasks that are not there
are planned with their published sizes.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pandas as pd
from rich.console import Console
from rich.table import Table

from geneb_jax.audit.cached import audits_folder
from geneb_jax.audit.cost import announced, expected_seconds, seconds_of
from geneb_jax.audit.kept import is_kept
from geneb_jax.benchmark import select_tasks
from geneb_jax.config import ConfigError, DataSettings, ProbeSettings, Settings
from geneb_jax.devices.capacity import matmul_rate, read_facts
from geneb_jax.disks import Needs, disks, needs_of
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.source import Cost, Refusal, Source, SourcePlan
from geneb_jax.embedding.tuning import embedding_rate
from geneb_jax.embedding.unseen import find_unseen, unseen_by_reason
from geneb_jax.failures import without_names
from geneb_jax.files.counts import counted
from geneb_jax.files.sizes import shown_size
from geneb_jax.scoring.cells import Held, cell_of
from geneb_jax.scoring.cost import is_known, probing_in_all, showing_seconds
from geneb_jax.scoring.heads import hold_all_heads, not_presented
from geneb_jax.tasks.hub import fetched_tasks
from geneb_jax.tasks.selection import generated_tasks, read_tasks
from geneb_jax.tasks.sizes import TaskSize, published_lengths, published_sizes, sizes_of
from geneb_jax.tasks.synthetic import SYNTHETIC_IDS
from geneb_jax.tasks.task import Task, content_digest
from probes.logistic import is_large
from probes.padding import ladder

# Names of amounts, with the factor of each, the largest first.
_OPERATIONS = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
_TIMES = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_COLUMNS = ("scored", "records", "kept", "tokens", "FLOP", "fetch", "store", "programs", "time")
_NONE = "-"
_UNKNOWN = "not known"


class Work(NamedTuple):
    """The tasks of a run: themselves, or their published sizes where they are not there."""

    tasks: list[Task] | None
    sizes: list[TaskSize]


class ModelPlan(NamedTuple):
    """What a run would do with one model.

    Attributes:
        model: Its name.
        scored: Tasks of which all scores are there; None: not known before weights or tasks are.
        tasks: Tasks of the run that the model covers.
        cost: What the features of the other tasks take.
        needs: What would be written for it.
        dtype: Precision of the computation.
        head_programs: Shapes that compiled probes run in: padded rows, width and classes.
        seconds: Time of embedding; None: not known.
        measured: Whether the time follows from a run of this model on this kind of device; else it
            is what matrix products alone would take.
        probing: Time of probing by `scoring.cost`; None: not known.
        notes: What else is to be said.
    """

    model: str
    scored: int | None
    tasks: int
    cost: Cost
    needs: Needs
    dtype: str
    head_programs: frozenset[tuple[int, int, int]]
    seconds: float | None
    measured: bool
    probing: float | None
    notes: Sequence[str]


def print_plan(settings: Settings, workdir: Path, console: Console) -> pd.DataFrame:
    """Prints the plan of a run.

    Args:
        settings: The run's.
        workdir: Where it would go on, if it is there.
        console: Takes the plan.

    Returns:
        The plan in numbers, one row a model: bytes, operations and seconds.

    Raises:
        ConfigError: Lists the models and tasks that cannot be run.
    """
    sources, problems = find_sources(settings)
    work, refused = Work(None, []), []
    try:
        work, unreadable = _find_work(settings.data)
        refused += unreadable.values()
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError(problems)
    rates = _Rates(workdir)
    plans = []
    for source in sources:
        try:
            plan = source.plan(workdir)
        except ValueError as error:
            reason = without_names(str(error), source.name)
            refused.append(f"config.models: '{source.name}': {reason}")
            continue
        refusals = plan.refusals(work.tasks) if work.tasks else ()
        nowhere = {refusal.task for refusal in refusals}
        none_left = all(task.info.id in nowhere for task in work.tasks or ())
        if refusals and ("" in nowhere or none_left or settings.data.fail_fast):
            refused += [f"config.models: '{source.name}': {refusal}" for refusal in refusals]
        else:
            plans.append(_plan_model(source, plan, refusals, work, settings, workdir, rates))
    if refused and (settings.data.fail_fast or not plans):
        raise ConfigError(refused)
    plans = list(_each_once(plans))
    console.print(_table(plans))
    others = (
        *_probing_lines(plans, work, settings),
        *_audit_line(settings, work, workdir),
        *_disk_lines(plans, work, settings, workdir),
    )
    for line in (*_lines(plans, work, workdir, rates, refused), *others):
        console.print(line, highlight=False, soft_wrap=True)
    return pd.DataFrame([_row(plan) for plan in plans])


def _find_work(settings: DataSettings) -> tuple[Work, Mapping[str, str]]:
    """Returns the tasks of a run without fetching any, and what is wrong with others, by id.

    Raises:
        ValueError: The settings name what is not there.
    """
    if settings.tasks_dir is None and not generated_tasks(settings):
        wanted = select_tasks(settings.tasks, SYNTHETIC_IDS)
        folder = fetched_tasks([task.id for task in wanted])
        if folder is None:
            labels = {task.label for task in wanted}
            most = settings.max_train or None
            sizes = [
                size._replace(train=min(size.train, most or size.train))
                for size in published_sizes()
                if size.task in labels
            ]
            return Work(None, sizes), {}
        settings = dataclasses.replace(settings, tasks_dir=folder)
    tasks, unreadable = read_tasks(settings)
    return Work(tasks, sizes_of(tasks)), unreadable


def _plan_model(
    source: Source,
    plan: SourcePlan,
    refusals: Sequence[Refusal],
    work: Work,
    settings: Settings,
    workdir: Path,
    rates: "_Rates",
) -> ModelPlan:
    scored, notes, probes = None, list(plan.notes), settings.probes
    if work.tasks is None:
        sizes = work.sizes
        cost = plan.cost(sum(size.train + size.test for size in sizes))
        count = len(sizes)
    else:
        refused = {refusal.task: refusal for refusal in reversed(refusals)}
        notes += [f"{refusal}; the task would be left out" for refusal in refused.values()]
        tasks = [task for task in work.tasks if task.info.id not in refused]
        notes += unseen_by_reason(find_unseen(source.name, plan.unseen, tasks))
        held = [_look(source.name, plan, task, workdir) for task in tasks]
        pending = [
            task
            for task, cells in zip(tasks, held, strict=True)
            if not cells or not all(hold_all_heads(cell.rows, probes) for cell in cells)
        ]
        scored = len(tasks) - len(pending) if plan.representations else None
        notes += _replaced(tasks, held)
        sizes, cost, count = sizes_of(pending), plan.cost(pending), len(tasks)
    seconds, measured = rates.seconds(source.name, cost, plan.dtype)
    probing = probing_in_all(sizes, plan, probes) if is_known(probes) else None
    shapes = frozenset(_head_programs(sizes, plan.width, probes))
    return ModelPlan(
        source.name,
        scored,
        count,
        cost,
        needs_of(plan, sizes, cost.store, settings),
        plan.dtype,
        shapes,
        seconds,
        measured,
        probing,
        notes,
    )


def _each_once(plans: Sequence[ModelPlan]) -> Iterable[ModelPlan]:
    """Yields plans of which none embeds what one before it does, as of a model on both strands."""
    embedded: dict[Sequence[Any], int] = {}
    for plan in plans:
        stores, cost = tuple(plan.needs.stores), plan.cost
        if stores and cost.records <= embedded.get(stores, 0):
            needs = plan.needs._replace(embeddings=0, fetched=0, converted=0)
            cost = Cost(0, kept=cost.records + cost.kept)
            yield plan._replace(cost=cost, needs=needs, seconds=0.0, measured=False)
        else:
            embedded[stores] = cost.records
            yield plan


def _replaced(tasks: Sequence[Task], held: Sequence[Sequence[Held]]) -> list[str]:
    """Returns a note where scores in the workdir would be replaced; none where no score would."""
    names = [
        task.info.id
        for task, cells in zip(tasks, held, strict=True)
        if any(cell.of_others for cell in cells)
    ]
    if not names:
        return []
    more = f" and {counted(len(names) - 1, 'more task')}" if len(names) > 1 else ""
    return [
        f"its scores on '{names[0]}'{more} are of other weights, settings or records, and would be "
        "replaced"
    ]


def _look(model: str, plan: SourcePlan, task: Task, workdir: Path) -> list[Held]:
    """Returns what the workdir holds of a task, for each representation."""
    digest = content_digest(task)
    cells = [cell_of(workdir, model, each, task, digest) for each in plan.representations]
    return [cell.look() for cell in cells]


def _head_programs(
    sizes: Iterable[TaskSize], width: int, probes: ProbeSettings
) -> Iterable[tuple[int, int, int]]:
    """Yields the shapes of the full fits of logistic heads that are compiled by their size."""
    if "logistic" in probes.probes and None in probes.regimes:
        for size in sizes:
            if width and is_large(size.train, width, size.classes):
                yield ladder(size.train), width, size.classes


class _Rates:
    """Operations a second: of earlier runs in a workdir, or of matrix products measured now.

    Attributes:
        kinds: The devices.
    """

    def __init__(self, workdir: Path) -> None:
        self.kinds = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
        self._known = read_facts(workdir)["matmul_rate"]
        self._workdir = workdir

    def products(self, dtype: str) -> float:
        """Returns the rate of matrix products of all devices, measured where it is not known."""
        if dtype not in self._known:
            self._known[dtype] = matmul_rate(dtype)
        return self._known[dtype] * len(self.kinds)

    def seconds(self, model: str, cost: Cost, dtype: str) -> tuple[float | None, bool]:
        """Returns the time of embedding, and whether a run of this model was measured."""
        if not cost.records:
            return 0.0, False
        if not cost.flop:
            return None, False
        if rate := embedding_rate(model, dtype, self._workdir):
            return cost.flop / rate, True
        return cost.flop / self.products(dtype), False

    def shown(self) -> str:
        """Returns the rates of products that were asked for, in words."""
        rates = [
            f"{_amount(rate, _OPERATIONS)}FLOP/s in {dtype}" for dtype, rate in self._known.items()
        ]
        return " and ".join(rates)


def _table(plans: Sequence[ModelPlan]) -> Table:
    table = Table(title="What the run would compute")
    table.add_column("model", overflow="fold")
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for plan in plans:
        table.add_row(plan.model, *_cells(plan))
    if len(plans) > 1:
        table.add_section()
        table.add_row("total", *_cells(_total(plans)))
    return table


def _cells(plan: ModelPlan) -> list[str]:
    """Returns the columns of a model's row."""
    cost, about = plan.cost, "~" if plan.cost.typical else ""
    time = _UNKNOWN if plan.seconds is None else _NONE
    if plan.seconds:
        time = f"{'' if plan.measured else '> '}{_amount(plan.seconds, _TIMES)}"
    programs = cost.programs + len(plan.head_programs)
    return [
        f"{'?' if plan.scored is None else plan.scored}/{plan.tasks}",
        f"{cost.records:,}" if cost.records else _NONE,
        f"{cost.kept:,}" if cost.kept else _NONE,
        f"{about}{_amount(cost.tokens, _OPERATIONS)}" if cost.tokens else _NONE,
        f"{about}{_amount(cost.flop, _OPERATIONS)}" if cost.flop else _NONE,
        f"~{shown_size(plan.needs.fetched)}" if plan.needs.fetched else _NONE,
        shown_size(cost.store) if cost.store else _NONE,
        f"{programs}" if programs else _NONE,
        time,
    ]


def _total(plans: Sequence[ModelPlan]) -> ModelPlan:
    """Returns the sums over models; programs of probes that several share count once."""
    costs = [plan.cost for plan in plans]
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    scored = [plan.scored for plan in plans if plan.scored is not None]
    return ModelPlan(
        "total",
        sum(scored) if len(scored) == len(plans) else None,
        sum(plan.tasks for plan in plans),
        Cost(
            sum(cost.records for cost in costs),
            sum(cost.kept for cost in costs),
            sum(cost.tokens for cost in costs),
            sum(cost.flop for cost in costs),
            sum(cost.programs for cost in costs),
            sum(cost.store for cost in costs),
            any(cost.typical for cost in costs),
        ),
        Needs((), 0, sum(plan.needs.fetched for plan in plans), 0, 0),
        "",
        frozenset[tuple[int, int, int]]().union(*(plan.head_programs for plan in plans)),
        sum(known) if known else None,
        all(plan.measured for plan in plans if plan.seconds),
        None,
        (),
    )


def _lines(
    plans: Sequence[ModelPlan], work: Work, workdir: Path, rates: _Rates, problems: Sequence[str]
) -> Iterable[str]:
    """Yields what is to be said below the table."""
    if work.tasks is None:
        yield (
            f"tasks: {len(work.sizes)}, not here yet: rows as published, all of them to be "
            "embedded; a run fetches the files"
        )
    elif work.tasks:
        rows = sum(size.train + size.test for size in work.sizes)
        count = counted(rows, "row")
        yield f"tasks: {len(work.tasks)} with {count}; of records the distinct ones count"
    if any(plan.cost.typical for plan in plans):
        yield "~ token lengths as the benchmark's records have them; weights by their parameters"
    if any(plan.cost.flop and not plan.measured for plan in plans):
        yield (
            f"> embedding takes longer than matrix products alone, at {rates.shown()} on "
            f"{rates.kinds[0]}{f' (x {len(rates.kinds)})' if len(rates.kinds) > 1 else ''}"
        )
    if any(plan.measured for plan in plans):
        yield f"time without >: at the rate of earlier runs in {workdir} on this kind of device"
    yield (
        "time is of embedding; fetching and compiling, some seconds a program that is not kept "
        "yet, come on top, and are not known before"
    )
    for plan in plans:
        yield from (f"{plan.model}: {note}" for note in plan.notes)
    yield from (f"left out: {problem}" for problem in problems)


def _probing_lines(plans: Sequence[ModelPlan], work: Work, settings: Settings) -> Iterable[str]:
    """Yields about how long probing takes, and tables and report behind it."""
    known = {plan.model: plan.probing for plan in plans if plan.probing}
    if known:
        longest = max(known, key=lambda model: known[model])
        most = f", {longest} alone {_about(known[longest])}" if len(known) > 1 else ""
        yield (
            f"probing takes about {_about(sum(known.values()))}{most}: by rows, widths "
            "and classes at the rates of one core (docs/measured.md); the iterations that features "
            "ask for may make it a third or twice of that"
        )
    elif any(plan.probing is None for plan in plans):
        yield (
            "how long probing takes is not known: rates were measured of logistic heads as GENEB's "
            "protocol fits them alone"
        )
    if reason := not_presented(settings.probes, settings.output):
        yield reason
    elif settings.output.report:
        seconds = _about(showing_seconds(work.sizes, len(plans), settings))
        yield (
            f"tables, figures and report take about {seconds}; --config.report=False leaves them "
            "out"
        )


def _audit_line(settings: Settings, work: Work, workdir: Path) -> Iterable[str]:
    """Yields what the audit of tasks will take, where some are still to be audited."""
    if not settings.audit.audit:
        return
    if work.tasks is None:
        lengths = published_lengths()
        records = {size.task: size.train + size.test for size in work.sizes}
        seconds = [seconds_of(count, count * lengths[task]) for task, count in records.items()]
    else:
        folder, cache = workdir / "audit", audits_folder(settings.devices.cache_dir)
        missing = [task for task in work.tasks if not is_kept(folder, task, cache)]
        seconds = [expected_seconds(task) for task in missing]
    if seconds:
        yield announced(len(seconds), sum(seconds))


def _disk_lines(
    plans: Sequence[ModelPlan], work: Work, settings: Settings, workdir: Path
) -> Iterable[str]:
    """Yields what would be written to each disk beside what is free there."""
    letters, task_files = published_lengths(), 0
    if work.tasks is None:
        task_files = sum((size.train + size.test) * letters[size.task] for size in work.sizes)
    needs, known = [plan.needs for plan in plans], work.tasks is not None
    pairs = sum(plan.tasks for plan in plans)
    yield from map(
        str,
        disks(needs, settings, workdir, counted=known, pairs=pairs, task_files=task_files),
    )


def _about(seconds: float) -> str:
    """Returns a time of which two digits are known, in words."""
    name, factor = next((unit for unit in _TIMES if seconds >= unit[1]), _TIMES[-1])
    return f"{float(f'{seconds / factor:.2g}'):,g} {name}"


def _amount(value: float, units: Sequence[tuple[str, float]]) -> str:
    """Returns a number with three digits and the largest unit that it has one of."""
    name, factor = next((unit for unit in units if value >= unit[1]), units[-1])
    number = value / factor
    return f"{number:,.0f} {name}" if number >= 100 or not value else f"{number:.3g} {name}"


def _row(plan: ModelPlan) -> dict[str, Any]:
    cost = plan.cost
    return {
        "model": plan.model,
        "tasks": plan.tasks,
        "scored": plan.scored,
        "records": cost.records,
        "kept": cost.kept,
        "tokens": cost.tokens,
        "flop": cost.flop,
        "dtype": plan.dtype,
        "download": plan.needs.fetched,
        "convert": plan.needs.converted,
        "store": cost.store,
        "programs": cost.programs + len(plan.head_programs),
        "seconds": plan.seconds,
        "measured": plan.measured,
        "probing": plan.probing,
    }
