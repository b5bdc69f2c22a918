"""What tells a model from others, in names and in the identities that are kept with results."""

from collections.abc import Mapping
from typing import Any

LOCAL_WEIGHTS = "local weights"  # the url of a model whose weights may not be the authors'
BOTH_STRANDS = ":both"  # behind the name of a model that is averaged over both strands
_WEIGHTS = ("model", "revision", "weights", "numerics", "folder", "function", "described")


def weights_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what of a representation's identity is the same in all views of a model.

    These are its weights, its files or the store of its function, how a model that the package does
    not know is read, and the version of the numerics; preset, precision, hidden state and pooling
    are left out.
    """
    return {key: identity[key] for key in _WEIGHTS if key in identity}
