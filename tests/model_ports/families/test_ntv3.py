"""NTv3's states, fill and species against the arrays of its fixtures."""

import functools
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, MORE
from safetensors.numpy import load_file

from geneb_jax.embedding.batches import ladder_of
from model_ports import catalog
from model_ports.contract.family import FINAL
from model_ports.families import ntv3
from model_ports.loading.describe import describe
from model_ports.loading.local_catalog import read_model
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import abstract_port, load_port
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.pooling import mean
from model_ports.running.embedder import forward
from model_ports.running.records import collate, padded_length, tokenize
from model_ports.verification.verify import entry_of, verify_keys

FOLDERS = {
    "repeat": MORE / "NTv3_8M_pre",
    "transpose": GOLDEN.with_name("golden_variants") / "NTv3_8M_pre_conv_transpose",
    "species": MORE / "NTv3_100M_post",
}


@functools.cache
def loaded(kind):
    """A fixture's port, arrays, and function from inputs to all hidden states."""
    folder = FOLDERS[kind]
    name = "NTv3_100M_post" if kind == "species" else "NTv3_8M_pre"
    port = load_port(plan_checkpoint(catalog.get(name), folder))
    with np.load(folder / "golden.npz") as file:
        arrays = dict(file)
    taps = (*range(port.config.layers + 1), FINAL)
    run = jax.jit(lambda state, inputs: forward(port, state, inputs, taps))
    others = {"species_ids": arrays["species_ids"]} if kind == "species" else {}
    return port, arrays, lambda inputs: run(port.state, {**inputs, **others})


def inputs_of(kind):
    """The batch of a fixture's records, padded to the longest."""
    port, arrays, _ = loaded(kind)
    records = json.loads((FOLDERS[kind] / "cases.json").read_text())["sequences"]
    return collate(port, tokenize(port, records), arrays["input_ids"].shape[1])


def test_a_fixture_of_another_config_is_of_the_model_of_its_repository():
    assert entry_of(FOLDERS["transpose"]).id == "NTv3_8M_pre"
    assert verify_keys(FOLDERS["transpose"]) == ""


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_state_is_the_originals_of_each_record_alone(kind):
    port, arrays, run = loaded(kind)
    found, downsamples = run(inputs_of(kind)), port.config.downsamples
    named = {
        downsamples + 1: "transformer_1_normalized",
        downsamples + 2: "transformer_2_normalized",
        **{downsamples + 2 + i: f"deconv_{i}_normalized" for i in range(1, downsamples)},
        port.config.layers: "hidden_normalized",
        FINAL: "hidden_normalized",
    }
    np.testing.assert_array_equal(
        arrays["after_transformer_normalized"], arrays["transformer_2_normalized"]
    )
    for tap, name in named.items():
        state, wanted = np.asarray(found.states[tap]), arrays[name]
        size = arrays["input_ids"].shape[1] // wanted.shape[1]  # bases of a row
        for row, filled in enumerate(arrays["filled_length"] // size):
            np.testing.assert_allclose(
                state[row, :filled], wanted[row, :filled], atol=1.2e-4, err_msg=f"{tap}"
            )
    # Rows of the transformer are all of the record: each has one of its bases.
    for tap, name in ((downsamples + 2, "pooled_after_transformer"), (FINAL, "pooled_normalized")):
        pooled = mean(found.states[tap], found.rows(tap))
        np.testing.assert_allclose(pooled, arrays[name], atol=2e-5)
    assert found.states[0].shape[1:] == (arrays["input_ids"].shape[1], port.config.first_width)


@pytest.mark.parametrize(
    ("kind", "part"),
    [("transpose", 20), ("species", 1), pytest.param("repeat", 8, marks=pytest.mark.slow)],
)
def test_towers_that_are_computed_part_by_part_give_the_same(kind, part, monkeypatch):
    port, arrays, run = loaded(kind)
    inputs = inputs_of(kind)
    whole = run(inputs)
    monkeypatch.setattr(ntv3, "_PART", part)
    others = {"species_ids": arrays["species_ids"]} if kind == "species" else {}
    taps = tuple(whole.states)
    parts = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs | others)
    for tap in taps:
        seen = np.asarray(whole.rows(tap))
        found, expected = np.asarray(parts.states[tap]), np.asarray(whole.states[tap])
        assert found.shape == expected.shape
        np.testing.assert_allclose(found[seen], expected[seen], atol=2e-5, err_msg=f"{tap}")


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_head_of_the_file_gives_the_originals_logits(kind):
    _, arrays, run = loaded(kind)
    tensors = load_file(FOLDERS[kind] / "model.safetensors")
    x = np.asarray(run(inputs_of(kind)).states[FINAL], np.float64)
    x = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    logits = x @ tensors["core.lm_head.head.weight"].T + tensors["core.lm_head.head.bias"]
    filled = np.arange(x.shape[1]) < arrays["filled_length"][:, None]
    np.testing.assert_allclose(logits[filled], arrays["logits_normalized"][filled], atol=3e-4)


