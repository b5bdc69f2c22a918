"""The checkpoints of models on the hub, which are converted on first use and stay in HF_HOME."""

from pathlib import Path

from huggingface_hub.constants import HF_HOME

from model_ports import catalog
from model_ports.loading.convert import convert
from model_ports.loading.converted import is_converted
from model_ports.loading.fetch import checkpoint_source, fetch_checkpoint, fetch_text_files
from model_ports.loading.planned import plan_checkpoint, text_reader
from model_ports.port import Reader


def check_hub_checkpoint(entry: catalog.Entry, preset: catalog.PresetName) -> Reader:
    """Checks what is there of a model on the hub before its weights are fetched.

    Args:
        entry: The model.
        preset: Preset name.

    Returns:
        A `PlannedCheckpoint` where the checkpoint was fetched and converted before; otherwise the
        reader of its config and tokenizer files, which are fetched.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, FamilyError, CheckpointError, TokenizerError: See `plan_checkpoint`.
    """
    folder = _converted_folder(entry)
    if is_converted(folder):
        return plan_checkpoint(entry, folder, preset)
    return text_reader(entry, fetch_text_files(entry), preset)


def converted_checkpoint(entry: catalog.Entry) -> Path:
    """Returns the converted checkpoint of a model on the hub, fetched and converted on first use.

    It stays in HF_HOME, by revision: later uses need no network.

    Args:
        entry: The model.

    Raises:
        HubError: The model is not on the hub, or the hub cannot be reached or refuses.
        CatalogError, CheckpointError, TokenizerError: See `convert`.
    """
    folder = _converted_folder(entry)
    if not is_converted(folder):
        convert(entry, fetch_checkpoint(entry), folder.parent)
    return folder


def _converted_folder(entry: catalog.Entry) -> Path:
    _, revision = checkpoint_source(entry)
    return Path(HF_HOME) / "geneb_jax" / revision / entry.id
