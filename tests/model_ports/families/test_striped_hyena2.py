import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_ports import MORE, change_tensors, golden_port, golden_records
from safetensors.numpy import load_file

from model_ports import catalog
from model_ports.contract.family import FINAL, View
from model_ports.families import striped_hyena2
from model_ports.families.striped_hyena2 import ModalFilter, StoredFilter
from model_ports.loading.assignment import assign_tensors, parameter_shapes
from model_ports.loading.names import read_names
from model_ports.loading.planned import abstract_model, family_config, plan_checkpoint
from model_ports.loading.ports import abstract_port, load_port, random_port
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, tokenize

EVO = "evo2_1b_base"
FOLDER = MORE / EVO


def golden():
    with np.load(FOLDER / "golden.npz") as arrays:
        return dict(arrays), json.loads((FOLDER / "meta.json").read_text())


def states_of(port, taps):
    encoded = tokenize(port, golden_records(EVO))
    inputs = collate(port, encoded, max(map(len, encoded)))

    @jax.jit
    def run(state, inputs):
        states = forward(port, state, inputs, taps).states
        assert set(states) == set(taps)
        return [states[tap] for tap in taps]

    found = map(np.asarray, run(port.state, inputs))
    return dict(zip(taps, found, strict=True)), inputs["attention_mask"]


def changed_copy(tmp_path, changes, of_tensors=lambda tensors: None):
    """A fixture with other fields of config.json and other tensors."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((FOLDER / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    change_tensors(tmp_path, of_tensors)
    return load_port(plan_checkpoint(catalog.get(EVO), tmp_path))


def test_the_recommended_tap_is_that_of_the_original():
    """`blocks.4.mlp.l3`, counted from 0: what the fifth block's feed-forward adds."""
    arrays, meta = golden()
    assert meta["intermediate_tap"]["name"] == "blocks.4.mlp.l3"
    port = golden_port(EVO)
    encoded = tokenize(port, golden_records(EVO))
    inputs = collate(port, encoded, max(map(len, encoded)))
    tapped = replace(port, preset=replace(port.preset, tap="mlp5"))
    for found in (
        embedder(tapped)(port.state, inputs),
        embedder(port, [View("mlp5", "mean")])(port.state, inputs),
    ):
        atol = meta["tap_atol"]["pooled_tap_mlp_l3"]
        np.testing.assert_allclose(found, arrays["pooled_tap_mlp_l3"], atol=atol)


def test_every_hidden_state_is_that_of_the_original():
    """Those with a number, beside one with a name; alone, where the blocks behind do not run."""
    arrays, meta = golden()
    port = golden_port(EVO)
    taps = (*range(9), FINAL)
    states, mask = states_of(port, (*taps, "mlp5"))
    for tap, expected in zip(taps, arrays["all_hidden"], strict=True):
        np.testing.assert_allclose(
            states[tap][mask], expected[mask], atol=meta["all_hidden_atol"], err_msg=f"{tap}"
        )
    np.testing.assert_allclose(
        states["mlp5"][mask], arrays["tap_mlp_l3"][mask], atol=meta["tap_atol"]["tap_mlp_l3"]
    )
    embedding, _ = states_of(port, (0,))
    np.testing.assert_array_equal(states[0], embedding[0])


def test_interpolated_positions_are_those_of_the_7b_model(tmp_path):
    arrays, meta = golden()
    port = changed_copy(tmp_path, meta["interpolated"]["config_changes"])
    states, mask = states_of(port, (FINAL,))
    final = states[FINAL]
    last = np.array([row[seen][-1] for row, seen in zip(final, mask, strict=True)])
    atol = meta["interpolated"]["atol"]
    np.testing.assert_allclose(last, arrays["hidden_interpolated_last"], atol=atol)
    pooled = np.array([row[seen].mean(0) for row, seen in zip(final, mask, strict=True)])
    np.testing.assert_allclose(pooled, arrays["pooled_interpolated"], atol=1e-5)
    plain = np.stack([row[seen].mean(0) for row, seen in zip(arrays["hidden"], mask, strict=True)])
    assert np.abs(pooled - plain).max() > 0.1


