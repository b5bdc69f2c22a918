from hypothesis import given
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.tokenizers import build_tokenizer

ENFORMER = build_tokenizer(None, catalog.get("enformer-official-rough").tokenizer)
SPACE = build_tokenizer(None, catalog.get("space").tokenizer)
CODES = {"A": 0, "C": 1, "G": 2, "T": 3}

records = st.text("ACGTNacgtRuU-", max_size=30)


@given(records, st.integers(1, 20))
def test_enformer_keeps_the_first_bases(record, length):
    (codes,) = ENFORMER.encode([record], length)
    assert codes.tolist() == [CODES.get(letter, 4) for letter in record.upper()[:length]]


@given(records, st.integers(1, 20))
def test_space_keeps_the_bases_in_the_middle(record, length):
    (codes,) = SPACE.encode([record], length)
    text = record.upper().replace("U", "T")
    start = max(len(text) - length, 0) // 2
    assert codes.tolist() == [CODES.get(letter, 4) for letter in text[start : start + length]]
