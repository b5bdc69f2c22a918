"""Models of a local catalog, `config.catalog`, by their ids.

The models beyond the paper's 40 of which the package does not know all are of this kind too.
"""

from geneb_jax.config import Settings
from geneb_jax.embedding.given_names import check_name
from geneb_jax.embedding.ports import PortSource, catalog_variant
from geneb_jax.embedding.source import UnfitSource
from model_ports import catalog
from model_ports.loading.download import HubError
from model_ports.loading.fetch import how_to_get
from model_ports.loading.local_catalog import model_files, read_model
from model_ports.loading.tensors import CheckpointError
from model_ports.tokenizers import TokenizerError


def source_of(name: str, settings: Settings) -> PortSource | UnfitSource | None:
    """Returns the source that ID, ID:random or ID:random:tiny names; None: no catalog has it.

    It is unfit where the checkpoint is missing or does not say how the model is computed.

    Raises:
        ValueError: A file of the catalog is not valid, or the id is that of another model.
    """
    model_id = name.partition(":")[0]
    files = model_files(settings.data.catalog) if settings.data.catalog else {}
    others = catalog.more()
    if model_id in files:
        path = files[model_id]
        check_name(model_id, f"the field id of {path}")
    else:
        model_id = catalog.find(model_id) or model_id
        if model_id not in others or others[model_id].entry is not None:
            return None
        path = others[model_id].path
    _, suffix, weights, seed = catalog_variant(name)
    name = f"{model_id}{suffix}"
    checkpoints = settings.data.checkpoints_dir
    there = checkpoints is not None and (checkpoints / model_id).is_dir()
    if model_id not in files and not there:
        missing = f"no checkpoint folder {checkpoints / model_id}; " if checkpoints else ""
        how = how_to_get(model_id, others[model_id].fields["source"])
        left = f"{path.name} leaves {', '.join(others[model_id].lacking)} to the checkpoint"
        return UnfitSource(name, f"{missing}{left}; {how}")
    try:
        entry, address = read_model(path, checkpoints)
    except (CheckpointError, TokenizerError, HubError) as error:
        return UnfitSource(name, str(error))
    return PortSource(
        name,
        entry,
        weights,
        address.folder,
        settings.embedding,
        settings.devices.mesh,
        adapter=address.adapter,
        seed=seed,
    )
