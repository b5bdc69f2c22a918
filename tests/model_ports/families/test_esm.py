import pytest
import transformers
from saved_models import VOCABULARY, check_agrees, random_model

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 36,
    "intermediate_size": 50,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 34,
    "pad_token_id": 1,
    "mask_token_id": 10,
}


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("Model", {"position_embedding_type": "rotary", "token_dropout": True}),
        ("ForMaskedLM", {"position_embedding_type": "absolute", "layer_norm_eps": 1e-3}),
        ("ForSequenceClassification", {"position_embedding_type": "rotary", "rope_theta": 500.0}),
        ("Model", {"emb_layer_norm_before": True, "mask_token_id": 9, "token_dropout": True}),
    ],
)
def test_agrees_with_transformers(tmp_path, head, fields):
    """Id 9 is that of N, so that one of the records has a token of which dropout knows."""
    config = transformers.EsmConfig(**TINY | fields)
    check_agrees("esm", random_model(getattr(transformers, f"Esm{head}"), config), tmp_path)
