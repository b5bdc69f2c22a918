import pytest
import transformers
from saved_models import VOCABULARY, check_agrees, random_model

from model_ports.contract.fields import FieldError, Fields
from model_ports.families.gpt_neox import Config

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 50,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 900.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
          "partial_rotary_factor": 0.5}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 900.0, "factor": 8.0,
        "original_max_position_embeddings": 32}  # fmt: skip


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("Model", {}),
        ("ForCausalLM", {"use_parallel_residual": False, "rotary_pct": 1.0}),
        ("ForSequenceClassification", {"attention_bias": False, "rotary_pct": 0.625}),
        ("Model", {"hidden_act": "gelu_new", "rotary_emb_base": 500, "layer_norm_eps": 1e-3}),
        ("ForCausalLM", {"rope_parameters": LLAMA3}),
        ("Model", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
        ("Model", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
        ("Model", {"rope_parameters": {**YARN, "partial_rotary_factor": 0.5}}),
    ],
)
def test_agrees_with_transformers(tmp_path, head, fields):
    config = transformers.GPTNeoXConfig(**TINY | fields)
    model = random_model(getattr(transformers, f"GPTNeoX{head}"), config)
    check_agrees("gpt_neox", model, tmp_path)


# Heads are 16 wide, of which a share of 0.33 is 5 elements and 0.2 is 3.
@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (
            {"rotary_pct": 0.33},
            r"rotary_pct is 0.33; of the 16 elements of a head \(hidden_size 48 / "
            r"num_attention_heads 3\) it turns 5, and elements turn in pairs: only an even number "
            "above 0 is computed here; embeddings that .* as NAME=embeddings:DIR",
        ),
        ({"partial_rotary_factor": 0.33}, "partial_rotary_factor is 0.33; of the 16 elements "),
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.2}},
            r"rope_parameters.partial_rotary_factor is 0.2; of the 16 .* it turns 3, and",
        ),
        (
            {"num_attention_heads": 8},  # heads of 6, of which a quarter is 1
            r"rotary_pct is missing, which means 0.25; of the 6 elements .* it turns 1, and",
        ),
    ],
)
def test_what_states_a_share_that_makes_no_pairs_is_named(stated, said):
    with pytest.raises(FieldError, match=f"config.json: {said}"):
        Config.from_json(Fields({"model_type": "gpt_neox", **TINY, **stated}))
