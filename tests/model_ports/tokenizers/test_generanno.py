"""GENERanno's tokens, by hand, as recorded, and by the checkpoint's vocabulary."""

import numpy as np
import pytest
from golden_ports import FOLDERS, golden_records
from hypothesis import given
from hypothesis import strategies as st

from model_ports.tokenizers import TokenizerError, build_tokenizer

NAME = "GENERanno-eukaryote-0.5b-base"
OPTIONS = {"kind": "generanno"}
RULE = build_tokenizer(None, OPTIONS)
IDS = {"A": 32, "C": 33, "G": 34, "T": 40}


@given(st.text(st.characters(codec="latin-1"), max_size=40), st.integers(2, 20))
def test_a_token_a_letter_between_two_marks(record, limit):
    (whole,), (cut,) = RULE.encode([record], None), RULE.encode([record], limit)
    # Not by upper(): in Latin-1 it may give two letters, such as those of a sharp s.
    letters = [IDS.get(letter.upper(), 37) for letter in record]
    assert whole.tolist() == [1, *letters, 1]
    assert cut.tolist() == [1, *letters[: limit - 2], 1]
    assert RULE.vocab_size == 41
    assert RULE.pad_id == 3


def test_recorded_ids_with_the_vocabulary_and_without():
    golden = np.load(FOLDERS[NAME] / "golden.npz")
    for tokenizer in (RULE, build_tokenizer(FOLDERS[NAME], OPTIONS)):
        encoded = tokenizer.encode(golden_records(NAME), None)
        for row, mask, ids in zip(
            golden["input_ids"], golden["attention_mask"], encoded, strict=True
        ):
            np.testing.assert_array_equal(row[mask == 1], ids)


def test_the_vocabulary_of_the_checkpoint_counts(tmp_path):
    pieces = ["<pad>", "<s>", "N", "T", "G", "C", "A"]
    (tmp_path / "vocab.txt").write_text("".join(f"{p} {i}\n" for i, p in enumerate(pieces)))
    (ids,) = build_tokenizer(tmp_path, OPTIONS).encode(["acgtuR"], None)
    assert ids.tolist() == [1, 6, 5, 4, 3, 2, 2, 1]
    (tmp_path / "vocab.txt").write_text("<s> 1\n<pad> 0\nA 5\n")
    with pytest.raises(TokenizerError, match=r"vocab\.txt: no C, G, N, T"):
        build_tokenizer(tmp_path, OPTIONS)
