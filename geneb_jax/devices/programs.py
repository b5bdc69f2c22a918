"""Compiled programs: the cache that keeps them on disk, and the room that they take."""

from pathlib import Path

import jax

_MAPS = Path("/proc/self/maps")
_MOST_MAPS = Path("/proc/sys/vm/max_map_count")


def keep_programs(folder: Path) -> None:
    """Keeps compiled programs in a folder, small ones too, so that a restart compiles none.

    A folder that JAX was told of before, by its own setting, stays.
    """
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore
        jax.config.update("jax_compilation_cache_dir", str(folder.absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def make_room_for_programs() -> None:
    """Drops JAX's compiled programs once they hold half of the memory maps a process may have.

    On CPUs a program takes several maps, Linux allows 65,530, and a process that wants more dies
    without a word: a run over 40 models comes there. What is needed again is read from the
    compilation cache.
    """
    if _MAPS.is_file() and _MOST_MAPS.is_file():
        with _MAPS.open("rb") as maps:
            count = sum(1 for _ in maps)
        if count > int(_MOST_MAPS.read_text()) // 2:
            jax.clear_caches()
