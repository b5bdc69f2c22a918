import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.tokenizers import build_tokenizer

LUCAONE = build_tokenizer(None, catalog.get("LucaOne-default-step36M").tokenizer)
BIOFM = build_tokenizer(None, catalog.get("BioFM-265M").tokenizer)


@given(st.text(max_size=40), st.none() | st.integers(2, 50))
def test_lucaone_is_one_id_a_character_between_cls_and_sep(text, limit):
    letters = {"A": 5, "T": 6, "U": 6, "C": 7, "G": 8}
    body = [letters.get(letter.upper() if letter in "acgtu" else letter, 9) for letter in text]
    (ids,) = LUCAONE.encode([text], limit)
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, *body[: None if limit is None else limit - 2], 3]


def test_biofm_knows_upper_case_bases_only():
    (ids,) = BIOFM.encode(["ACGTNDacR"], None)
    assert ids.tolist() == [6, 2, 5, 4, 3, 1, 0, 8, 8, 8, 7]
