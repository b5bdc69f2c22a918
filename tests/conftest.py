import os

import hypothesis
import pytest

# Before JAX is imported: tests run on CPU, and two workers share two cores.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A first example may compile a program: how long it takes says nothing.
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@pytest.fixture(autouse=True)
def _room_for_programs():
    """The suite compiles more programs in a process than the system has room for."""
    from geneb_jax.devices.programs import make_room_for_programs

    make_room_for_programs()
