import pytest
import transformers
from saved_models import VOCABULARY, check_agrees, random_model

TINY = {
    "vocab_size": VOCABULARY,
    "n_embd": 36,
    "n_layer": 3,
    "n_head": 3,
    "n_positions": 40,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 1,
}


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("Model", {}),
        ("LMHeadModel", {"n_inner": 50, "activation_function": "relu"}),
        ("ForSequenceClassification", {"scale_attn_by_inverse_layer_idx": True}),
        ("Model", {"scale_attn_weights": False, "layer_norm_epsilon": 1e-3}),
        ("DoubleHeadsModel", {"reorder_and_upcast_attn": True,
                              "scale_attn_by_inverse_layer_idx": True}),
    ],
)  # fmt: skip
def test_agrees_with_transformers(tmp_path, head, fields):
    config = transformers.GPT2Config(**TINY | fields)
    check_agrees("gpt2", random_model(getattr(transformers, f"GPT2{head}"), config), tmp_path)
