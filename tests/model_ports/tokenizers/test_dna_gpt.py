import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ports.tokenizers import TokenizerError, build_tokenizer


@given(st.text("ACGTN", min_size=2, max_size=60))
def test_dna_gpt_chunks_read_back(text):
    made = build_tokenizer(None, {"kind": "dna-gpt", "k": 6, "dynamic_kmer": True})
    pieces = {i: piece for piece, i in made.ids.items()}
    (ids,) = made.encode([text], None)
    assert ids[0] == made.ids["<R>"]
    assert "".join(pieces[i] for i in ids[1:].tolist()) == text


def test_dna_gpt_reads_a_lone_reserved_letter_as_the_token():
    made = build_tokenizer(None, {"kind": "dna-gpt", "k": 6, "dynamic_kmer": False})
    found = [ids.tolist() for ids in made.encode(["R", "P", "A", "<M>ACGTAC"], None)]
    assert found == [[21, 21], [21], [21, 0], [21, 18, 5392]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"tokenizer": 5}', "tokenizer is a int, not an object"),
        ('{"tokenizer": {"k": 2147483648}}', "k is '2147483648', not an integer from 1 to 8"),
        ('{"tokenizer": {"k": "6"}}', "k is '6', not an integer"),
        ('{"tokenizer": {"dynamic_kmer": "no"}}', "dynamic_kmer of tokenizer is neither"),
        ("[]", "holds a list, not an object"),
        ("", "not JSON"),
    ],
)
def test_a_config_that_states_no_tokenizer_is_refused(tmp_path, content, words):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(TokenizerError, match=words) as error:
        build_tokenizer(tmp_path, {"kind": "dna-gpt", "k": 6, "dynamic_kmer": True})
    assert str(error.value).startswith(str(tmp_path / "config.json"))
