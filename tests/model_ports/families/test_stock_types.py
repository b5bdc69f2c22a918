"""The model types of transformers that no model of the catalog is of, as their config.json is."""

import copy
import math
import re

import jax
import numpy as np
import pytest
import transformers
from flax import nnx
from saved_models import RECORDS, VOCABULARY, random_model, stock_entry, stock_port

from model_ports.contract.family import family
from model_ports.contract.fields import Rotary
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.planned import abstract_model, family_config
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": None,
    "eos_token_id": None,
}
SLIDING = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
           "num_key_value_heads": 2, "head_dim": 8}  # fmt: skip
DISTILBERT = {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4}
# By model type: its family, the name of its classes, and its fields beside TINY.
TYPES = {
    "distilbert": ("bert", "DistilBert", DISTILBERT),
    "electra": ("bert", "Electra", {"embedding_size": 16}),
    "gpt_neox": ("gpt_neox", "GPTNeoX", {}),
    "modernbert": ("modernbert", "ModernBert", {
        "local_attention": 6, "cls_token_id": None, "sep_token_id": None}),
    "olmo": ("llama", "Olmo", {"clip_qkv": 2.0}),
    "olmo2": ("llama", "Olmo2", {}),
    "qwen2": ("llama", "Qwen2", {"num_key_value_heads": 2}),
    "qwen3": ("llama", "Qwen3", SLIDING),
    "roberta": ("bert", "Roberta", {}),
}  # fmt: skip
DAMAGE = (
    -1, 0, "12", 12.5, True, None, math.nan, math.inf, 10**12, 10**400, [], [1], {}, {"a": 1},
    ["full_attention"], {"rope_type": "linear"}, "x" * 500, "\n\ud800",
)  # fmt: skip