def test_the_full_size_7b_takes_every_tensor_of_its_list():
    entry = catalog.get("evo2_7b")
    fields = json.loads((FOLDER / "full_config_7b.json").read_text())
    listed = json.loads((FOLDER / "full_keys_7b.json").read_text())
    config, unknown = family_config(entry, fields)
    assert unknown == ()
    assert (config, ()) == family_config(entry, entry.config)
    _, abstract = abstract_model(entry.family, config)
    shapes = parameter_shapes(abstract)
    rules = striped_hyena2.weights(config)
    tensors = listed["tensors"] | {name: [1] for name in listed["ignored_entries"]["names"]}
    assign_tensors(rules, read_names(rules, tensors), tensors, shapes)
    buffers = len(config.attention_layers) * config.width // config.heads // 2
    assert sum(map(np.prod, shapes.values())) == listed["total_params"] + buffers
    assert listed["total_params"] == entry.params


@pytest.mark.slow
def test_the_7b_model_exports_for_every_platform():
    """As it runs unless asked otherwise: in bfloat16, up to the block that its preset pools."""
    port = abstract_port(catalog.get("evo2_7b"), dtype="bfloat16")
    inputs = {
        name: jax.ShapeDtypeStruct((2, 512), array.dtype)
        for name, array in collate(port, [np.zeros(1, np.int32)], 512).items()
    }
    exported = jax.export.export(embedder(port), platforms=("cpu", "cuda", "tpu"))
    (vectors,) = exported(port.state, inputs).out_avals
    assert (vectors.shape, vectors.dtype) == ((2, 4096), jnp.float32)


def recurrence(log_poles, residues, x):
    """h_t = pole h_{t-1} + x_t and y_t = sum residue h_t, in float64; [L, D]."""
    poles = np.exp(log_poles.astype(np.float64))
    h, y = np.zeros(poles.shape), []
    for row in x.astype(np.float64):
        h = poles * h + row[:, None]
        y.append((residues.astype(np.float64) * h).sum(-1))
    return np.stack(y)


