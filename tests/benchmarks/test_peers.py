"""The PyTorch peers compute what the original code computed."""

import json
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_checkpoints import drawn_tensors
from golden_ports import FOLDERS
from safetensors.numpy import load_file, save_file

from benchmarks.long_families import peer
from model_ports import catalog
from model_ports.contract.family import FINAL
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.pooling import POOLINGS
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
PEERS = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("[!_]*.py")} - {"parts"}
IDS = [model_id for model_id in FOLDERS if catalog.get(model_id).family in PEERS]
MASKED = [m for m in IDS if catalog.get(m).family in ("esm", "glm2", "llama", "mosaic_bert")]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny models: waiting for the others costs more than they do
    yield
    torch.set_num_threads(before)


def golden(model_id):
    """A fixture's peer, the names of its arrays, the arrays, and how far they may be off."""
    folder = FOLDERS[model_id]
    config = json.loads((folder / "config.json").read_text())
    check = json.loads((folder / "meta.json").read_text())["check"]
    forward = peer(model_id).build(config, load_file(folder / "model.safetensors"))
    with np.load(folder / "golden.npz") as file:
        return forward, check["corrected"], dict(file), 10 * check["hidden_atol"]


@pytest.mark.parametrize("model_id", IDS)
def test_peer_agrees_with_the_original_code(model_id):
    forward, names, arrays, atol = golden(model_id)
    ids = arrays[names["input"]]
    if ids.ndim == 3:  # one-hot bases
        ids = np.where(ids.any(2), ids.argmax(2), 4)
    mask = None if names["mask"] is None else arrays[names["mask"]].astype(bool)
    hidden = None if names["hidden"] is None else arrays[names["hidden"]]
    pooled, human = arrays[names["pooled"]], 6  # the species that the peer of NTv3 computes
    for row, record in enumerate(ids):
        if "species_ids" in arrays and arrays["species_ids"][row] != human:
            continue
        seen = np.ones(len(record), bool) if mask is None else mask[row]
        # A model whose input has one length sees its padding; the others are given the record.
        fixed = catalog.get(model_id).preset("corrected").batching == "fixed"
        kept = np.ones_like(seen) if fixed else seen
        given = None if mask is None else torch.from_numpy(seen[kept][None])
        found = forward(torch.from_numpy(record[kept][None].astype(np.int64)), given).numpy()[0]
        if mask is not None:
            found = found[seen[kept]]
        if "bin_mask" in arrays:  # the embedding is of the bins under the record alone
            found = found[arrays["bin_mask"][row].astype(bool)]
        pool = POOLINGS[catalog.get(model_id).preset("corrected").pooling]
        vector = pool(jnp.asarray(found[None]), jnp.ones((1, len(found)), bool))[0]
        np.testing.assert_allclose(vector, pooled[row], atol=atol, rtol=1e-4)
        if hidden is not None:
            wanted = hidden[row] if mask is None else hidden[row][seen]
            np.testing.assert_allclose(found, wanted, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("model_id", MASKED)
def test_peer_agrees_on_a_padded_batch(model_id):
    forward, names, arrays, atol = golden(model_id)
    ids, mask = arrays[names["input"]].astype(np.int64), arrays[names["mask"]].astype(bool)
    wanted = arrays[names["hidden"]][mask]
    assert not mask.all()
    found = forward(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()[mask]
    np.testing.assert_allclose(found, wanted, atol=atol, rtol=1e-4)


# Fields of config.json, and by pattern the axis and size of tensors that change with them.
VARIATIONS = {
    "evo, wide short filter": (
        "evo-1-131k-base",
        {"short_filter_length": 5},
        {"short_filter_weight": (2, 5)},
    ),
    "evo, one state": ("evo-1-131k-base", {"state_size": 1}, {"poles|residues": (1, 1)}),
    "evo, plain rotary, two heads": (
        "evo-1-131k-base",
        {"use_interpolated_rotary_pos_emb": False, "num_attention_heads": 2, "eps": 1e-3},
        {},
    ),
    "evo 2, interpolated, all activated": (
        "evo2_1b_base",
        {
            "use_interpolated_rotary_pos_emb": True,
            "rotary_emb_scaling_factor": 3,
            "evo2_style_activations": False,
            "short_filter_length": 4,
        },
        {"short_filter_weight": (2, 4)},
    ),
    "evo 2, other filters": (
        "evo2_1b_base",
        {
            "hcs_filter_length": 9,
            "hcm_filter_length": 60,
            "state_size": 2,
        },
        {
            r"blocks\.[047]\.filter\.h": (2, 9),
            r"blocks\.[15]\.filter\.h": (2, 60),
            r"blocks\.[15]\.filter\.D": (0, 0),
            "log_poles|residues": (1, 2),
        },
    ),
    "hyena, short filter of two": (
        "hyenadna-medium-160k-seqlen-hf",
        {"short_filter_order": 2, "layer_norm_epsilon": 1e-2},
        {r"short_filter\.weight": (2, 2)},
    ),
    "caduceus, five states": (
        "caduceus-ps_seqlen-131k_d_model-256_n_layer-16",
        {"ssm_cfg": {"d_state": 5, "d_conv": 3, "dt_rank": 3}},
        {
            "A_log": (1, 5),
            r"conv1d\.weight": (2, 3),
            r"dt_proj\.weight": (1, 3),
            r"x_proj\.weight": (0, 13),
        },
    ),
    "PlantCAD2, one layer": (
        "PlantCAD2-Small-l24-d0768",
        {"n_layer": 1},
        {r"layers\.1\.": (0, 0)},
    ),
    "PlantCAD2, strands that are not exchanged": (
        "PlantCAD2-Small-l24-d0768",
        {"norm_cfg": {"fused_add_norm": False}},
        {},
    ),
    "PlantCAD2, two wide heads of three states": (
        "PlantCAD2-Small-l24-d0768",
        {
            "layer_cfg": {
                "mamba_cfg": {"ssm_cfg": {"d_state": 3, "headdim": 20, "d_conv": 2, "expand": 2}}
            },
        },
        {
            r"in_proj\.weight": (0, 88),
            r"conv1d\.(weight|bias)": (0, 46),
            r"conv1d\.weight": (2, 2),
            r"dt_bias|A_log|mamba_(fwd|rev)\.D": (0, 2),
        },
    ),
    "GENERanno, one head of keys": (
        "GENERanno-eukaryote-0.5b-base",
        {"num_key_value_heads": 1, "rope_theta": 90.0, "rms_norm_eps": 1e-2},
        {r"[kv]_proj\.weight": (0, 6)},
    ),
    "gLM2, a wider feed-forward": (
        "gLM2_650M",
        {"ffn_dim_multiplier": 1.3, "heads": 5, "norm_eps": 1e-3},
        {r"w[13]\.weight": (0, 108), r"w2\.weight": (1, 108)},
    ),
    "NTv3, one head and another epsilon": (
        "NTv3_8M_pre",
        {"attention_heads": 1, "key_size": 18, "layer_norm_eps": 1e-2},
        {},
    ),
    "Flashzoi, two heads that turn whole": (
        "flashzoi-replicate-0",
        {"heads": 2, "fixture_only_widths": {"rotary_dim": 20}, "bins_to_return": 19},
        {},
    ),
    "Borzoi, an odd number of bins": ("borzoi-replicate-0", {"bins_to_return": 17}, {}),
    "eccDNAMamba, convolution of two": (
        "eccdnamamba_weights",
        {"ssm_cfg": {"d_conv": 2}},
        {r"conv1d\.weight": (2, 2)},
    ),
    "JanusDNA, one expert": ("JanusDNA_72_w", {"num_experts_per_tok": 1}, {}),
    "JanusDNA, all of three experts": (
        "JanusDNA_72_w",
        {"num_experts_per_tok": 3, "num_experts": 3, "flex_attn_n_embd": 48},
        {r"router\.weight": (0, 3), r"experts\.3\.": (0, 0)},
    ),
}


# Those whose kind another one covers as well.
SLOW = {
    "evo, one state",
    "evo, plain rotary, two heads",
    "caduceus, five states",
    "PlantCAD2, strands that are not exchanged",
    "JanusDNA, one expert",
    "NTv3, one head and another epsilon",
    "NTv3, four levels that narrow, without skips",
    "NTv3, species and transposed convolutions",
    "GENERanno, biases and as many heads of keys",
    "gLM2, one layer of one head",
}


def by_speed(names):
    return [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names]


@pytest.mark.parametrize("name", by_speed(VARIATIONS))
def test_port_and_peer_agree_on_other_configs(name, tmp_path):
    model_id, fields, sizes = VARIATIONS[name]
    folder = tmp_path / model_id
    shutil.copytree(FOLDERS[model_id], folder)
    config = json.loads((folder / "config.json").read_text())
    for field, value in fields.items():
        inner = config if field in config else config.get("config", config)
        inner[field] = inner[field] | value if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    rng, tensors = np.random.default_rng(0), load_file(folder / "model.safetensors")
    for tensor in list(tensors):
        for pattern, (axis, size) in sizes.items():
            if not re.search(pattern, tensor):
                continue
            rows = np.arange(size) % tensors[tensor].shape[axis]
            taken = np.take(tensors.pop(tensor), rows, axis)
            if size:
                noise = rng.uniform(0.8, 1, taken.shape)
                tensors[tensor] = (taken * noise).astype(taken.dtype)
    save_file(tensors, folder / "model.safetensors")
    compare_with_peer(model_id, folder)


# Fields of config.json by which most shapes change: other tensors are drawn.
DRAWN = {
    "NTv3, one narrow level that is transposed, odd widths": (
        "NTv3_8M_pre",
        {
            "num_downsamples": 1,
            "deconv_upsample_type": "conv_transpose",
            "token_embed_dim": 3,
            "conv_init_embed_dim": 7,
            "embed_dim": 12,
            "attention_heads": 3,
            "key_size": None,
            "ffn_embed_dim": 5,
            "num_layers": 3,
        },
    ),
    "NTv3, four levels that narrow, without skips": (
        "NTv3_8M_pre",
        {
            "num_downsamples": 4,
            "use_skip_connection": False,
            "conv_init_embed_dim": 19,
            "embed_dim": 8,
            "attention_heads": 1,
            "key_size": 8,
            "num_layers": 1,
        },
    ),
    "NTv3, species and transposed convolutions": (
        "NTv3_100M_post",
        {
            "num_downsamples": 3,
            "deconv_upsample_type": "conv_transpose",
            "conv_init_embed_dim": 6,
            "embed_dim": 16,
            "attention_heads": 2,
            "key_size": 8,
            "num_layers": 1,
            "conditions_vocab_size": [31],
            "species_to_token_id": {"mouse": 6, "human": 30},
        },
    ),
    "PlantCAD2, three layers of an odd width": (
        "PlantCAD2-Small-l24-d0768",
        {
            "n_layer": 3,
            "d_model": 15,
            "layer_cfg": {
                "mode": "mamba-only",
                "mamba_cfg": {
                    "version": "v2",
                    "ssm_cfg": {"d_state": 1, "d_conv": 3, "expand": 3, "headdim": 5, "ngroups": 1},
                    "mlp_cfg": None,
                },
            },
        },
    ),
    "GENERanno, biases and as many heads of keys": (
        "GENERanno-eukaryote-0.5b-base",
        {
            "attention_bias": True,
            "mlp_bias": True,
            "hidden_act": "gelu",
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "hidden_size": 18,
            "intermediate_size": 7,
            "num_hidden_layers": 1,
            "tie_word_embeddings": True,
        },
    ),
    "Evo 2, attention first, one group of filters, two heads": (
        "evo2_1b_base",
        {
            "num_layers": 5,
            "attn_layer_idxs": [0, 4],
            "hcs_layer_idxs": [3],
            "hcm_layer_idxs": [1],
            "hcl_layer_idxs": [2],
            "hidden_size": 12,
            "num_filters": 12,
            "num_attention_heads": 2,
            "hcs_filter_groups": 1,
            "hcm_filter_groups": 12,
            "hcm_filter_length": 200,
            "hcs_filter_length": 2,
            "short_filter_length": 1,
            "state_size": 3,
            "inner_mlp_size": 7,
        },
    ),
    "Borzoi, wide values of three heads, odd widths": (
        "borzoi-replicate-0",
        {
            "dim": 15,
            "depth": 1,
            "heads": 3,
            "attn_dim_key": 5,
            "attn_dim_value": 7,
            "fixture_only_widths": {"tower": [3, 5, 4, 9, 2, 7], "final": 6},
        },
    ),
    "gLM2, one layer of one head": (
        "gLM2_650M",
        {"depth": 1, "dim": 14, "heads": 1, "swiglu_multiple_of": 5},
    ),
}


@pytest.mark.parametrize("name", by_speed(DRAWN))
def test_port_and_peer_agree_on_other_shapes(name, tmp_path):
    model_id, fields = DRAWN[name]
    folder = shutil.copytree(FOLDERS[model_id], tmp_path / model_id)
    content = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(content))
    entry = catalog.get(model_id)
    config, unknown = family_config(entry, content)
    assert unknown == ()
    tensors = drawn_tensors(entry.family, config, std=0.3)
    for tensor, array in tensors.items():
        if re.search("running_var|inv_freq|log_poles", tensor):
            tensors[tensor] = np.abs(array) * (-1 if "log_poles" in tensor else 1)
    for tensor, array in load_file(folder / "model.safetensors").items():
        if tensor.endswith("complement_map"):
            tensors[tensor] = array
    save_file(tensors, folder / "model.safetensors")
    compare_with_peer(model_id, folder)


def compare_with_peer(model_id, folder):
    """Compares a batch of very different records with the peer's, of each record alone."""
    port = load_port(plan_checkpoint(catalog.get(model_id), folder))
    letters = np.random.default_rng(0).choice(list("ACGT"), 90)
    encoded = tokenize(port, ["".join(letters), "G", "N" * 7, "".join(letters[:30]) + "NRacgt"])
    fixed = port.preset.batching == "fixed"
    inputs = collate(port, encoded, (port.preset.max_tokens or 0) if fixed else 111)
    run = jax.jit(lambda state, x: forward(port, state, x, (FINAL,)).states[FINAL])
    found = np.asarray(run(port.state, inputs))
    config = json.loads((folder / "config.json").read_text())
    theirs = peer(model_id).build(config, load_file(folder / "model.safetensors"))
    ids, mask = inputs["input_ids"].astype(np.int64), inputs["attention_mask"]
    assert mask.any(1).all()
    for row, record in enumerate(ids):
        kept = np.ones_like(mask[row]) if fixed else mask[row]
        given = (torch.from_numpy(array[None]) for array in (record[kept], mask[row][kept]))
        expected = theirs(*given).numpy()[0]
        state = found[row] if fixed else found[row][kept]
        np.testing.assert_allclose(state, expected, atol=2e-5 * np.abs(expected).max())
