"""A checkpoint of one's own as a model: `hf:FOLDER`, `hf:FOLDER+ADAPTER`, `hf:ORG/NAME@REVISION`.

The folder is one that transformers' `save_pretrained` wrote, or a converted checkpoint; everything
that the catalog would say of it is found out from its files.
"""

from geneb_jax.config import Settings
from geneb_jax.config_checks import local_path
from geneb_jax.embedding.labels import check_label, labelled
from geneb_jax.embedding.ports import PortSource
from model_ports.loading.address import parse_address
from model_ports.loading.describe import describe
from model_ports.loading.hub import describe_repository

_PREFIX = "hf:"


def source_of(name: str, settings: Settings) -> PortSource | None:
    """Returns the source that `hf:...` or `NAME=hf:...` names; None: the name is of another kind.

    Without NAME a model is called after its adapter, folder or repository.

    Raises:
        ValueError: There is no such folder, repository or revision, the name is taken, or the
            files do not say how the model is computed; see `describe`.
    """
    found = labelled(name, _PREFIX)
    if found is None:
        return None
    label, text = found
    address = parse_address(text, local_path)
    if not label:
        label = address.name
        check_label(label, f"NAME={name}")
    if address.folder:
        entry = describe(address.folder, label)
    else:
        entry = describe_repository(address.repo, address.revision, label)
    return PortSource(
        label,
        entry,
        "checkpoint",
        address.folder,
        settings.embedding,
        settings.devices.mesh,
        adapter=address.adapter,
    )
