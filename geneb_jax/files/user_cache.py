"""The folder of a user's cache that takes what this program may compute again."""

import os
from pathlib import Path


def user_cache(name: str, cache_dir: str = "") -> Path:
    """Returns the folder NAME of the cache, which may not be there yet.

    Args:
        name: What is kept there, such as 'programs'.
        cache_dir: The cache; empty: `geneb_jax` in the user's, which is $XDG_CACHE_HOME, or
            ~/.cache where that is unset, empty or relative, as the XDG specification has it.

    Raises:
        RuntimeError: The user's cache is asked for, and there is neither.
    """
    if cache_dir:
        return Path(cache_dir).absolute() / name
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "geneb_jax" / name
