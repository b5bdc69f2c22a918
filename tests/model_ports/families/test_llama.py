import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transformers
from golden_ports import FOLDERS, GOLDEN, golden_port, golden_records
from safetensors.numpy import load_file
from saved_models import VOCABULARY, check_agrees, random_model

from model_ports import catalog
from model_ports.contract.fields import Fields
from model_ports.families.llama import Config, _within
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

MISTRAL = "GenomeOcean-500M"
GENERANNO = "GENERanno-eukaryote-0.5b-base"


def windowed(folder, window):
    """The fixture of a Mistral with a sliding window, in a folder."""
    shutil.copytree(GOLDEN / MISTRAL, folder, dirs_exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sliding_window": window}))
    return load_port(plan_checkpoint(catalog.get(MISTRAL), folder))


def states(port, record):
    """The hidden states of a record, of all layers, [layers + 1, L, D], and its ids."""
    (ids,) = tokenize(port, [record])
    inputs = collate(port, [ids], len(ids) + 3)  # some padding behind it
    taps = (*range(port.config.layers), -1)
    found = forward(port, port.state, inputs, taps).states
    return np.stack([np.asarray(found[tap])[0, : len(ids)] for tap in taps]), ids


def longest():
    return max(golden_records(MISTRAL), key=lambda r: len(tokenize(golden_port(MISTRAL), [r])[0]))


def test_a_window_as_long_as_the_record_changes_nothing(tmp_path):
    record = longest()
    expected, ids = states(golden_port(MISTRAL), record)
    found, _ = states(windowed(tmp_path, len(ids)), record)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    shorter, _ = states(windowed(tmp_path, len(ids) - 1), record)
    assert np.abs(shorter[-1, -1] - expected[-1, -1]).max() > 1e-3
    np.testing.assert_allclose(shorter[:, :-1], expected[:, :-1], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_window_is_that_of_transformers(tmp_path, window):
    torch = pytest.importorskip("torch")
    port = windowed(tmp_path, window)
    found, ids = states(port, longest())
    assert len(ids) > 8
    original = transformers.MistralModel.from_pretrained(
        tmp_path, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    assert original.config.sliding_window == window
    with torch.no_grad():
        output = original(torch.tensor(ids)[None], output_hidden_states=True)
    expected = np.stack([state[0].numpy() for state in output.hidden_states])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_the_window_counts_the_token_itself():
    assert _within(4, None) is None
    assert _within(4, 4) is None
    seen = jnp.tril(jnp.ones((4, 4), bool)) & _within(4, 2)
    np.testing.assert_array_equal(
        seen, [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    )  # fmt: skip


TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 36,
    "intermediate_size": 50,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 1,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 900.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 900.0, "factor": 8.0,
        "original_max_position_embeddings": 32}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "head", "fields"),
    [
        ("Llama", "Model", {"head_dim": 10, "rope_parameters": {"rope_theta": 5e5}}),
        ("Llama", "ForCausalLM", {"attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"}),
        ("Llama", "ForSequenceClassification", {"rope_parameters": LLAMA3}),
        ("Llama", "Model", {"rope_scaling": {"type": "linear", "factor": 3.0}}),
        ("Llama", "Model", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
        ("Llama", "Model", {"rope_parameters": YARN}),
        ("Llama", "ForCausalLM", {"rope_parameters": {**YARN, "attention_factor": 1.5}}),
        ("Llama", "Model", {"rope_parameters": {**YARN, "beta_fast": 8, "beta_slow": 2,
                                                "truncate": False}}),
        ("Mistral", "Model", {"rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.3}}),
        ("Qwen2", "Model", {"rope_scaling": {"type": "yarn", "factor": 4.0,
                                             "original_max_position_embeddings": 16}}),
        ("Qwen2", "Model", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 900.0,
                                                "factor": 4.0}}),
        ("Qwen3", "Model", {"head_dim": 12, "rope_parameters": {**YARN, "factor": 1.0}}),
        ("Mistral", "Model", {"sliding_window": 4, "rms_norm_eps": 1e-3}),
        ("Mistral", "ForSequenceClassification", {"sliding_window": None}),
        ("Qwen2", "Model", {"num_key_value_heads": 3}),
        ("Qwen2", "ForCausalLM", {"use_sliding_window": True, "sliding_window": 5,
                                  "max_window_layers": 1, "tie_word_embeddings": True}),
        ("Qwen2", "ForSequenceClassification", {"hidden_act": "gelu_pytorch_tanh"}),
        ("Qwen3", "Model", {"head_dim": 12, "attention_bias": True}),
        ("Qwen3", "ForSequenceClassification", {
            "head_dim": 8, "use_sliding_window": True, "sliding_window": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
        ("Olmo", "Model", {"clip_qkv": 0.5}),
        ("Olmo", "ForCausalLM", {"attention_bias": True, "num_key_value_heads": 6}),
        ("Olmo2", "Model", {"attention_bias": True}),
        ("Olmo2", "ForSequenceClassification", {"num_key_value_heads": 6, "rms_norm_eps": 1e-4}),
    ],
)  # fmt: skip
def test_agrees_with_transformers(tmp_path, name, head, fields):
    config = getattr(transformers, f"{name}Config")(**TINY | fields)
    check_agrees("llama", random_model(getattr(transformers, name + head), config), tmp_path)


def test_dynamic_positions_end_where_the_original_scales_them():
    fields = {**TINY, "model_type": "llama", "num_key_value_heads": 6}
    scaled = fields | {"rope_scaling": {"type": "dynamic", "factor": 2.0}}
    assert Config.from_json(Fields(scaled)).max_tokens == 64
    assert Config.from_json(Fields(fields)).max_tokens is None
    yarn = Config.from_json(Fields(fields | {"rope_parameters": YARN}))
    assert yarn.max_tokens is None


def hidden(port, encoded):
    """The hidden states of token ids in a padded batch, of all layers, and its mask."""
    inputs = collate(port, encoded, max(map(len, encoded)))
    taps = (*range(port.config.layers), -1)
    found = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs).states
    return np.stack([np.asarray(found[tap]) for tap in taps]), inputs["attention_mask"]


def means(port, encoded):
    """The mean final state of each record."""
    found, mask = hidden(port, encoded)
    return np.stack([state[seen].mean(0) for state, seen in zip(found[-1], mask, strict=True)])


def test_generanno_sees_all_tokens():
    port, golden = golden_port(GENERANNO), np.load(FOLDERS[GENERANNO] / "golden.npz")
    encoded = tokenize(port, golden_records(GENERANNO))
    found, mask = hidden(port, encoded)
    np.testing.assert_allclose(found[:, mask], golden["all_hidden"][:, mask], rtol=0, atol=5e-5)
    np.testing.assert_allclose(found[-1][:, 0], golden["first_token"], rtol=0, atol=5e-5)
    bases = golden["base_mask"].astype(bool)
    pooled = [state[seen].mean(0) for state, seen in zip(found[-1], bases, strict=True)]
    np.testing.assert_allclose(pooled, golden["pooled_bases"], rtol=0, atol=2e-5)
    bare = [ids[1:-1] for ids in encoded]
    np.testing.assert_allclose(means(port, bare), golden["pooled_no_specials"], rtol=0, atol=2e-5)
    closed = [np.append(ids[:-1], np.int32(2)) for ids in encoded]  # </s> behind
    np.testing.assert_allclose(means(port, closed), golden["pooled_bos_eos"], rtol=0, atol=2e-5)
    head = load_file(FOLDERS[GENERANNO] / "model.safetensors")["lm_head.weight"]
    logits = found[-1].astype(np.float64) @ head.T
    np.testing.assert_allclose(logits[mask], golden["logits"][mask], rtol=0, atol=1e-4)


def test_a_head_width_means_nothing_to_generanno():
    content = json.loads((FOLDERS[GENERANNO] / "config.json").read_text())
    entry = catalog.get(GENERANNO)
    assert family_config(entry, content)[0].head_width == 6
    with pytest.raises(CheckpointError, match="head_dim is 8; only 6 or null is computed"):
        family_config(entry, content | {"head_dim": 8})
