"""Borzoi's and Flashzoi's bins against the arrays of their fixtures, and the window of records."""

import functools
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_ports import MORE, golden_port, golden_records
from safetensors.numpy import load_file

from model_ports import catalog
from model_ports.contract.family import FINAL
from model_ports.families.borzoi import position_features, window_length
from model_ports.loading.describe import describe
from model_ports.loading.planned import abstract_model, family_config
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.pooling import mean_all_rows
from model_ports.running.embedder import forward
from model_ports.running.records import collate, padded_length, tokenize

BOTH = ("borzoi-replicate-0", "flashzoi-replicate-0")


@functools.cache
def computed(model_id):
    """A fixture's arrays, and the hidden states of its records."""
    port = golden_port(model_id)
    with np.load(MORE / model_id / "golden.npz") as file:
        arrays = dict(file)
    encoded = tokenize(port, golden_records(model_id))
    inputs = collate(port, encoded, arrays["input_onehot"].shape[1])
    taps = (*range(port.config.layers + 1), FINAL)
    return arrays, jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs)


@pytest.mark.parametrize("model_id", BOTH)
def test_all_bins_are_the_originals(model_id):
    arrays, found = computed(model_id)
    np.testing.assert_allclose(found.states[FINAL], arrays["hidden"], atol=5e-5)
    pooled = mean_all_rows(found.states[FINAL], found.rows(FINAL))
    np.testing.assert_allclose(pooled, arrays["pooled_all_bins"], atol=2e-5)


