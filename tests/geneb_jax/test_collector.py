import gc
import weakref

import pytest

from geneb_jax.collector import collector_paused


class Node:
    """A cycle with itself."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def unfrozen():
    yield
    gc.unfreeze()


@pytest.mark.parametrize("running", [True, False])
def test_it_is_paused_and_then_as_before(running):
    (gc.enable if running else gc.disable)()
    try:
        with pytest.raises(KeyError), collector_paused():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == running
    finally:
        gc.enable()


@pytest.mark.usefixtures("unfrozen")
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_kept_is_never_looked_at(keep):
    with collector_paused(keep=keep):
        found = weakref.ref(Node())
    gc.collect()
    assert (found() is not None) == keep
