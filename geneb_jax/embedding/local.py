"""Models of a catalog of one's own, `config.catalog`, by their ids."""

from geneb_jax.config import Settings
from geneb_jax.embedding.labels import check_label
from geneb_jax.embedding.ports import PortSource, split_weights
from model_ports.loading.local_catalog import model_files, read_model


def source_of(name: str, settings: Settings) -> PortSource | None:
    """Returns the source that ID, ID:random or ID:random:tiny names; None: the catalog lacks it.

    Raises:
        ValueError: A file of the catalog is not valid, the id is that of another model, or the
            checkpoint does not say how the model is computed; see `read_model`.
    """
    if settings.data.catalog is None:
        return None
    files = model_files(settings.data.catalog)
    if name.partition(":")[0] not in files:
        return None
    model_id, weights = split_weights(name)
    path = files[model_id]
    check_label(model_id, f"the field id of {path}")
    entry, address = read_model(path, settings.data.checkpoints_dir)
    return PortSource(
        name,
        entry,
        weights,
        address.folder,
        settings.embedding,
        settings.devices.mesh,
        adapter=address.adapter,
    )
