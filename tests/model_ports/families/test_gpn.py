"""GPN's two forms: what their fixtures hold beside the uniform check, and other configs."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from drawn_checkpoints import drawn_tensors
from safetensors.numpy import load_file, save_file
from scipy.special import erf

from model_ports import catalog
from model_ports.loading.describe import describe
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, tokenize
from model_ports.tokenizers import build_tokenizer

MORE = Path(__file__).parents[2] / "golden_more"
FIRST, LATER = "gpn-brassicales", "gpn-animal-promoter"
BOTH = (FIRST, LATER)


def fixture(model_id):
    """The port of a fixture, its arrays, its tolerance, and its batch."""
    folder = MORE / model_id
    port = load_port(plan_checkpoint(catalog.get(model_id), folder))
    atol = json.loads((folder / "meta.json").read_text())["check"]["hidden_atol"]
    records = json.loads((folder / "cases.json").read_text())["sequences"]
    encoded = tokenize(port, records)
    inputs = collate(port, encoded, max(map(len, encoded)))
    return port, dict(np.load(folder / "golden.npz")), atol, inputs


def states_of(port, inputs, taps):
    run = jax.jit(lambda state, x: forward(port, state, x, taps).states)
    return {tap: np.asarray(state) for tap, state in run(port.state, inputs).items()}


def head(model_id, hidden):
    """The logits of hidden states, in float64."""
    tensors = {n: t.astype(np.float64) for n, t in load_file(tensors_of(model_id)).items()}
    if model_id == LATER:
        return hidden @ tensors["cls.decoder.weight"].T
    y = hidden @ tensors["cls.decoder.0.weight"].T + tensors["cls.decoder.0.bias"]
    y = y * (1 + erf(y / np.sqrt(2))) / 2
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
    y = y * tensors["cls.decoder.2.weight"] + tensors["cls.decoder.2.bias"]
    return y @ tensors["cls.decoder.3.weight"].T + tensors["cls.decoder.3.bias"]


def tensors_of(model_id):
    return MORE / model_id / "model.safetensors"


@pytest.mark.parametrize("model_id", BOTH)
def test_all_layers_and_the_logits_of_records_alone(model_id):
    port, golden, atol, inputs = fixture(model_id)
    mask = inputs["attention_mask"]
    taps = tuple(range(len(golden["all_hidden"])))
    states = states_of(port, inputs, (*taps, -1))
    assert len(taps) == port.config.layers + 1
    for tap in taps:
        np.testing.assert_allclose(
            states[tap][mask], golden["all_hidden"][tap][mask], atol=atol, err_msg=f"{tap}"
        )
    logits = head(model_id, states[-1].astype(np.float64))
    np.testing.assert_allclose(logits[mask], golden["logits_normalized"][mask], atol=atol)


@pytest.mark.parametrize("model_id", BOTH)
def test_without_a_mask_the_padding_is_seen_as_by_the_original(model_id):
    port, golden, atol, inputs = fixture(model_id)
    port = replace(port, preset=replace(port.preset, masked=False))
    found = states_of(port, inputs, (-1,))[-1]
    np.testing.assert_allclose(found, golden["hidden"], atol=atol)
    mask = inputs["attention_mask"]
    assert np.abs(found - golden["hidden_normalized"])[mask].max() > 1


@pytest.mark.parametrize("model_id", BOTH)
def test_the_strands_of_the_authors_script_are_two_records(model_id):
    port, golden, _, inputs = fixture(model_id)
    records = json.loads((MORE / model_id / "cases.json").read_text())["sequences"]
    others = str.maketrans(dict.fromkeys(map(chr, range(33, 127)), "N"))
    others |= str.maketrans("ACGTacgt", "TGCAtgca")
    encoded = tokenize(port, [record.translate(others)[::-1] for record in records])
    embed = embedder(port)
    reverse = embed(port.state, collate(port, encoded, inputs["input_ids"].shape[1]))
    both = (np.asarray(embed(port.state, inputs)) + np.asarray(reverse)) / 2
    np.testing.assert_allclose(both, golden["pooled_both_strands"], atol=5e-5)


@pytest.mark.parametrize("folder", [MORE / FIRST, None], ids=["tokenizer.json", "without"])
def test_letters(folder):
    tokenizer = build_tokenizer(folder, catalog.get(FIRST).tokenizer)
    cases = json.loads((MORE / FIRST / "cases.json").read_text())["tokenizer_cases"]
    # The names of special tokens are of tokenizer.json alone: no record holds them.
    read = [case for case in cases if folder or "[" not in case["text"]]
    assert len(read) >= len(cases) - 2
    for case, ids in zip(read, tokenizer.encode([c["text"] for c in read], None), strict=True):
        assert ids.tolist() == case["ids"], case["text"]
    assert set(tokenizer.known_letters) == set("ACGTacgt")


# Fields that differ from the fixture's, of which some change shapes: other tensors are drawn.
OTHERS = {
    "even kernel, base 3, steps that last two layers": (
        FIRST,
        {
            "kernel_size": 4,
            "dilation_base": 3,
            "dilation_double_every": 2,
            "dilation_max": 20,
            "n_layers": 6,
        },
    ),
    "dilations beyond the record": (FIRST, {"dilation_max": 2**26, "dilation_base": 60}),
    "one layer": (FIRST, {"n_layers": 1}),
    "biases, whole width": (LATER, {"bias": True, "slim": False, "first_kernel_size": 6}),
    "depthwise, one-hot ids": (LATER, {"depthwise": True, "embedding": "one_hot", "slim": False}),
    "one layer of the later form": (LATER, {"num_hidden_layers": 1}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_configs_agree_with_pytorch(name, tmp_path):
    torch = pytest.importorskip("torch")
    from benchmarks.peers import gpn as peer

    model_id, fields = OTHERS[name]
    content = {**read_config(MORE / model_id), **fields}
    config, unknown = family_config(catalog.get(model_id), content)
    assert unknown == ()
    tensors = drawn_tensors("gpn", config)
    (tmp_path / "config.json").write_text(json.dumps(content))
    save_file(tensors, tmp_path / "model.safetensors")
    port = load_port(plan_checkpoint(catalog.get(model_id), tmp_path))
    encoded = tokenize(port, ["ACGTNACCA", "G", "TTGACATTGCAACGTGACC" * 2])
    inputs = collate(port, encoded, 41)
    ids, mask = (torch.from_numpy(inputs[n]) for n in ("input_ids", "attention_mask"))
    expected = peer.build(content, tensors)(ids.long(), mask).numpy()
    found = states_of(port, inputs, (-1,))[-1]
    seen = inputs["attention_mask"]
    np.testing.assert_allclose(found[seen], expected[seen], atol=2e-5 * np.abs(expected).max())


# As RoFormerConfig, from which the later form's class is derived, writes them.
ROFORMER = {
    "attention_probs_dropout_prob": 0.1, "embedding_size": 768, "hidden_act": "gelu",
    "initializer_range": 0.02, "is_decoder": False, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 1536, "num_attention_heads": 12, "pad_token_id": 0,
    "rotary_value": False, "type_vocab_size": 2, "use_cache": True,
    "classification_head": "standard", "pos_weight": None, "regression_softplus": False,
}  # fmt: skip


def test_fields_of_roformer_change_nothing():
    content = read_config(MORE / LATER)
    bare = family_config(catalog.get(LATER), content)
    assert family_config(catalog.get(LATER), {**content, **ROFORMER}) == bare
    assert bare[1] == ()


def test_what_a_config_leaves_out_is_the_default_of_its_class():
    full = catalog.get(LATER).config
    kept = ("model_type", "encoder", "vocab_size", "hidden_size", "num_hidden_layers")
    config, _ = family_config(catalog.get(LATER), {name: full[name] for name in kept})
    assert (config.inner, config.kernels) == (1024, (9, 5))
    assert not (config.bias or config.depthwise or config.table)
    assert config.dilations == (1, 2, 4, 8, 16, 32, 64, 128) * 8
    config, _ = family_config(catalog.get(FIRST), catalog.get(FIRST).config)
    assert config.dilations == (1, 2, 4, 8, 16, 32) * 4 + (1,)


@pytest.mark.parametrize(
    ("model_id", "fields", "words"),
    [
        (LATER, {"encoder": "convnet"}, 'encoder is "convnet"; it must be "bytenet"'),
        (LATER, {"n_aux_features": 5}, "n_aux_features is 5; only 0 is computed here"),
        (LATER, {"embedding": "one_hot", "vocab_size": 25}, "vocab_size is 25; each id needs a"),
        (FIRST, {"vocab_size": 21}, "vocab_size is 21; each id needs a column of hidden_size, 20"),
        (FIRST, {"model_type": "GPNRoFormer"}, 'it must be "ConvNet" or "GPN"'),
        (FIRST, {"dilation_cycle": 0}, "dilation_cycle is 0; it must be a whole number from 1"),
    ],
)
def test_what_is_not_computed_is_refused(model_id, fields, words):
    with pytest.raises(CheckpointError) as error:
        family_config(catalog.get(model_id), {**read_config(MORE / model_id), **fields})
    assert words in str(error.value)


@pytest.mark.parametrize("model_id", BOTH)
def test_a_folder_is_told_by_its_model_type(model_id):
    found = describe(MORE / model_id, "mine")
    assert (found.family, found.tokenizer["kind"]) == ("gpn", "json")
    assert found.preset("corrected") == catalog.get(model_id).preset("corrected")
    ours, theirs = (
        plan_checkpoint(entry, MORE / model_id) for entry in (found, catalog.get(model_id))
    )
    records = ["ACGTNacgt", "RYK"]
    for a, b in zip(tokenize(ours, records), tokenize(theirs, records), strict=True):
        np.testing.assert_array_equal(a, b)
