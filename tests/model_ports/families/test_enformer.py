from dataclasses import replace

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, golden_port

from model_ports.contract.family import FINAL, View
from model_ports.families.enformer import position_features, window_length
from model_ports.layers.padded_input import reached_bins
from model_ports.loading.planned import abstract_model
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, padded_length, tokenize


@pytest.mark.parametrize(
    ("model_id", "tiny", "full"),
    [("enformer-official-rough", 32, 1536), ("space", 33, 1025)],
)
def test_position_features_are_the_originals(model_id, tiny, full):
    with np.load(GOLDEN / model_id / "golden.npz") as arrays:
        np.testing.assert_allclose(
            position_features(tiny, arrays["relpos"].shape[1]), arrays["relpos"], atol=1e-6
        )
        rows = arrays["relpos_full_distances"] + full - 1
        expected = arrays["relpos_full"]
    found = position_features(full, expected.shape[1])[rows]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("full", "dtype"), [(512, "float32"), (3056, "float32"), (3056, "bfloat16")]
)
@pytest.mark.parametrize("model_id", ["enformer-official-rough", "space"])
def test_window_gives_what_the_whole_input_gives(model_id, full, dtype):
    port = golden_port(model_id, dtype)
    config = replace(port.config, bins=full // 16 - 12)
    port = replace(
        port,
        config=config,
        graphdef=abstract_model(port.entry.family, config)[0],
        preset=replace(port.preset, max_tokens=full),
    )
    run = jax.jit(lambda state, inputs: forward(port, state, inputs, (0, FINAL)).states)
    rng, windows = np.random.default_rng(full), set()
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    for size in (1, 15, 16, 17, 100, 301, full // 2, full - 40, full, full + 7):
        sequence = "".join(rng.choice(list("ACGTN"), size, p=[0.24] * 4 + [0.04]))
        encoded = tokenize(port, [sequence, sequence[::-1]])
        window = padded_length(port, len(encoded[0]))
        found = run(port.state, collate(port, encoded, window))
        expected = run(port.state, collate(port, encoded, full))
        for tap in (0, FINAL):
            by_window, whole = (np.asarray(x[tap], np.float32) for x in (found, expected))
            off = np.abs(by_window - whole).max()
            assert off <= tolerance * np.abs(whole).max(), (size, window, tap)
        windows.add(window)
    assert max(windows) == full
    assert len(windows) <= 5
    if full > 1000:
        assert min(windows) <= 17 * 16


@pytest.mark.parametrize(
    "model_id", ["enformer-official-rough", pytest.param("space", marks=pytest.mark.slow)]
)
def test_states_inside_are_pooled_over_all_their_bins(model_id):
    port = golden_port(model_id)
    inputs = collate(port, tokenize(port, ["ACGTTGCA" * 20]), port.preset.max_tokens)
    found = jax.jit(lambda state, x: forward(port, state, x, (1, FINAL)))(port.state, inputs)
    vector = embedder(port, [View(1, "mean"), View(FINAL, "mean")])(port.state, inputs)
    assert found.states[1].shape[1] > found.states[FINAL].shape[1]
    expected = [np.asarray(found.states[tap], np.float64).mean(1) for tap in (1, FINAL)]
    np.testing.assert_allclose(vector, np.concatenate(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize("model_id", ["enformer-official-rough", "space"])
def test_window_is_the_smallest_that_is_exact(model_id):
    """A window one bin narrower than the record's reach would not give the same."""
    port = golden_port(model_id)
    full, bin_size = 4096, 2**port.config.downsamples
    for size in range(1, full, 37):
        length = window_length(port.config, full, size)
        left = (full - size) // 2 if port.config.space else 0
        first, last = reached_bins(port.config.convolutions, left, left + size - 1)
        reach = (last - max(first, 0) + 1) * bin_size
        assert length == full or reach < length
        assert length <= max(8 * bin_size, 3 * reach + 12 * bin_size) or length == full
