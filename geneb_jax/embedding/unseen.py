"""What models do not see of records: counted before anything is computed, and said."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from absl import logging

from geneb_jax.files.counts import counted
from geneb_jax.tasks.letters import prepare
from geneb_jax.tasks.task import Task
from model_ports.running.letters import Unseen

_SHOWN = 10  # lines of warnings; more are summed up by model, and the models after these counted
_LETTERS = 20  # of a line
_MODELS = 3  # of a line


@dataclass(frozen=True)
class Finding:
    """Records of a task that a model does not see in full, for one reason.

    Attributes:
        model: The model's name.
        task: The task's id.
        kind: See `Unseen`.
        reason: See `Unseen`.
        count: How many records.
        records: How many the task has.
        first: The first of them, as in 'train row 3'.
        letters: See `Unseen`.
    """

    model: str
    task: str
    kind: str
    reason: str
    count: int
    records: int
    first: str
    letters: str


def find_unseen(
    model: str, look: Callable[[Sequence[str]], Sequence[Unseen]], tasks: Sequence[Task]
) -> list[Finding]:
    """Returns what a model does not see of some tasks: a finding for each task and reason.

    Args:
        model: The model's name.
        look: Returns what it does not see of some records.
        tasks: The tasks.
    """
    return [finding for task in tasks for finding in _of_task(model, look, task)]


def _of_task(
    model: str, look: Callable[[Sequence[str]], Sequence[Unseen]], task: Task
) -> Iterator[Finding]:
    splits = {"train": task.train, "test": task.test}
    records = sum(len(split.sequences) for split in splits.values())
    found = [
        (name, split, each) for name, split in splits.items() for each in look(split.sequences)
    ]
    for kind in dict.fromkeys(each.kind for _, _, each in found):
        same = [part for part in found if part[2].kind == kind]
        name, split, each = same[0]
        row = each.rows[0] + 1 if split.rows is None else split.rows[each.rows[0]]
        yield Finding(
            model,
            task.info.id,
            kind,
            each.reason,
            sum(len(each.rows) for _, _, each in same),
            records,
            f"{name} row {row}",
            "".join(sorted({letter for _, _, each in same for letter in each.letters})),
        )


def by_model(findings: Sequence[Finding]) -> dict[str, Any]:
    """Returns findings as run.json holds them: by model, task and kind."""
    table: dict[str, Any] = {}
    for each in findings:
        facts = {"records": each.count, "of": each.records, "first": each.first}
        letters = {"letters": each.letters} if each.letters else {}
        table.setdefault(each.model, {}).setdefault(each.task, {})[each.kind] = facts | letters
    return table


def unseen_by_reason(findings: Sequence[Finding]) -> Iterator[str]:
    """Yields what one model does not see, a line for each reason, with the task that has most."""
    for kind in dict.fromkeys(each.kind for each in findings):
        same = [each for each in findings if each.kind == kind]
        most = max(same, key=lambda each: each.count / each.records)
        counts = sum(each.count for each in same), sum(each.records for each in same)
        letters = "".join(sorted({letter for each in same for letter in each.letters}))
        where = f"in '{most.task}'"
        if len(same) > 1:
            share = _share(most.count, most.records)
            where = f"in {counted(len(same), 'task')}, most {where}, {share}"
        yield _sentence(*counts, most.reason, letters, where)


def say_unseen(findings: Sequence[Finding]) -> None:
    """Warns of unknown letters and of records without a token; tells what is cut.

    Long records are cut by GENEB's protocol: this is told once a model, and is no warning. Models
    of which the same is to be said, as of one and its untrained controls, share a line.
    """
    findings = _joined(findings)
    cut = [each for each in findings if each.kind == "cut"]
    others = [each for each in findings if each.kind != "cut"]
    lines = [
        f"{each.model}, task '{each.task}': "
        + _sentence(each.count, each.records, each.reason, each.letters, f"first: {each.first}")
        + _hint(each.letters, "--config.letters")
        for each in others
    ]
    if len(lines) > _SHOWN:
        lines = list(_summed(others))
        rest = len(lines) - _SHOWN
        more = [f"... and {counted(rest, 'more such line')}; run.json and the report have all"]
        lines[_SHOWN:] = more if rest > 0 else []
    for line in lines:
        logging.warning("%s", line)
    for line in _summed(cut):
        logging.info("%s", line)


def _joined(findings: Sequence[Finding]) -> list[Finding]:
    """Returns the findings of the first of models that have equal ones, `model` naming all."""
    of_models: dict[str, list[Finding]] = {}
    for each in findings:
        of_models.setdefault(each.model, []).append(replace(each, model=""))
    alike: dict[tuple[Finding, ...], list[str]] = {}
    for model, same in of_models.items():
        alike.setdefault(tuple(same), []).append(model)
    return [replace(each, model=_named(names)) for same, names in alike.items() for each in same]


def _named(models: Sequence[str]) -> str:
    named = ", ".join(f"'{model}'" for model in models[:_MODELS])
    more = len(models) - _MODELS
    return f"model{'s' * (len(models) > 1)} {named}" + (f" and {more} more" if more > 0 else "")


def _summed(findings: Sequence[Finding]) -> Iterator[str]:
    """Yields a line for each model and kind, over all tasks that have any."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for each in findings:
        groups.setdefault((each.model, each.kind), []).append(each)
    for (model, _), same in groups.items():
        most = max(same, key=lambda each: each.count / each.records)
        letters = "".join(sorted({letter for each in same for letter in each.letters}))
        counts = sum(each.count for each in same), sum(each.records for each in same)
        tasks = counted(len(same), "task") if len(same) > 1 else f"task '{most.task}'"
        largest = f"most in '{most.task}', {_share(most.count, most.records)}"
        detail = largest if len(same) > 1 else f"first: {most.first}"
        yield (
            f"{model}, {tasks}: "
            + _sentence(*counts, most.reason, letters, detail)
            + _hint(letters, "--config.letters")
        )


def say_unseen_sequences(
    model: str, found: Sequence[Unseen], count: int, names: Sequence[str]
) -> None:
    """Warns of sequences that a model does not see in full.

    Args:
        model: The model's name.
        found: What it does not see of them.
        count: How many sequences there are.
        names: What the warning calls them; none: their indices.
    """
    for each in found:
        first = f"'{names[each.rows[0]]}'" if names else f"sequences[{each.rows[0]}]"
        line = _sentence(len(each.rows), count, each.reason, each.letters, f"first: {first}")
        logging.warning("model '%s': %s%s", model, line, _hint(each.letters, "letters (--letters)"))


def _sentence(count: int, records: int, reason: str, letters: str, detail: str) -> str:
    shown = ", ".join(letters[:_LETTERS]) + (", ..." if len(letters) > _LETTERS else "")
    details = "; ".join(filter(None, [shown, detail]))
    return f"{count:,} of {records:,} records ({_share(count, records)}) {reason} ({details})"


def _share(count: int, records: int) -> str:
    """Returns a share in whole per cents, neither 0 nor 100 where it is not."""
    percent = 100 * count / records
    if 0 < percent < 1:
        return "< 1 %"
    return "> 99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def _hint(letters: str, field: str) -> str:
    """Returns where to look, if letters can be prepared into others."""
    return f"; see {field}" if prepare(letters, "dna") != letters else ""
