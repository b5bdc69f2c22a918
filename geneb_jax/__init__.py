"""The evaluation GENEB of genomic foundation models, natively in JAX.

geneb_jax.embed("nucleotide-transformer-v2-50m-multi-species", sequences) -> [N, D]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geneb_jax.embedding.embed import embed, embed_views

    __version__: str

__all__ = ["__version__", "embed", "embed_views"]


def __getattr__(name: str) -> Any:
    # On first use: most of the package needs neither JAX nor a model.
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415

        return metadata.version("geneb-jax")
    if name in __all__:
        from geneb_jax.embedding import embed  # noqa: PLC0415

        return getattr(embed, name)
    raise AttributeError(f"module 'geneb_jax' has no attribute '{name}'")
