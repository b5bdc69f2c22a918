"""What a run will write, and whether the disks that take it have room.

Embeddings are counted: float32 numbers for each record that lacks them. Checkpoints are estimated
by their parameters, scores and predictions by their heads and rows, tables, figures and report by
their models and tasks. Cloud storage is never full.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging
from etils import epath
from huggingface_hub import constants

from geneb_jax.config import ConfigError, Settings
from geneb_jax.embedding.source import Source, SourcePlan
from geneb_jax.embedding.store import folder_of_stores
from geneb_jax.files.folders import nearest_there
from geneb_jax.files.sizes import shown_size
from geneb_jax.scoring.cells import holds_scores
from geneb_jax.scoring.heads import presents, probes_of
from geneb_jax.tasks.sizes import TaskSize, sizes_of
from geneb_jax.tasks.task import Task

# Bytes of a head's rows in its cell and in scores.csv; of a file of predictions without these; of a
# prediction, two fifths of it for two classes and all for twenty; of a decision value.
_ROWS, _FILE, _PREDICTION, _DECISION_VALUE = 750, 4096, 1, 4
# Bytes of tables, figures and report, rounded up, and what a model's task adds to them
# (docs/measured.md).
_SHOWN, _A_PAIR = 5 * 2**20, 5 * 2**10


class Needs(NamedTuple):
    """The bytes that a run will write for one model.

    Attributes:
        stores: The folders of its embeddings; models with the same ones share what is in them.
        embeddings: Embeddings of the records that lack them.
        fetched: Weights that are to be fetched, as they come.
        converted: Weights that are to be converted.
        results: Scores and predictions.
    """

    stores: Sequence[epath.Path]
    embeddings: int
    fetched: int
    converted: int
    results: int


class Amount(NamedTuple):
    """Bytes of one kind that a run will write into a folder.

    Attributes:
        what: The kind, such as 'embeddings'.
        folder: Takes them; it need not be there.
        setting: What says where the folder is.
        size: How many there are.
        counted: Whether they are no fewer than that; otherwise they are estimated.
    """

    what: str
    folder: epath.PathLike
    setting: str
    size: int
    counted: bool = False

    def __str__(self) -> str:
        """Returns the amount in words, such as '~1.5 GiB of checkpoints'."""
        return f"{'' if self.counted else '~'}{shown_size(self.size)} of {self.what}"


class Disk(NamedTuple):
    """A file system, and what a run will write there.

    Attributes:
        folder: A folder on it that a run writes into.
        free: Bytes that are free.
        amounts: What will be written; none of them is 0.
    """

    folder: epath.PathLike
    free: int
    amounts: Sequence[Amount]

    def lacking(self, *, counted: bool = False) -> int:
        """Returns how many bytes too few are free; those of what is counted alone, if asked."""
        sizes = (each.size for each in self.amounts if each.counted or not counted)
        return max(sum(sizes) - self.free, 0)

    def __str__(self) -> str:
        """Returns in a line what will be written, what is free, and what helps where it is less."""
        *others, last = map(str, self.amounts)
        written = f"{', '.join(others)} and {last}" if others else last
        line = f"disk of {self.folder}: {written} will be written, {shown_size(self.free)} are free"
        if not self.lacking():
            return line
        settings = " or ".join(dict.fromkeys(each.setting for each in self.amounts))
        return (
            f"{line}, {shown_size(self.lacking())} too few: name fewer models, or have {settings} "
            "on a larger disk"
        )


def result_bytes(sizes: Iterable[TaskSize], representations: int, settings: Settings) -> int:
    """Returns about how many bytes the scores and predictions of a model on some tasks take.

    Args:
        sizes: The tasks.
        representations: In how many representations of the model each task is probed.
        settings: Say what is fitted and kept.
    """
    output, strands = settings.output, len(settings.embedding.strand)
    heads = len(settings.probes.regimes) * len(settings.probes.seeds)
    heads *= sum(
        1 if each.selection != "none" else len(each.strengths) * len(each.class_weights)
        for each in probes_of(settings.probes)
    )
    predicted = output.intervals or output.save_predictions or strands > 1
    kept = _PREDICTION * strands if predicted else 0
    total = 0
    for size in sizes:
        columns = size.classes if size.classes > 2 else 1
        values = _DECISION_VALUE * columns if output.save_predictions else 0
        total += heads * (_ROWS + size.test * (kept + values)) + _FILE * predicted
    return total * representations


def disks(
    needs: Sequence[Needs],
    settings: Settings,
    workdir: Path,
    *,
    counted: bool,
    pairs: int,
    task_files: int = 0,
) -> list[Disk]:
    """Returns the file systems that a run will write to, each with what it will write.

    Args:
        needs: Those of each model.
        settings: The run's.
        workdir: The folder of its results, which need not be there.
        counted: Whether the records are counted; otherwise their number is estimated.
        pairs: Models with their tasks, of which tables, figures and report are written anew.
        task_files: Bytes of task files that are to be fetched.
    """
    # Of models that share stores, the one that embeds most embeds what the others lack too.
    once = {tuple(each.stores): each for each in sorted(needs, key=lambda each: each.embeddings)}
    embeddings, fetched, converted = (
        sum(getattr(each, kind) for each in once.values())
        for kind in ("embeddings", "fetched", "converted")
    )
    folder = folder_of_stores(settings.embedding.embeddings_dir, workdir)
    shown = _SHOWN + _A_PAIR * pairs if presents(settings.probes, settings.output) and pairs else 0
    amounts = [
        Amount("embeddings", folder, "config.embeddings_dir", embeddings, counted),
        Amount("scores and predictions", workdir, "--workdir", sum(e.results for e in needs)),
        Amount("tables, figures and report", workdir, "--workdir", shown),
        Amount("fetched checkpoints", constants.HF_HUB_CACHE, "HF_HOME", fetched),
        Amount("converted checkpoints", constants.HF_HOME, "HF_HOME", converted),
        Amount("task files", constants.HF_HUB_CACHE, "HF_HOME", task_files),
    ]
    return _grouped(amount for amount in amounts if amount.size and "://" not in str(amount.folder))


def _grouped(amounts: Iterable[Amount]) -> list[Disk]:
    """Returns the file systems of some amounts, without those that do not say their size."""
    of_device: dict[int, list[Amount]] = {}
    for amount in amounts:
        there = nearest_there(Path(amount.folder))
        of_device.setdefault(there.stat().st_dev, []).append(amount)
    found = []
    for first, *others in of_device.values():
        usage = shutil.disk_usage(nearest_there(Path(first.folder)))
        if usage.total:
            found.append(Disk(first.folder, usage.free, [first, *others]))
    return found


def check_disks(
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    settings: Settings,
    workdir: Path,
) -> None:
    """Warns of a run that may fill a disk, before it begins.

    Records are counted only where room is short for embeddings of all of them, kept ones too.

    Args:
        workloads: The models with their tasks; those of which the workdir holds scores are done.
        plans: What is known of each model, by its name; those that are not there are left out.
        settings: The run's.
        workdir: The folder of its results.

    Raises:
        ConfigError: The embeddings alone take more than there is.
    """
    planned = _planned(workloads, plans, workdir)
    most = [needs_of(plan, sizes_of(some), plan.most(some), settings) for plan, some in planned]
    pairs = sum(len(tasks) for _, tasks in workloads)
    rough = disks(most, settings, workdir, counted=False, pairs=pairs)
    if not any(disk.lacking() for disk in rough):
        return
    found = still_to_write(workloads, plans, settings, workdir)
    short = [each for each in found if each.lacking()]
    if any(disk.lacking(counted=True) for disk in short):
        raise ConfigError([str(disk) for disk in short])
    for disk in short:
        logging.warning("%s", disk)


def still_to_write(
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    settings: Settings,
    workdir: Path,
) -> list[Disk]:
    """Returns the file systems that a run will write to; records that lack embeddings are counted.

    The arguments are those of `check_disks`.
    """
    needs = [
        needs_of(plan, sizes_of(some), plan.cost(some).store, settings)
        for plan, some in _planned(workloads, plans, workdir)
    ]
    pairs = sum(len(tasks) for _, tasks in workloads)
    return disks(needs, settings, workdir, counted=True, pairs=pairs)


def _planned(
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    workdir: Path,
) -> list[tuple[SourcePlan, list[Task]]]:
    """Returns the models that are known, each with the tasks that it is not scored on."""
    return [
        (
            plans[source.name],
            [task for task in tasks if not holds_scores(workdir, source.name, task.info.id)],
        )
        for source, tasks in workloads
        if source.name in plans
    ]


def needs_of(
    plan: SourcePlan, sizes: Sequence[TaskSize], embeddings: int, settings: Settings
) -> Needs:
    """Returns what a run will write for a model.

    Args:
        plan: The model's.
        sizes: Those of the tasks that are not scored.
        embeddings: Bytes of embeddings that these tasks' records lack.
        settings: The run's.
    """
    results = result_bytes(sizes, max(len(plan.stores), 1), settings)
    return Needs(plan.stores, embeddings, plan.download, plan.convert, results)
