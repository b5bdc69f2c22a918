import pytest
import transformers
from saved_models import VOCABULARY, check_agrees, random_model

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 36,
    "intermediate_size": 50,
    "num_hidden_layers": 5,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "local_attention": 8,
    "pad_token_id": 1,
    "bos_token_id": None,
    "eos_token_id": None,
    "cls_token_id": None,
    "sep_token_id": None,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 900.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}  # fmt: skip
BOTH = {"full_attention": LLAMA3, "sliding_attention": {"rope_type": "linear", "factor": 2.0}}


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("Model", {}),
        ("ForMaskedLM", {"global_attn_every_n_layers": 2, "local_attention": 5}),
        ("ForSequenceClassification", {"norm_bias": True, "attention_bias": True}),
        ("Model", {"mlp_bias": True, "hidden_activation": "silu", "norm_eps": 1e-3}),
        ("Model", {"num_hidden_layers": 1}),
        ("ForMaskedLM", {"layer_types": ["sliding_attention"] * 2 + ["full_attention"] * 3,
                         "rope_parameters": BOTH}),
        ("Model", {"global_rope_theta": 500.0, "local_rope_theta": 70.0, "local_attention": 1}),
    ],
)  # fmt: skip
def test_agrees_with_transformers(tmp_path, head, fields):
    config = transformers.ModernBertConfig(**TINY | fields)
    model = random_model(getattr(transformers, f"ModernBert{head}"), config)
    check_agrees("modernbert", model, tmp_path)
