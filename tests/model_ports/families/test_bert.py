import jax
import numpy as np
import pytest
import transformers
from golden_ports import MORE, golden_port, golden_records
from saved_models import VOCABULARY, check_agrees, random_model

from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 36,
    "intermediate_size": 50,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 40,
    "type_vocab_size": 3,
    "pad_token_id": 1,
}
DISTILBERT = {
    "vocab_size": VOCABULARY,
    "dim": 36,
    "hidden_dim": 50,
    "n_layers": 3,
    "n_heads": 4,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}


@pytest.mark.parametrize(
    ("name", "head", "fields"),
    [
        ("Bert", "Model", {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3}),
        ("Bert", "ForSequenceClassification", {"type_vocab_size": 1, "hidden_act": "relu"}),
        ("RoFormer", "Model", {}),
        ("RoFormer", "ForMaskedLM", {"embedding_size": 20, "layer_norm_eps": 1e-3}),
        ("Roberta", "Model", {"max_position_embeddings": 34}),
        ("Roberta", "ForSequenceClassification", {"pad_token_id": 3, "hidden_act": "silu"}),
        ("Electra", "Model", {"embedding_size": 20}),
        ("Electra", "ForPreTraining", {"embedding_size": 36}),
        ("DistilBert", "ForMaskedLM", {"sinusoidal_pos_embds": True}),
        ("DistilBert", "ForSequenceClassification", {"activation": "relu"}),
    ],
)
def test_agrees_with_transformers(tmp_path, name, head, fields):
    tiny = DISTILBERT if name == "DistilBert" else TINY
    config = getattr(transformers, f"{name}Config")(**tiny | fields)
    port = check_agrees("bert", random_model(getattr(transformers, name + head), config), tmp_path)
    positions = {"RoFormer": None, "Roberta": config.max_position_embeddings - 2}
    if config.pad_token_id == 1:
        assert port.config.max_tokens == positions.get(name, config.max_position_embeddings)


@pytest.mark.parametrize("model_id", ["DNA_bert_3", "DNA_bert_6", "splicebert-1024nt"])
def test_every_layer_and_the_mean_without_special_tokens(model_id):
    port = golden_port(model_id)
    encoded = tokenize(port, golden_records(model_id))
    inputs = collate(port, encoded, max(map(len, encoded)))
    taps = (*range(port.config.layers), -1)
    found = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs).states
    mask = inputs["attention_mask"]
    with np.load(MORE / model_id / "golden.npz") as golden:
        for tap, expected in zip(taps, golden["all_hidden"], strict=True):
            np.testing.assert_allclose(np.asarray(found[tap])[mask], expected[mask], atol=1e-4)
        inner = [
            state[1 : len(ids) - 1].sum(0) / max(len(ids) - 2, 1)
            for state, ids in zip(np.asarray(found[-1]), encoded, strict=True)
        ]
        np.testing.assert_allclose(inner, golden["pooled_without_special_tokens"], atol=5e-5)
