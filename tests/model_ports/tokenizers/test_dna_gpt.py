from hypothesis import given
from hypothesis import strategies as st

from model_ports.tokenizers import build_tokenizer


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
