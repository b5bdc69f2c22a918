"""The PyTorch peers compute what the original code computed."""

import json
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_ports import FOLDERS
from safetensors.numpy import load_file, save_file

from benchmarks.long_families import peer
from model_ports import catalog
from model_ports.contract.family import FINAL
from model_ports.loading.planned import plan_checkpoint
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


@pytest.mark.parametrize("name", VARIATIONS)
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
    port = load_port(plan_checkpoint(catalog.get(model_id), folder))
    encoded = tokenize(port, ["".join(rng.choice(list("ACGT"), 90))])
    fixed = port.preset.batching == "fixed"
    inputs = collate(port, encoded, (port.preset.max_tokens or 0) if fixed else len(encoded[0]))
    states = jax.jit(lambda state, x: forward(port, state, x, (FINAL,)))(port.state, inputs).states
    ids, mask = inputs["input_ids"].astype(np.int64), inputs["attention_mask"]
    expected = peer(model_id).build(config, tensors)(torch.from_numpy(ids), torch.from_numpy(mask))
    found = np.asarray(states[FINAL])
    scale = np.abs(expected.numpy()).max()
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5 * scale)