def modal_filter(width, states, slowest):
    module = ModalFilter(width, states, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    log_poles = -np.logspace(0.5, slowest, width * states).reshape(width, states)
    module.log_poles[...] = jnp.asarray(log_poles, jnp.float32)
    module.residues[...] = jnp.asarray(rng.normal(size=(width, states)), jnp.float32)
    module.skip[...] = jnp.asarray(rng.normal(size=width), jnp.float32)
    return module, *(np.asarray(part[...]) for part in (module.log_poles, module.residues))


def test_long_filters_are_the_recurrence():
    """Exponentials that forget at once, some that never do, and all between; 2,048 tokens."""
    length, width, states = 2048, 6, 16
    module, log_poles, residues = modal_filter(width, states, -7)
    x = np.random.default_rng(1).normal(size=(length, width)).astype(np.float32)
    expected = recurrence(log_poles, residues, x) + np.asarray(module.skip[...]) * x
    found = np.asarray(jax.jit(module.__call__)(x[None]))[0]
    scale = np.abs(expected).max(axis=0)
    assert (np.abs(found - expected) / scale).max() < 1e-5
    impulse = np.zeros((length, width), np.float32)
    impulse[0] = 1
    filters = recurrence(log_poles, residues, impulse)
    bound = 4e-6 * np.abs(residues).sum(1)
    assert (np.abs(np.asarray(module.filters(length)) - filters) < bound).all()


def test_long_filters_keep_their_values_over_a_million_tokens():
    length = 2**20
    module, log_poles, residues = modal_filter(2, 4, -7)
    found = np.asarray(module.filters(length))
    for t in (0, 1, 1023, 1024, 131_072, length - 1):
        expected = (residues * np.exp(log_poles.astype(np.float64) * t)).sum(-1)
        assert (np.abs(found[t] - expected) < 4e-6 * np.abs(residues).sum(-1)).all(), t


@pytest.mark.parametrize("taps", [7, 127, 128])
@pytest.mark.parametrize("length", [3, 300])
def test_stored_filters_are_read_as_the_original_reads_them(taps, length):
    """From 128 taps on the first meets the current token, and a skip is added; else the last."""
    width, groups = 12, 4
    module = StoredFilter(width, groups, taps, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    kernel, x = rng.normal(size=(groups, taps)), rng.normal(size=(2, length, width))
    module.kernel[...] = jnp.asarray(kernel, jnp.float32)
    each = np.repeat(kernel, width // groups, axis=0)
    if taps >= 128:
        skip = rng.normal(size=width)
        module.skip[...] = jnp.asarray(skip, jnp.float32)
        expected = x * skip
    else:
        assert not hasattr(module, "skip")
        each, expected = each[:, ::-1], np.zeros_like(x)
    for t in range(length):
        for lag in range(min(t + 1, taps)):
            expected[:, t] += each[:, lag] * x[:, t - lag]
    found = jax.jit(module.__call__)(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_only_the_first_feed_forward_has_the_activation(tmp_path):
    """Without `evo2_style_activations` all have it; a SiLU is another activation."""
    arrays, meta = golden()
    mask = arrays["attention_mask"].astype(bool)

    def same(changes):
        states, _ = states_of(changed_copy(tmp_path, changes), (1, 2))
        expected, atol = arrays["all_hidden"], meta["all_hidden_atol"]
        return [np.allclose(states[i][mask], expected[i][mask], atol=atol) for i in (1, 2)]

    assert same({"evo2_style_activations": False}) == [True, False]
    assert same({"mlp_activation": "silu"}) == [False, False]


def test_the_rows_of_query_key_and_value_may_stand_in_thirds(tmp_path):
    """`column_split` false: the file has them as the original computes with them."""

    def split(tensors):
        name = "blocks.3.inner_mha_cls.Wqkv.weight"
        heads = [np.split(head, 3) for head in np.split(tensors[name], 3)]  # 3 heads
        tensors[name] = np.concatenate([np.concatenate(part) for part in zip(*heads, strict=True)])

    port = changed_copy(tmp_path, {"column_split": False}, split)
    states, mask = states_of(port, (FINAL,))
    arrays, meta = golden()
    atol = meta["check"]["hidden_atol"]
    np.testing.assert_allclose(states[FINAL][mask], arrays["hidden"][mask], atol=atol)


def test_a_model_without_some_kinds_of_block():
    entry = catalog.get(EVO)
    fields = {"num_layers": 2, "hcs_layer_idxs": [], "hcm_layer_idxs": []}
    fields |= {"hcl_layer_idxs": [1], "attn_layer_idxs": [0]}
    port = random_port(entry, tiny=True, fields=fields)
    (ids,) = tokenize(port, ["ACGTTGCAAC"])
    assert np.isfinite(embedder(port)(port.state, collate(port, [ids], len(ids)))).all()


def test_frequencies_are_those_of_the_file():
    stored = load_file(FOLDER / "model.safetensors")["blocks.3.inner_mha_cls.rotary_emb.inv_freq"]
    port = golden_port(EVO, "bfloat16")
    kept = port.state["attention"]["mixer"]["frequencies"][...]
    np.testing.assert_array_equal(kept[0], stored)
    assert kept.dtype == jnp.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_layer_idxs": [2]}, r"attn_layer_idxs is \[2\]; together with hcs_layer_idxs, hcm"),
        ({"num_layers": 7}, "num_layers is 7; the indices name 8 layers"),
        ({"num_filters": 5}, "num_filters is 5; it must divide hidden_size, which is 18"),
        ({"hcm_filter_groups": 4}, "hcm_filter_groups is 4; it must divide hidden_size"),
        ({"column_split_hyena": True}, "column_split_hyena is true; only false is computed"),
        ({"interleave": False}, "interleave is false; only true is computed"),
        ({"mlp_activation": "relu"}, 'mlp_activation is "relu"; it must be "gelu" or "silu"'),
    ],
)
def test_what_is_not_computed_is_refused(changes, message):
    content = json.loads((FOLDER / "config.json").read_text()) | changes
    with pytest.raises(ValueError, match=message):
        family_config(catalog.get(EVO), content)


@pytest.mark.parametrize("model_id", ["evo2_1b_base", "evo2_7b", "evo2_7b_base", "evo2_7b_262k"])
def test_a_config_that_names_the_model_alone_has_the_sizes_of_the_catalog(model_id):
    """As the repositories on the hub have it: the sizes are in the authors' code."""
    entry = catalog.get(model_id)
    named = {"name": model_id, "architecture": ["StripedHyena2"], "_name_or_path": f"{model_id}.pt"}
    config, unknown = family_config(entry, named)
    assert unknown == ()
    assert config == family_config(entry, entry.config)[0]
    shapes = parameter_shapes(abstract_model(entry.family, config)[1])
    buffers = len(config.attention_layers) * config.width // config.heads // 2
    assert sum(map(np.prod, shapes.values())) == entry.params + buffers
    with pytest.raises(ValueError, match="column_split_hyena is missing"):
        family_config(entry, {"num_layers": 25})
