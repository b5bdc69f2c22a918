"""PlantCAD2: Caduceus over Mamba-2, and the two kinds of config.json that the family reads."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from golden_ports import FOLDERS, golden_port
from safetensors.numpy import load_file

from model_ports import catalog
from model_ports.families.caduceus import MambaSizes
from model_ports.loading.planned import family_config
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

NAME = "PlantCAD2-Small-l24-d0768"
STRANDS = "caduceus-ps_seqlen-131k_d_model-256_n_layer-16"


def states(inputs, taps, *, masked=True):
    """Hidden states of the fixture's model, [taps, B, L, D]."""
    port = golden_port(NAME)
    port = replace(port, preset=replace(port.preset, masked=masked))
    found = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs).states
    return np.stack([np.asarray(found[tap]) for tap in taps])


def test_mixer_outputs_of_every_layer_and_the_logits():
    """The original lists what a mixer adds: a state less the one before it, strands exchanged.

    Its head is the table of tokens, of the other strand with complements exchanged.
    """
    golden = np.load(FOLDERS[NAME] / "golden.npz")
    ids, mask = golden["input_ids"], golden["attention_mask"].astype(bool)
    found = states({"input_ids": ids.astype(np.int32), "attention_mask": mask}, (0, 1, -1))
    width = golden_port(NAME).config.width
    added = found[1] - np.roll(found[0], width, axis=-1)
    for mine, theirs in zip(
        (found[0], added, found[2]), golden["all_hidden_normalized"], strict=True
    ):
        np.testing.assert_allclose(mine[mask], theirs[mask], rtol=0, atol=5e-5)
    tensors = load_file(FOLDERS[NAME] / "model.safetensors")
    embeddings = "caduceus.backbone.embeddings.word_embeddings"
    table = tensors[f"{embeddings}.embedding.weight"].astype(np.float64)
    complements = table[tensors[f"{embeddings}.complement_map"]]
    logits = found[2, ..., :width] @ table.T + found[2, ..., : width - 1 : -1] @ complements.T
    np.testing.assert_allclose(logits[mask], golden["logits_normalized"][mask], rtol=0, atol=1e-4)


def test_without_a_mask_padding_is_seen_as_by_the_original():
    golden = np.load(FOLDERS[NAME] / "golden.npz")
    seen = golden["attention_mask"].astype(bool)
    inputs = {"input_ids": golden["input_ids"].astype(np.int32), "attention_mask": seen}
    embedded, first, found = states(inputs, (0, 1, -1), masked=False)
    added = first - np.roll(embedded, golden_port(NAME).config.width, axis=-1)
    np.testing.assert_allclose([embedded, added, found], golden["all_hidden"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(found, golden["hidden"], rtol=0, atol=5e-5)
    assert np.abs(golden["hidden"] - golden["hidden_normalized"])[seen].max() > 1


def test_the_reverse_complement_turns_length_and_channels_around():
    port, record = golden_port(NAME), "ACGTTAGCCANNAGGCATTGC"
    complement = record[::-1].translate(str.maketrans("ACGT", "TGCA"))
    inputs = collate(port, tokenize(port, [record, complement]), len(record) + 5)
    (found,) = states(inputs, (-1,))
    one, other = found[:, : len(record)]
    np.testing.assert_allclose(one, other[::-1, ::-1], rtol=0, atol=1e-5)
    assert np.abs(one - other).max() > 0.1


def test_nested_options_of_mamba_are_those_at_the_top():
    entry, flat = catalog.get(STRANDS), read_config(FOLDERS[STRANDS])
    ssm = {name: value for name, value in flat.pop("ssm_cfg").items() if name != "layer"}
    norm = {name: flat.pop(name) for name in ("fused_add_norm", "rms_norm", "norm_epsilon")}
    nested = flat | {
        "norm_cfg": norm,
        "layer_cfg": {"mode": "mamba-only", "mamba_cfg": {"version": "v1", "ssm_cfg": ssm}},
    }
    expected = family_config(entry, read_config(FOLDERS[STRANDS]))
    assert family_config(entry, nested) == expected
    nested["layer_cfg"]["mamba_cfg"]["ssm_cfg"] = None  # the defaults of mamba_ssm's Mamba
    config, _ = family_config(entry, nested)
    assert config.mixer == MambaSizes(2 * config.width, 16, -(-config.width // 16), 4)


def test_nested_options_that_are_absent_are_mamba_2s_defaults():
    entry, content = catalog.get(NAME), read_config(FOLDERS[NAME]) | {"d_model": 96}
    common = {"model_type": "", "return_dict": True, "pruned_heads": {}}
    for absent in (
        {"layer_cfg": None},
        {"layer_cfg": {}, "norm_cfg": None},
        {"layer_cfg": common | {"mamba_cfg": common}, "norm_cfg": common},
    ):
        config, unknown = family_config(entry, content | absent)
        sizes = config.mixer
        assert (sizes.inner, sizes.states, sizes.heads, sizes.convolution) == (192, 128, 3, 4)
        assert (config.epsilon, config.exchanged, unknown) == (1e-5, True, ())
    _, unknown = family_config(entry, content | {"layer_cfg": {"mode": "mamba-only", "gates": 2}})
    assert unknown == ("layer_cfg.gates",)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer_cfg", "mamba", 'layer_cfg is "mamba"; it must be an object'),
        ("norm_cfg", [1], "norm_cfg is .1.; it must be an object"),
        ("layer_cfg", {"mamba_cfg": {"mlp_cfg": {}}}, "mlp_cfg is {}; only null is computed"),
        ("layer_cfg", {"mamba_cfg": {"version": "v3"}}, 'version is "v3"; it must be "v1" or "v2"'),
        ("layer_cfg", {"mamba_cfg": {"ssm_cfg": {"ngroups": 2}}}, "ngroups is 2; only 1 is"),
        ("layer_cfg", {"mamba_cfg": {"ssm_cfg": {"headdim": 7}}}, "headdim is 7; it must divide"),
        ("norm_cfg", {"rms_norm": False}, "rms_norm is false; only true is computed"),
    ],
)
def test_what_is_not_computed_is_refused(name, value, words):
    with pytest.raises(CheckpointError, match=words):
        family_config(catalog.get(NAME), read_config(FOLDERS[NAME]) | {name: value})
