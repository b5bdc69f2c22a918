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
                for line in _notes(config, settings, workloads, plans, workdir):
                    error.add_note(line)
                if _can_be_shown(settings, workloads, workdir, error):
                    error.add_note(
                        "all scores are there; to have tables and report on another disk: "
                        f"geneb-jax tables --scores={workdir} --out=FOLDER"
                    )
        raise


def _notes(
    config: ml_collections.ConfigDict,
    settings: Settings,
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    plans: Mapping[str, SourcePlan],
    workdir: Path,
) -> Iterator[str]:
    pairs = _scored(workloads, workdir)
    folder = str(folder_of_stores(settings.embedding.embeddings_dir, workdir))
    embedded = 0 if "://" in folder else size_of(Path(folder))
    stored = f"; {shown_size(embedded)} of embeddings in {folder}" if embedded else ""
    count = counted(len(pairs), "pair")
    yield f"kept: scores of {sum(pairs)} of {count} of model and task in {workdir}{stored}"
    yield from map(str, still_to_write(workloads, plans, settings, workdir))
    yield (
        "make room, or move the workdir to a larger disk and name it in --workdir; then this goes "
        f"on from what is kept: {command_of(workdir, config.to_dict())}"
    )


def _scored(workloads: Sequence[tuple[Source, Sequence[Task]]], workdir: Path) -> list[bool]:
    """Returns of each pair of model and task whether the workdir holds scores of it."""
    return [
        holds_scores(workdir, source.name, task.info.id)
        for source, tasks in workloads
        for task in tasks
    ]


def _can_be_shown(
    settings: Settings,
    workloads: Sequence[tuple[Source, Sequence[Task]]],
    workdir: Path,
    error: OSError,
) -> bool:
    """Says whether scores.csv, which is written behind all cells, holds what tables show."""
    written = error.filename != str(workdir / _SCORES)
    shown = presents(settings.probes, settings.output)
    return shown and written and all(_scored(workloads, workdir))
