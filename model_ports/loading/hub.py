"""The checkpoints of models on the hub, which are converted on first use and stay in HF_HOME."""

from pathlib import Path

from huggingface_hub.constants import HF_HOME

from model_ports import catalog
from model_ports.loading.convert import convert
from model_ports.loading.converted import is_converted
from model_ports.loading.download import downloaded
from model_ports.loading.fetch import checkpoint_source, fetch_checkpoint, fetch_text_files
from model_ports.loading.planned import plan_checkpoint, text_reader
from model_ports.loading.tensors import CheckpointError, weight_files
from model_ports.port import Reader
from model_ports.tokenizers import TokenizerError


def check_hub_checkpoint(model_id: str, preset: catalog.PresetName) -> Reader:
    """Checks what is there of a model on the hub before its weights are fetched.

    Args:
        model_id: Model of the catalog.
        preset: Preset name.

    Returns:
        A `PlannedCheckpoint` where the checkpoint was fetched and converted before; otherwise the
        reader of its config and tokenizer files, which are fetched.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    folder = _converted_folder(model_id)
    if is_converted(folder):
        return plan_checkpoint(model_id, folder, preset)
    return text_reader(model_id, fetch_text_files(model_id), preset)


def converted_checkpoint(model_id: str) -> Path:
    """Returns the converted checkpoint of a model on the hub, fetched and converted on first use.

    It stays in HF_HOME, by revision: later uses need no network.

    Args:
        model_id: Model of the catalog.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, CheckpointError, TokenizerError: See `convert`.
    """
    folder = _converted_folder(model_id)
    if not is_converted(folder):
        convert(model_id, fetch_checkpoint(model_id), folder.parent)
    return folder


def checkpoint_there(model_id: str, preset: catalog.PresetName) -> tuple[Reader | None, bool]:
    """Returns what is there already of a model's checkpoint on the hub; fetches nothing.

    Args:
        model_id: Model of the catalog.
        preset: Preset name.

    Returns:
        A `PlannedCheckpoint` where the checkpoint was converted before, else the reader of its
        config and tokenizer files, None where these were not fetched; and whether the weights
        were fetched.

    Raises:
        HubError: The model is not on the hub.
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    folder = _converted_folder(model_id)
    if is_converted(folder):
        return plan_checkpoint(model_id, folder, preset), True
    found = downloaded(*checkpoint_source(model_id))
    if found is None:
        return None, False
    try:
        reader = text_reader(model_id, found, preset)
    except (CheckpointError, TokenizerError):  # not all of the files have come
        return None, False
    return reader, bool(weight_files(found))


def _converted_folder(model_id: str) -> Path:
    _, revision = checkpoint_source(model_id)
    return Path(HF_HOME) / "geneb_jax" / revision / model_id
