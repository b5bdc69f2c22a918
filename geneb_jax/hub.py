"""Task files and checkpoints from the hub, at their pinned revisions.

HF_ENDPOINT, HF_HOME and HF_TOKEN count as everywhere; what was fetched once is in HF_HOME.
"""

from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from geneb_jax.benchmark import GENEB
from model_ports import catalog

_CHECKPOINT_FILES = ["*.json", "*.txt", "*.safetensors"]
_TORCH_FILES = ["*.bin"]


class HubError(ValueError):
    """Something could not be fetched."""


def fetch_tasks(task_ids: Iterable[str]) -> Path:
    """Fetches task files of the benchmark's pinned revision; returns their folder.

    Raises:
        HubError: The hub cannot be reached or refuses.
    """
    patterns = [f"tasks/{task_id}/*.csv" for task_id in task_ids]
    repo, revision = GENEB.dataset_repo, GENEB.dataset_revision
    return _fetch(repo, revision, "dataset", patterns, "config.tasks_dir")


def checkpoint_source(model_id: str) -> tuple[str, str]:
    """Returns the repository and pinned revision of a model on the hub.

    Raises:
        HubError: Its checkpoint lies elsewhere.
    """
    source = catalog.get(model_id).source
    repo, revision = source["repo"], source["revision"]
    if not repo or not revision:
        raise HubError(
            f"model '{model_id}': its checkpoint is not on the hub but at {source['url']}; "
            "fetch it by hand and name its folder with config.checkpoints_dir"
        )
    return repo, revision


def fetch_checkpoint(model_id: str) -> Path:
    """Fetches a model's config, tokenizer and weight files; returns their folder.

    PyTorch weight files are fetched only where there are no safetensors.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
    """
    repo, revision = checkpoint_source(model_id)
    field = "config.checkpoints_dir"
    folder = _fetch(repo, revision, "model", _CHECKPOINT_FILES, field)
    if not any(folder.glob("*.safetensors")):
        folder = _fetch(repo, revision, "model", _TORCH_FILES, field)
    return folder


def _fetch(repo: str, revision: str, kind: str, patterns: list[str], field: str) -> Path:
    try:
        folder = snapshot_download(repo, repo_type=kind, revision=revision, allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise HubError(
            f"{repo} at revision {revision[:8]} cannot be fetched: {str(error).splitlines()[0]}; "
            f"without a network, name a folder with {field}"
        ) from error
    return Path(folder)
