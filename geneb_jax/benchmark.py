"""The benchmark's definition: tasks, categories, regimes, seeds, metrics, data revision."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from geneb_jax.files.counts import counted

_MOST_NAMED = 5  # unknown names of a selection; the others are counted
_SHOWN = 100  # letters of an unknown name
CUSTOM = "custom"  # category and suite of a task that is not in the benchmark

_SUITES = (  # by prefix of the label; the longer first
    ("NT-rev ", "NT-rev"),
    ("NT ", "NT"),
    ("GUE", "GUE"),
    ("GB ", "GB"),
    ("PGB ", "PGB"),
    ("iPro ", "iPro"),
    ("4mC ", "4mC"),
    ("iDNA ", "iDNA"),
    ("iDHS ", "iDHS"),
)

# The 13 tasks of the paper's probe-stability study (appendix E), by label.
_STABILITY = (
    "GUE-emp H3K4me1",
    "iPro GM12878",
    "GB human enhancers cohn",
    "4mC E.coli 4mC",
    "NT splice sites all",
    "PGB lncrna.z mays",
    "GUE mouse 0",
    "GUE human tf 0",
    "GUE virus species 40",
    "GB human ensembl regulatory",
    "GUE phage fragments",
    "GB demo coding vs intergenomic seqs",
    "iDHS DNase I",
)

# The 16 tasks that stand for all of them, by label, in the order in which they were chosen on the
# published full-shot scores of all 40 models (`uncertainty.fewer_tasks.by_representation`). Their
# number is the smallest that orders models it was not chosen on as all tasks do (docs/measured.md).
LITE = (
    "NT-rev splice sites donors",
    "GUE virus species 40",
    "GUE phage fragments",
    "iDHS DNase I",
    "GUE mouse 4",
    "PGB lncrna.g max",
    "4mC A.thaliana 4mC",
    "GUE human tf 4",
    "GB human ensembl regulatory",
    "GB demo coding vs intergenomic seqs",
    "NT H3K9ac",
    "GUE prom 300 all",
    "NT-rev enhancers",
    "GUE virus covid",
    "GUE fungi species 20",
    "GUE splice reconstructed",
)


@dataclass(frozen=True)
class TaskInfo:
    """A task by name.

    Attributes:
        id: Its name in files and submissions.
        label: Its short name.
        category: One of the 13, or 'custom'.
        suite: Where it comes from: NT, NT-rev, GUE, GB, PGB, iPro, 4mC, iDNA, iDHS, or 'custom'.
    """

    id: str
    label: str
    category: str
    suite: str


@dataclass(frozen=True)
class Benchmark:
    """GENEB as its authors publish it (arXiv 2606.04525).

    Attributes:
        schema_version: Of a submission.
        harness_version: Of the authors' harness.
        regimes: 'full', '10shot', '1shot'.
        seeds: Of the few-shot rows.
        metrics: Names in a submission; the first is the main one.
        categories: In the paper's order.
        tasks: Likewise.
        dataset_repo: Data set on the hub.
        dataset_revision: Its pinned revision.
    """

    schema_version: str
    harness_version: str
    regimes: tuple[str, ...]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    categories: tuple[str, ...]
    tasks: tuple[TaskInfo, ...]
    dataset_repo: str
    dataset_revision: str


def _load() -> Benchmark:
    file = resources.files("geneb_jax") / "data" / "benchmark.json"
    fields = json.loads(file.read_text(encoding="utf-8"))
    return Benchmark(
        schema_version=fields["schema_version"],
        harness_version=fields["harness_version"],
        regimes=tuple(fields["regimes"]),
        seeds=tuple(fields["protocol"]["seeds"]),
        metrics=tuple(fields["metrics"]),
        categories=tuple(fields["category_order"]),
        tasks=tuple(TaskInfo(**task, suite=_suite(task["label"])) for task in fields["tasks"]),
        dataset_repo=fields["dataset"]["repo_id"],
        dataset_revision=fields["dataset"]["revision"],
    )


def _suite(label: str) -> str:
    return next(suite for prefix, suite in _SUITES if label.startswith(prefix))


GENEB = _load()


def _groups() -> dict[str, tuple[TaskInfo, ...]]:
    """Everything that a selection can name, in lower case."""
    groups: dict[str, tuple[TaskInfo, ...]] = {"all": GENEB.tasks}
    for category in GENEB.categories:
        groups[category] = tuple(t for t in GENEB.tasks if t.category == category)
    groups["sentinel"] = tuple(groups[category][0] for category in GENEB.categories)
    for _, suite in _SUITES:
        groups[suite] = tuple(t for t in GENEB.tasks if t.suite == suite)
    for task in GENEB.tasks:
        groups[task.id] = groups[task.label] = (task,)
    groups["stability"] = tuple(groups[label][0] for label in _STABILITY)
    groups["lite"] = tuple(groups[label][0] for label in LITE)
    return {name.lower(): tasks for name, tasks in groups.items()}


_GROUPS = _groups()


def select_tasks(selection: str, others: Iterable[str] = ()) -> tuple[TaskInfo, ...]:
    """Returns the tasks that a comma list names, each once, in the benchmark's order.

    Args:
        selection: Task ids, labels, categories, suites, 'sentinel' (the first task of each
            category), 'stability' (the paper's appendix E), 'lite' (16 that stand for all) or
            'all'; upper and lower case count alike.

        others: Names that are valid beside these where this is called, for the hint.

    Raises:
        ValueError: Names what is unknown, with the nearest valid names.
    """
    names = [name.strip() for name in selection.split(",") if name.strip()]
    unknown = [name for name in names if name.lower() not in _GROUPS]
    if unknown or not names:
        lines = [_unknown(name, others) for name in unknown[:_MOST_NAMED]]
        if len(unknown) > _MOST_NAMED:
            lines.append(f"... and {counted(len(unknown) - _MOST_NAMED, 'more name')} of no task")
        raise ValueError("\n".join(lines) or "no task is named")
    chosen = {task.id for name in names for task in _GROUPS[name.lower()]}
    return tuple(task for task in GENEB.tasks if task.id in chosen)


def names_tasks(name: str) -> bool:
    """Says whether a name stands for tasks of the benchmark; upper and lower case count alike."""
    return name.lower() in _GROUPS


def _unknown(name: str, others: Iterable[str]) -> str:
    valid = {group: group for group in _GROUPS} | {other.lower(): other for other in others}
    near = difflib.get_close_matches(name[:_SHOWN].lower(), valid, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(valid[each] for each in near)}?" if near else ""
    return f"'{name[:_SHOWN]}' is no task, category or suite{hint}"