# Fields of published files as transformers 4 wrote them, beside sizes: the file of which model, and
# what of the config they are read as.
PUBLISHED = {
    "Llama-3.2-1B": ("llama", {
        "model_type": "llama", "rope_theta": 500000.0, "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"},
        "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1, "head_dim": 64,
        "rms_norm_eps": 1e-05, "num_key_value_heads": 2},
        {"rotary": Rotary(500000.0, 1.0, 32.0, (8192, 1.0, 4.0)), "head_width": 64}),
    "Qwen2.5-0.5B": ("llama", {
        "model_type": "qwen2", "max_window_layers": 24, "sliding_window": 32768,
        "use_sliding_window": False, "use_mrope": False, "rope_theta": 1000000.0,
        "rms_norm_eps": 1e-06, "num_key_value_heads": 2},
        {"input_bias": True, "output_bias": False, "windows": (None,) * 3}),
    "OLMo-1B-hf": ("llama", {
        "model_type": "olmo", "attention_bias": False, "clip_qkv": None, "pretraining_tp": 1,
        "rope_scaling": None, "rope_theta": 10000.0, "num_key_value_heads": 4},
        {"plain_norm": True, "clip": None, "epsilon": 1e-5}),
    "ModernBERT-base": ("modernbert", {
        "model_type": "modernbert", "classifier_pooling": "mean", "decoder_bias": True,
        "deterministic_flash_attn": False, "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0, "hidden_activation": "gelu", "layer_norm_eps": 1e-05,
        "local_attention": 128, "local_rope_theta": 10000.0, "norm_bias": False,
        "norm_eps": 1e-05, "position_embedding_type": "absolute", "mlp_bias": False},
        {"sliding": (False, True, True), "reach": 64,
         "rotary": (Rotary(160000.0), Rotary(10000.0))}),
    "pythia-70m": ("gpt_neox", {
        "model_type": "gpt_neox", "rotary_emb_base": 10000, "rotary_pct": 0.25,
        "use_parallel_residual": True, "hidden_act": "gelu", "layer_norm_eps": 1e-05},
        {"turned": 2, "parallel": True, "bias": True}),
    "distilbert-base": ("bert", {
        "model_type": "distilbert", "activation": "gelu", "dim": 32, "hidden_dim": 48,
        "n_heads": 4, "n_layers": 3, "sinusoidal_pos_embds": False, "tie_weights_": True},
        {"type_vocab_size": None, "epsilon": 1e-12}),
    "roberta-base": ("bert", {
        "model_type": "roberta", "hidden_act": "gelu", "layer_norm_eps": 1e-05,
        "max_position_embeddings": 514, "type_vocab_size": 1, "attention_probs_dropout_prob": 0.1},
        {"max_tokens": 512, "pad_id": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_read_in_full(name):
    family_name, fields, expected = PUBLISHED[name]
    sizes = {} if "n_layers" in fields else TINY
    content = {"vocab_size": VOCABULARY, "max_position_embeddings": 512, **sizes, **fields}
    config, unknown = family_config(stock_entry(family_name), content)
    assert unknown == ()
    assert {field: getattr(config, field) for field in expected} == expected


@pytest.fixture
def saved(request, tmp_path):
    """A checkpoint of a model type, saved by transformers: its family and its folder."""
    name, classes, fields = TYPES[request.param]
    tiny = {k: v for k, v in TINY.items() if k not in ("hidden_size", "intermediate_size")}
    tiny = tiny if request.param == "distilbert" else TINY
    config = getattr(transformers, f"{classes}Config")(**tiny | fields)
    model = random_model(getattr(transformers, f"{classes}Model"), config)
    model.save_pretrained(tmp_path)
    return name, tmp_path


EACH = pytest.mark.parametrize("saved", TYPES, indirect=True)


@EACH
def test_any_damage_is_refused_or_makes_a_model(saved):
    name, folder = saved
    entry, content = stock_entry(name), read_config(folder)
    refused, made = 0, set()
    for field in (*content, "rope_theta", "rope_scaling"):
        for value in DAMAGE:
            try:
                config, _ = family_config(entry, {**content, field: value})
            except CheckpointError as error:
                assert str(error).isprintable()
                assert len(str(error)) < 400
                refused += 1
            else:
                made.add(config)
    assert refused > 60
    for config in made:
        if config.layers == 3:  # modules of other depths are built of the same blocks
            abstract_model(name, config)


# One type a family, with the most of what the others change.
@pytest.mark.parametrize(
    "saved", ["electra", "gpt_neox", "modernbert", "olmo2", "qwen3"], indirect=True
)
def test_a_bfloat16_port_stays_close_to_float32(saved):
    name, folder = saved
    vectors = []
    for dtype in ("float32", "bfloat16"):
        port = stock_port(name, folder, dtype)
        encoded = tokenize(port, RECORDS)
        inputs = collate(port, encoded, max(map(len, encoded)))
        vectors.append(np.asarray(embedder(port)(port.state, inputs), np.float64))
    a, b = vectors
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= 0.995


@EACH
def test_most_of_a_model_is_sharded(saved):
    """The matrices of blocks are: each has a rule that splits it where two devices share it."""
    name, folder = saved
    config, _ = family_config(stock_entry(name), read_config(folder))
    _, abstract = abstract_model(name, config)
    for path, shape in parameter_shapes(abstract).items():
        rules = [axes for pattern, axes in family(name).SHARDING if re.fullmatch(pattern, path)]
        if path.endswith(".kernel") and path != "widen.kernel":
            assert len(rules[0]) == len(shape), path
            assert shape[rules[0].index("model")] % 2 == 0


@pytest.mark.parametrize("saved", ["modernbert", "qwen3"], indirect=True)
def test_the_program_grows_with_the_kinds_of_block_only(saved):
    name, folder = saved
    entry, content = stock_entry(name), read_config(folder)
    lines = []
    for layers in (6, 12):
        fields = copy.deepcopy(content) | {"num_hidden_layers": layers, "layer_types": None}
        config, _ = family_config(entry, fields)
        graphdef, abstract = abstract_model(name, config)
        port = stock_port(name, folder)
        inputs = collate(port, tokenize(port, RECORDS), 32)

        def run(state, inputs, graphdef=graphdef):
            return nnx.merge(graphdef, state)(inputs, (-1,)).states[-1]

        lines.append(len(jax.jit(run).lower(abstract, inputs).as_text().splitlines()))
    assert lines[0] == lines[1]
