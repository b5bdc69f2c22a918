"""The evaluation GENEB of genomic foundation models, natively in JAX.

geneb_jax.embed("nucleotide-transformer-v2-50m-multi-species", sequences) -> [N, D]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geneb_jax.features import embed, embed_views

__all__ = ["embed", "embed_views"]


def __getattr__(name: str) -> Any:
    # On first use: most of the package needs neither JAX nor a model.
    if name in __all__:
        from geneb_jax import features  # noqa: PLC0415

        return getattr(features, name)
    raise AttributeError(f"module 'geneb_jax' has no attribute '{name}'")
