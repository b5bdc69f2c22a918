"""GENERator's and DNA-GPT's tokenizers, against the original code's ids."""

import json

import pytest
from golden_ports import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from shared_data import need

from model_ports import catalog
from model_ports.tokenizers import TokenizerError, build_tokenizer

MODELS = (
    "GENERator-eukaryote-1.2b-base",
    "GENERator-eukaryote-3b-base",
    "dna_gpt0.1b_h",
    "dna_gpt3b_m",
)


@pytest.mark.parametrize("model_id", MODELS)
def test_full_size_vocabulary_follows_the_rule(model_id):
    cases = json.loads((GOLDEN / model_id / "tokenizer_full_cases.json").read_text())
    found = build_tokenizer(None, catalog.get(model_id).tokenizer).encode(cases["sequences"], None)
    assert [ids.tolist() for ids in found] == cases["input_ids"]


@pytest.mark.parametrize("model_id", MODELS[:2])
def test_the_rule_gives_the_real_vocabulary(model_id):
    folder = need("tokenizers", model_id)
    options = catalog.get(model_id).tokenizer
    real, rule = build_tokenizer(folder, options), build_tokenizer(None, options)
    records = ["ACGTTAGGATCCANNNNNNACGTTA", "acgtACGTTTAAAACC", "ACGTRRTTAGGG", "AC"]
    for a, b in zip(real.encode(records, None), rule.encode(records, None), strict=True):
        assert a.tolist() == b.tolist()


@given(st.text("ACGTNacgRU ", max_size=80), st.integers(2, 20))
def test_generator_trims_to_the_frame_and_truncates_on_the_right(text, limit):
    made = build_tokenizer(None, {"kind": "generator", "k": 6})
    (whole,), (cut,) = made.encode([text], None), made.encode([text], limit)
    (trimmed,) = made.encode([text[: len(text) // 6 * 6]], None)
    assert whole.tolist() == trimmed.tolist()
    assert cut.tolist() == whole[:limit].tolist()
    assert whole[:2].tolist() == [1, 1]


def test_malformed_vocabulary_is_named(tmp_path):
    (tmp_path / "vocab.txt").write_text("<oov> 0\n<s> one\n")
    with pytest.raises(TokenizerError, match="'<s> one' is not 'piece id'"):
        build_tokenizer(tmp_path, {"kind": "generator", "k": 6})
    (tmp_path / "vocab.txt").write_text("<oov> 0\n")
    with pytest.raises(TokenizerError, match="no <s>"):
        build_tokenizer(tmp_path, {"kind": "generator", "k": 6})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("vocab.txt", b"\xff 0\n", "not UTF-8 at byte 0"),
        ("vocab.txt", b"AAA 99999999999\n", "'AAA 99999999999' is not 'piece id'"),
        ("vocab.txt", "AAA ²\n".encode(), "is not 'piece id'"),
        ("tokenizer_config.json", b'{"k": "6"}', "k is '6', not an integer from 1 to 8"),
        ("tokenizer_config.json", b"[", "not JSON"),
        ("tokenizer_config.json", b"[]", "holds a list"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=words) as error:
        build_tokenizer(tmp_path, {"kind": "generator", "k": 6})
    assert str(error.value).startswith(str(tmp_path / name))
    assert len(str(error.value).splitlines()) == 1
