import jax
import numpy as np
import pytest

from probes.padding import ladder, roomy_features
from probes.rows import TaskRows


def test_features_with_room_are_on_cpus_what_the_host_holds():
    if jax.default_backend() != "cpu":
        pytest.skip("other devices have memory of their own")
    x = roomy_features(1000, 16)
    x[:] = np.random.default_rng(0).random(x.shape)
    on_devices = TaskRows(x, np.arange(1000) % 2, 2).on_devices
    assert on_devices.unsafe_buffer_pointer() == x.ctypes.data


@pytest.mark.parametrize("rows", [1000, 1024])
def test_features_are_padded_with_zeros_to_the_ladder(rows):
    x = np.random.default_rng(0).random((rows, 3), np.float32)
    on_devices = np.asarray(TaskRows(x, np.arange(rows) % 2, 2).on_devices)
    assert on_devices.shape == (ladder(rows), 3) == (1024, 3)
    np.testing.assert_array_equal(on_devices[:rows], x)
    assert not on_devices[rows:].any()
