"""The model types of transformers that no model of the catalog is of, as their config.json is."""

import copy
import math
import re

import jax
import numpy as np
import pytest
from flax import nnx
from stock_checkpoints import RECORDS, VOCABULARY, random_model, stock_entry, stock_port

from model_ports.contract.family import family
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


@pytest.fixture
def saved(request, tmp_path):
    """A checkpoint of a model type, saved by transformers: its family and its folder."""
    transformers = pytest.importorskip("transformers")
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


@EACH
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
