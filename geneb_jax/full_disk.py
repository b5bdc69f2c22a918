"""What a run says where a disk is full: what is kept, how much is needed, and what to type."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import ml_collections

from geneb_jax.config import Settings
from geneb_jax.disks import still_to_write
from geneb_jax.embedding.source import Source, SourcePlan
from geneb_jax.embedding.store import folder_of_stores
from geneb_jax.files.counts import counted
from geneb_jax.files.sizes import shown_size, size_of
from geneb_jax.last_run import command_of
from geneb_jax.scoring.cells import holds_scores
from geneb_jax.scoring.heads import presents
from geneb_jax.tasks.task import Task

_SCORES = "scores.csv"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def saying_what_is_kept(
    config: ml_collections.ConfigDict,
    settings: Settings,
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    workdir: Path,
) -> Iterator[None]:
    """Adds notes to an error of a full disk that comes up inside.

    Args:
        config: The run's.
        settings: The same, parsed.
        workloads: The models with their tasks.
        plans: What is known of each model, by its name; those that are not there are left out.
        workdir: The folder of the results.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            with suppress(OSError, ValueError):  # a disk that cannot be read: the error says enough
                scored = _scored(workloads, workdir)
                error.add_note(_kept(scored, settings, workdir))
                for disk in still_to_write(workloads, plans, settings, workdir):
                    error.add_note(str(disk))
                error.add_note(
                    "make room, or move the workdir to a larger disk and name it in --workdir; "
                    f"then this goes on from what is kept: {command_of(workdir, config.to_dict())}"
                )
                # scores.csv, which holds what tables show, is written behind all cells.
                written = all(scored) and error.filename != str(workdir / _SCORES)
                if written and presents(settings.probes, settings.output):
                    error.add_note(
                        "all scores are there; to have tables and report on another disk: "
                        f"geneb-jax tables --scores={workdir} --out=FOLDER"
                    )
        raise


def _scored(workloads: Sequence[tuple[Source, Sequence[Task]]], workdir: Path) -> list[bool]:
    """Returns of each pair of model and task whether the workdir holds scores of it."""
    return [
        holds_scores(workdir, source.name, task.info.id)
        for source, tasks in workloads
        for task in tasks
    ]


def _kept(scored: Sequence[bool], settings: Settings, workdir: Path) -> str:
    """Says how many pairs of model and task have scores, and what embeddings there are."""
    folder = str(folder_of_stores(settings.embedding.embeddings_dir, workdir))
    embedded = 0 if "://" in folder else size_of(Path(folder))
    stored = f"; {shown_size(embedded)} of embeddings in {folder}" if embedded else ""
    count = counted(len(scored), "pair")
    return f"kept: scores of {sum(scored)} of {count} of model and task in {workdir}{stored}"
