import atexit
import logging as stdlib_logging
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest
from absl import logging

# Before JAX is imported: tests run on CPU, and two workers share two cores.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Programs that take long to compile are kept for the other worker and for the next run.
_PROGRAMS = Path(__file__).parents[1] / ".pytest_cache" / "programs"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_PROGRAMS))
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**31))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")
# A first example may compile a program: how long it takes says nothing.
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
# Tests leave the user's cache alone; workers inherit the folder from the process that starts them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="geneb_jax_tests_")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _log_levels():
    """A command that ran in this process leaves the log as it was for the next test."""
    loggers = [stdlib_logging.getLogger(), logging.get_absl_logger()]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def _room_for_programs():
    """The suite compiles more programs in a process than the system has room for."""
    from geneb_jax.devices.programs import make_room_for_programs

    make_room_for_programs()