@pytest.mark.parametrize("kind", FOLDERS)
def test_letters_n_are_context_and_padding_is_not(kind):
    _, arrays, run = loaded(kind)
    ids = arrays["input_ids"]
    filled = run({"input_ids": ids, "attention_mask": np.ones(ids.shape, bool)})
    np.testing.assert_allclose(filled.states[FINAL], arrays["hidden"], atol=1.2e-4)
    # A record that ends in as many N as it would be filled with is the record with its fill.
    lengths = arrays["filled_length"][:, None]
    of_record = run({"input_ids": ids, "attention_mask": np.arange(ids.shape[1]) < lengths})
    pooled = [
        np.asarray(of_record.states[FINAL])[row, :length].mean(0)
        for row, length in enumerate(lengths[:, 0])
    ]
    np.testing.assert_allclose(pooled, arrays["pooled_with_fill"], atol=2e-5)
    # What stands behind a record is not looked at: neither <pad> nor anything else.
    mask = arrays["attention_mask"].astype(bool)
    a, b = (
        run({"input_ids": each, "attention_mask": mask}).states[FINAL]
        for each in (arrays["input_ids_padtoken"], np.where(mask, ids, 3))
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(np.asarray(a) - arrays["hidden"])[mask].max() > 0.5
    # The two codes of the authors disagree on <pad>, and neither gives what a record alone gives.
    if kind != "species":
        with_pad = arrays["hidden_padtoken_jax_masked"]
        assert np.abs(with_pad - arrays["hidden_normalized"])[mask].max() > 0.5


def test_records_are_padded_to_whole_rows_of_the_transformer():
    port = load_port(plan_checkpoint(catalog.get("NTv3_100M_post"), FOLDERS["species"]))
    assert [padded_length(port, length) for length in (1, 4, 5, 23)] == [4, 4, 8, 24]
    full = abstract_port(catalog.get("NTv3_8M_pre"))
    assert full.config.length_multiple == 128
    ladder = ladder_of(full, 1)
    assert ladder == sorted(set(ladder))
    assert not np.array(ladder) % 128 @ np.ones(len(ladder))
    assert ladder[0] == 128


def test_widths_of_the_towers_are_truncated_steps():
    content = {**read_config(FOLDERS["repeat"]), "conv_init_embed_dim": 11, "num_downsamples": 4}
    config, _ = family_config(catalog.get("NTv3_8M_pre"), content)
    assert config.tower == [(11, 12), (12, 14), (14, 16), (16, 18)]  # 11, 12.75, 14.5, 16.25, 18


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deconv_phase": "even"}, 'deconv_phase is "even"; only "odd" is computed here'),
        ({"deconv_upsample_type": "nearest"}, 'it must be "repeat+conv" or "conv_transpose"'),
        ({"key_size": 9}, "key_size is 9; it must be embed_dim / heads, 6"),
        ({"embed_dim": 15}, "heads are 5 wide; rotary positions take pairs"),
        ({"alphabet_size": 10}, "it must be a whole number from 11"),
        ({"model_type": "ntv3_conditioned"}, 'it must be "ntv3" or "ntv3_posttrained"'),
        ({"conditions_vocab_size": [9, 9]}, "it must be a list of 1 whole numbers"),
        ({"species_to_token_id": {"human": 9}}, "must be a whole number from 6 to 8"),
        ({"species_to_token_id": {"mouse": 7}}, "species is missing, and species_to_token_id.hum"),
        ({"species": "<pad>"}, 'species is "<pad>"; it must be "human" or "mouse" or "arabid'),
    ],
)
def test_what_is_not_computed_is_refused(changes, message):
    content = {**read_config(FOLDERS["species"]), **changes}
    content.pop("key_size") if "embed_dim" in changes else None
    with pytest.raises(CheckpointError) as error:
        family_config(catalog.get("NTv3_100M_post"), content)
    assert message in str(error.value)


def test_the_species_of_records_is_stated_in_a_catalog_file(tmp_path):
    port, arrays, run = loaded("species")
    inputs = inputs_of("species")
    by_record = np.asarray(run(inputs).states[FINAL])
    stated = {"folder": str(FOLDERS["species"]), "unstated": {"species": "mouse"}}
    (tmp_path / "mice.json").write_text(json.dumps(stated))
    entry, _ = read_model(tmp_path / "mice.json")
    assert entry.tokenizer == port.entry.tokenizer
    mice = load_port(plan_checkpoint(entry, FOLDERS["species"]))
    assert mice.config == replace(port.config, species=7)
    of_mice = arrays["species_ids"] == 7
    found = jax.jit(lambda state, x: forward(mice, state, x).states[FINAL])(mice.state, inputs)
    np.testing.assert_allclose(found[of_mice], by_record[of_mice], atol=2e-5)
    assert np.abs(found[~of_mice] - by_record[~of_mice]).max() > 0.1


def test_a_folder_says_that_it_is_ntv3():
    entry = describe(FOLDERS["repeat"], "mine")
    known = catalog.get("NTv3_8M_pre")
    assert (entry.family, entry.tokenizer) == (known.family, known.tokenizer)
    assert entry.preset("corrected") == known.preset("corrected")
    assert entry.width == 10
