"""Checkpoints that are in no catalog: `hf:FOLDER`, `hf:FOLDER+ADAPTER`, `hf:ORG/NAME@REVISION`.

The folder is one that transformers' `save_pretrained` wrote, or a converted checkpoint; everything
that the catalog would say of it is found out from its files.
"""

from geneb_jax.config import Settings
from geneb_jax.config_checks import local_path
from geneb_jax.embedding.given_names import check_name, split_name
from geneb_jax.embedding.ports import PortSource, split_variant
from geneb_jax.embedding.source import UnfitSource
from model_ports.loading.address import parse_address
from model_ports.loading.hub import describe_address
from model_ports.loading.tensors import CheckpointError
from model_ports.tokenizers import TokenizerError

_PREFIX = "hf:"


def source_of(name: str, settings: Settings) -> PortSource | UnfitSource | None:
    """Returns the source that `hf:...` or `NAME=hf:...` names; None: the name is of another kind.

    Where the files do not say how the model is computed, as `describe` needs it, the source is
    unfit. With `:random` or `:random:tiny` behind the address its weights are drawn, and the name
    ends so too. Without NAME a model is called after its adapter, folder or repository.

    Raises:
        ValueError: There is no such folder, repository or revision, or the name is taken.
    """
    found = split_name(name, _PREFIX)
    if found is None:
        return None
    given, text = found
    address_text, suffix, weights, seed = split_variant(text)
    address = parse_address(address_text, local_path)
    if not given:
        given = address.name
        check_name(given, f"NAME={name}")
    given += suffix
    try:
        entry = describe_address(address, given)
    except (CheckpointError, TokenizerError) as error:
        return UnfitSource(given, str(error))
    return PortSource(
        given,
        entry,
        weights,
        address.folder,
        settings.embedding,
        settings.devices.mesh,
        adapter=address.adapter,
        seed=seed,
    )
