import atexit
import os
import shutil
import tempfile

import hypothesis
import pytest

# Before JAX is imported: tests run on CPU, and two workers share two cores.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A first example may compile a program: how long it takes says nothing.
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
# Tests leave the user's cache alone; workers inherit the folder from the process that starts them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="geneb_jax_tests_")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _room_for_programs():
    """The suite compiles more programs in a process than the system has room for."""
    from geneb_jax.devices.programs import make_room_for_programs

    make_room_for_programs()
