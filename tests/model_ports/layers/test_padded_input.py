import jax.numpy as jnp
import numpy as np
import pytest

from model_ports.layers.padded_input import (
    all_bins,
    bin_size,
    margin,
    reached_bins,
    strip_length,
    window_length,
    window_start,
)

# As Enformer's and Borzoi's: the last has a convolution without pooling, and a pooling alone.
TOWERS = {
    "pooled": ((15, 2), (5, 2), (5, 2)),
    "flat": ((15, 2), (5, 2), (5, 1)),
    "deeper": ((15, 2), (5, 2), (5, 1), (1, 2), (5, 1)),
}


def run(tower, x):
    """A tower in NumPy whose kernels are positive: [L] -> [bins]."""
    for width, stride in tower:
        kernel = np.linspace(1, 2, width)
        x = np.convolve(np.pad(x, width // 2), kernel[::-1], "valid")
        x = np.tanh(x / 10).reshape(-1, stride).max(axis=1)
    return x


@pytest.mark.parametrize("tower", TOWERS.values(), ids=TOWERS)
def test_bases_act_on_the_bins_that_are_told(tower):
    length, size = 40 * bin_size(tower), bin_size(tower)
    background = run(tower, np.full(length, 0.05))
    for first, last in ((length // 2, length // 2), (length // 2 + 3, length // 2 + 21)):
        x = np.full(length, 0.05)
        x[first : last + 1] += 1
        changed = np.flatnonzero(run(tower, x) != background)
        assert (changed[0], changed[-1]) == reached_bins(tower, first, last)
    # An end of the input is felt as far as the margin says, and no farther.
    felt = np.flatnonzero(np.abs(background - background[len(background) // 2]) > 1e-12)
    inside = felt[felt < len(background) // 2]
    assert inside[-1] <= margin(tower) - 1
    assert size * len(background) == length


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("names", [("pooled",), ("flat", "deeper")])
def test_a_window_and_a_strip_give_all_bins(names, centred):
    towers = [TOWERS[name] for name in names]
    unit, rng, windows = 16, np.random.default_rng(0), set()
    for units in (64, 65):
        full = units * unit
        for length in (0, 50, 300, full):
            record = rng.uniform(0.1, 1, length)
            window = window_length(towers, unit, full, length, centred=centred)
            windows.add(window)
            assert window % unit == 0

            def placed(size, record=record):
                start = window_start(size, len(record), centred=centred)
                x = np.zeros(size)
                x[start : start + len(record)] = record
                return x

            for tower in towers:
                whole = run(tower, placed(full))
                found = run(tower, placed(window))
                if window < full:
                    strip = run(tower, np.zeros(strip_length(towers, unit)))
                    bins = full // bin_size(tower)
                    found, strip = (
                        jnp.asarray(found)[None, :, None],
                        jnp.asarray(strip)[None, :, None],
                    )
                    found = np.asarray(all_bins(tower, found, strip, bins, centred=centred))
                    found = found[0, :, 0]
                np.testing.assert_allclose(found, whole, atol=1e-6)
    assert len(windows) >= 3
