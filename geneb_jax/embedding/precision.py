"""The precision that a model is computed in."""

from model_ports import catalog

CATALOG_DTYPE = "model"  # asks for the precision that the catalog states of each model
DTYPES = (CATALOG_DTYPE, "float32", "bfloat16")


def dtype_of(name: str, asked: str) -> str:
    """Returns the precision that a model is computed in: 'float32' or 'bfloat16'.

    Args:
        name: The model as the config names it.
        asked: A name of `DTYPES`; 'model' stands for the catalog's of the model, and for float32
            of a model that is not in the catalog.
    """
    if asked != CATALOG_DTYPE:
        return asked
    entry = catalog.entries().get(name.partition(":")[0])
    return entry.dtype if entry else "float32"
