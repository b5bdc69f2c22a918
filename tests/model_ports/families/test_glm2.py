"""gLM2: hidden states of every layer, and the width of its feed-forward."""

import json

import jax
import numpy as np
import pytest
from golden_ports import FOLDERS, golden_port, golden_records

from model_ports import catalog
from model_ports.loading.planned import family_config
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize
from model_ports.tokenizers.json_file import JsonTokenizer

NAME = "gLM2_650M"


def test_every_layer_and_the_mean_of_bases_alone():
    port, golden = golden_port(NAME), np.load(FOLDERS[NAME] / "golden.npz")
    encoded = tokenize(port, golden_records(NAME))
    inputs = collate(port, encoded, max(map(len, encoded)))
    taps = (*range(port.config.layers), -1)
    found = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs).states
    mask = inputs["attention_mask"]
    for tap, expected in zip(taps, golden["all_hidden"], strict=True):
        np.testing.assert_allclose(np.asarray(found[tap])[mask], expected[mask], rtol=0, atol=1e-4)
    last = np.asarray(found[-1])
    bases = [state[1 : len(ids)].mean(0) for state, ids in zip(last, encoded, strict=True)]
    np.testing.assert_allclose(bases, golden["pooled_bases_only"], rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    ("fields", "width"),
    [
        ({"dim": 640, "heads": 10}, 1792),  # 640 * 8 // 3 = 1706, of 7 times 256
        ({"dim": 1280, "heads": 20}, 3584),  # 3413, of 14 times 256
        ({"dim": 6, "heads": 3, "swiglu_multiple_of": 16}, 16),  # 16 as it is
        ({"dim": 6, "heads": 3, "swiglu_multiple_of": 16, "ffn_dim_multiplier": 1.1}, 32),  # 17
        ({"dim": 6, "heads": 3, "swiglu_multiple_of": 1, "ffn_dim_multiplier": 0.9}, 14),  # 14.4
    ],
)
def test_the_width_of_the_feed_forward(fields, width):
    content = {"model_type": "gLM2", "vocab_size": 37, "depth": 1} | fields
    assert family_config(catalog.get(NAME), content)[0].feed_forward == width


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"heads": 7}, "heads is 7; it must divide dim, which is 30"),
        ({"heads": 2}, "heads are 15 wide; rotary positions take pairs"),
        ({"ffn_dim_multiplier": 0.001}, "ffn_dim_multiplier is 0.001; it makes the feed-forward 0"),
        ({"ffn_dim_multiplier": "big"}, "it must be a number above 0"),
        ({"model_type": "glm"}, 'only "gLM2" is computed here'),
    ],
)
def test_what_is_not_computed_is_refused(fields, words):
    with pytest.raises(CheckpointError, match=words):
        family_config(catalog.get(NAME), read_config(FOLDERS[NAME]) | fields)


def test_tokens_are_those_of_lower_case_behind_the_strand():
    """Upper-case letters are amino acids to the tokenizer, which the port never gives it."""
    tokenizer = golden_port(NAME).tokenizer
    assert isinstance(tokenizer, JsonTokenizer)
    cases = json.loads((FOLDERS[NAME] / "cases.json").read_text())["tokenizer_cases"]
    for case in cases:
        ids = tokenizer.tokenizer.encode(case["text"]).ids
        assert ids == case["ids"], case["text"]
    for record in ("acgtn", "ACGTN", "aCgTn"):
        (ids,) = tokenizer.encode([record], None)
        assert ids.tolist() == [33, 29, 31, 32, 30, 3]
    (cut,) = tokenizer.encode(["ACGT" * 9], 6)
    assert cut.tolist() == [33, 29, 31, 32, 30, 29]
    assert set("ACGTacgt") <= set(tokenizer.known_letters)
    assert not set("Nn") & set(tokenizer.known_letters)
