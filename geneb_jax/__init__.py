"""The evaluation GENEB of genomic foundation models, natively in JAX.

geneb_jax.embed("nucleotide-transformer-v2-50m-multi-species", sequences) -> [N, D]
geneb_jax.evaluate("kmer-4", tasks="synthetic") -> the table of scores
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geneb_jax.embedding.embed import embed, embed_views
    from geneb_jax.notebook import evaluate

    __version__: str

__all__ = ["__version__", "embed", "embed_views", "evaluate"]

_MODULES = {
    "embed": "geneb_jax.embedding.embed",
    "embed_views": "geneb_jax.embedding.embed",
    "evaluate": "geneb_jax.notebook",
}


def __getattr__(name: str) -> Any:
    # On first use: most of the package needs neither JAX nor a model.
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415

        return metadata.version("geneb-jax")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'geneb_jax' has no attribute '{name}'")
