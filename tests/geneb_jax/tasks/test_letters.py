import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.tasks.letters import all_taken, field_refusal, refusal, reverse_complement


@pytest.mark.parametrize("text", ["NA", "nan", "NULL", "None"])
def test_what_tables_write_for_missing_values_is_no_sequence_in_them(text):
    assert "is missing" in field_refusal(text)
    assert refusal(text) is None  # of a FASTA file it is
    assert not all_taken(["ACGT", text])


@given(st.lists(st.text("ACGTNaun1 -*é", max_size=5) | st.sampled_from(["NA", "null"])))
def test_texts_are_taken_together_as_one_by_one(texts):
    assert all_taken(texts) == all(field_refusal(text) is None for text in texts)


def test_the_other_strand_keeps_case_and_knows_codes():
    assert reverse_complement("ARYSWKMBDHVN-") == "-NBDHVKMWSRYT"
    assert reverse_complement("acGTu") == "aACgt"
    assert reverse_complement("NnxX") == "XxnN"