@pytest.mark.parametrize("model_id", BOTH)
def test_the_bins_of_a_record_hold_its_letters(model_id):
    arrays, found = computed(model_id)
    np.testing.assert_array_equal(found.rows(FINAL), arrays["bin_mask"].astype(bool))
    # Rows of the transformer are of four bins each, those that are cropped among them.
    rows, length = np.asarray(found.rows(0)), arrays["input_onehot"].shape[1]
    for row, record in enumerate(golden_records(model_id)):
        start = max((length - len(record)) // 2, 0)
        touched = {base // 128 for base in range(start, min(start + len(record), length))}
        assert set(np.flatnonzero(rows[row])) == touched


@pytest.mark.parametrize("model_id", BOTH)
def test_every_layer_is_the_originals(model_id):
    arrays, found = computed(model_id)
    for tap, expected in enumerate(arrays["all_hidden"]):
        state = np.asarray(found.states[tap])[arrays["stage_records"]]
        np.testing.assert_allclose(state, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("model_id", BOTH)
def test_every_stage_around_the_transformer_is_the_originals(model_id):
    port, (arrays, found) = golden_port(model_id), computed(model_id)
    config, full, records = port.config, arrays["input_onehot"].shape[1], arrays["stage_records"]
    encoded = tokenize(port, golden_records(model_id))
    ids = collate(port, encoded, full)["input_ids"][records]
    last = np.asarray(found.states[config.layers])[records]

    @jax.jit
    def run(state, ids, x):
        model = nnx.merge(port.graphdef, state)
        with jax.default_matmul_precision("highest"):
            stem = model.stem(jax.nn.one_hot(ids, 4, dtype=jnp.float32))
            tower, deeper = model._bins(ids, full)
            inner = model.joint1(x, deeper)
            return stem, tower, deeper, inner, model.joint0(inner, tower)

    stem, tower, deeper, inner, outer = map(np.asarray, run(port.state, ids, last))
    # Of the stem the original's array holds some rows, channels first, after its pooling.
    start = arrays["stage_stem_offset"]
    pooled = stem.reshape(len(records), full // 2, 2, -1).max(axis=2)[:, start : start + 80]
    trim = (full // 32 - config.bins) // 2
    for array, expected in (
        (pooled.swapaxes(1, 2), arrays["stage_stem"]),
        (tower, arrays["stage_tower"]),
        (deeper, arrays["stage_unet1"]),
        (inner, arrays["stage_separable1"]),
        (outer, arrays["stage_separable0"]),
        (outer[:, trim : trim + config.bins], arrays["after_crop"][records]),
    ):
        assert array.shape == expected.shape
        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("model_id", BOTH)
def test_the_heads_of_the_file_give_the_originals_tracks(model_id):
    arrays, found = computed(model_id)
    tensors = load_file(MORE / model_id / "model.safetensors")
    hidden = np.asarray(found.states[FINAL], np.float64)[arrays["stage_records"]]
    tracks = hidden @ tensors["human_head.weight"][:, :, 0].T + tensors["human_head.bias"]
    np.testing.assert_allclose(np.logaddexp(0, tracks), arrays["head_tracks"], atol=5e-5)


def test_position_features_are_the_originals():
    with np.load(MORE / "borzoi-replicate-0" / "golden.npz") as arrays:
        np.testing.assert_array_equal(position_features(8), arrays["relpos"])
        reach = arrays["relpos_full_reach"]
    full = position_features(4096)
    np.testing.assert_array_equal(full[4095:, :16].sum(axis=0), reach)
    assert (full[:4095, 16:] == -full[:4095, :16]).all()
    assert not full[4095, 16:].any()


@pytest.mark.parametrize(
    ("model_id", "full", "dtype"),
    [
        ("borzoi-replicate-0", 25 * 128, "float32"),
        pytest.param("flashzoi-replicate-0", 40 * 128, "float32", marks=pytest.mark.slow),
        pytest.param("borzoi-replicate-0", 40 * 128, "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_window_gives_what_the_whole_input_gives(model_id, full, dtype):
    port = golden_port(model_id, dtype)
    config = replace(port.config, bins=full // 32 - 12)
    port = replace(
        port,
        config=config,
        graphdef=abstract_model(port.entry.family, config)[0],
        preset=replace(port.preset, max_tokens=full),
    )
    run = jax.jit(lambda state, inputs: forward(port, state, inputs, (0, FINAL)))
    rng, windows = np.random.default_rng(full), set()
    tolerance = 1e-5 if dtype == "float32" else 0.1  # bfloat16 itself is as far from float32
    for size in (1, 33, 300, 1000, full - 500, full + 7):
        sequence = "".join(rng.choice(list("ACGTN"), size, p=[0.24] * 4 + [0.04]))
        encoded = tokenize(port, [sequence, sequence[:-1] or "A"])
        window = padded_length(port, len(encoded[0]))
        found = run(port.state, collate(port, encoded, window))
        expected = run(port.state, collate(port, encoded, full))
        for tap in (0, FINAL):
            by_window, whole = (np.asarray(x.states[tap], np.float32) for x in (found, expected))
            off = np.abs(by_window - whole).max()
            assert off <= tolerance * np.abs(whole).max(), (size, window, tap)
            np.testing.assert_array_equal(found.rows(tap), expected.rows(tap))
        windows.add(window)
    assert max(windows) == full
    assert min(windows) <= 17 * 128


def test_a_short_record_of_the_real_model_takes_a_short_window():
    config, _ = family_config(catalog.get("borzoi-replicate-0"), {"model_type": "borzoi"})
    # A base acts on 4 bins of 64 bases on either side, and the ends of the window on 5 each.
    assert window_length(config, 524288, 300) == 2048
    assert window_length(config, 524288, 2000) == 4096
    assert window_length(config, 524288, 524288) == 524288


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "prime"}, 'model_type is "prime"; only "borzoi" is computed here'),
        ({"heads": 5}, "heads is 5; it must be even and divide dim, which is 40"),
        ({"dim": 16}, "dim is 16; heads are 4 wide, but 6 elements"),
        ({"bins_to_return": 0}, "bins_to_return is 0; it must be a whole number from 1"),
        (
            {"flashed": False, "fixture_only_widths": {"tower": [8, 8]}},
            "it must be a list of 6 whole numbers",
        ),
    ],
)
def test_what_is_not_computed_is_refused(changes, message):
    content = {**read_config(MORE / "flashzoi-replicate-0"), **changes}
    with pytest.raises(CheckpointError) as error:
        family_config(catalog.get("flashzoi-replicate-0"), content)
    assert message in str(error.value)


def test_absent_fields_are_those_of_the_published_models():
    for model_id in BOTH:
        entry = catalog.get(model_id)
        stated, _ = family_config(entry, entry.config)
        bare, _ = family_config(entry, {"model_type": "borzoi", "flashed": stated.flashed})
        assert bare == stated
    whole, _ = family_config(entry, {"model_type": "borzoi", "return_center_bins_only": False})
    assert whole.bins == 16352


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (1000, "max_tokens is 1000; the input must be a multiple of 128 bases"),
        (
            512,
            "config.json: bins_to_return is 20, but an input of 512 bases has 16 bins of 32; state",
        ),
    ],
)
def test_an_input_without_the_bins_is_refused(length, message):
    port = golden_port("borzoi-replicate-0")
    short = replace(port, preset=replace(port.preset, max_tokens=length))
    inputs = collate(short, tokenize(short, ["ACGT"]), length)
    with pytest.raises(ValueError, match=re.escape(message)):
        forward(short, short.state, inputs)


def test_a_folder_does_not_say_the_length_of_the_input():
    with pytest.raises(CheckpointError, match="such as 'borzoi-replicate-0'"):
        describe(MORE / "borzoi-replicate-0", "mine")
