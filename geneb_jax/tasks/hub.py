"""Task files from the hub, at their pinned revision."""

from collections.abc import Iterable
from pathlib import Path

from geneb_jax.benchmark import GENEB
from model_ports.loading.download import download, downloaded


def fetched_tasks(task_ids: Iterable[str]) -> Path | None:
    """Returns the folder of task files that were fetched before; None: not all of them were."""
    folder = downloaded(GENEB.dataset_repo, GENEB.dataset_revision, kind="dataset")
    if folder is None or not all((folder / "tasks" / task_id).is_dir() for task_id in task_ids):
        return None
    return folder


def fetch_tasks(task_ids: Iterable[str]) -> Path:
    """Fetches task files of the benchmark's pinned revision; returns their folder.

    Raises:
        HubError: The hub cannot be reached or refuses.
    """
    patterns = [f"tasks/{task_id}/*.csv" for task_id in task_ids]
    repo, revision = GENEB.dataset_repo, GENEB.dataset_revision
    hint = "without a network, name a folder with config.tasks_dir"
    return download(repo, revision, patterns, kind="dataset", hint=hint)
