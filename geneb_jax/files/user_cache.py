"""The folder of a user's cache that takes what this program may compute again."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Returns the folder `geneb_jax/NAME` of the user's cache, which may not be there yet.

    The cache is $XDG_CACHE_HOME, or ~/.cache where that is unset, empty or relative, as the XDG
    specification has it.

    Raises:
        RuntimeError: The user has neither.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "geneb_jax" / name
