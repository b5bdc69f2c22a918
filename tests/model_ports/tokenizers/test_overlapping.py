"""DNABERT's k-mers against the stock tokenizer of transformers and the recorded cases."""

import json

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import need

from model_ports.tokenizers import TokenizerError, build_tokenizer

KMER_6 = build_tokenizer(None, {"kind": "overlapping-kmer", "k": 6})


def ids(text, limit=None, tokenizer=KMER_6):
    (found,) = tokenizer.encode([text], limit)
    return found.tolist()


def test_ids_by_hand():
    # A 0, T 1, C 2, G 3: ATCGAT is 0 + 256 + 2 * 64 + 3 * 16 + 0 + 1 = 433, behind five specials.
    assert ids("ATCGAT") == [2, 438, 3]
    assert ids("atcgat") == [2, 438, 3]
    assert ids("ACGTN") == ids("") == [2, 3]
    assert ids("AAAAAAA") == [2, 5, 5, 3]
    assert ids("AAAAAAN") == [2, 5, 1, 3]
    assert ids("AAAAA-A") == [2, 1, 1, 1, 1, 1, 3]  # AAAAA, -; AAAA, -, A
    assert ids("AAAAAAAAAA", 4) == [2, 5, 5, 3]
    assert (KMER_6.vocab_size, KMER_6.pad_id) == (4101, 0)


@pytest.mark.parametrize("name", ["DNA_bert_3", "DNA_bert_6"])
def test_recorded_cases(name):
    folder = need("golden_more") / name
    cases = json.loads((folder / "cases.json").read_text())
    tokenizer = build_tokenizer(folder, {"kind": "overlapping-kmer", "k": cases["k"]})
    for case in cases["tokenizer_cases"]:
        assert ids(case["text"], tokenizer=tokenizer) == case["ids"], case["text"]
    encoded = tokenizer.encode(cases["sequences"], cases["max_length"])
    assert [len(each) for each in encoded] == cases["token_counts"]
    golden = np.load(folder / "golden.npz")["input_ids"]
    for row, found in zip(golden, encoded, strict=True):
        np.testing.assert_array_equal(row[: len(found)], found)


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The stock tokenizer over the vocabulary of 3-mers, and ours over the same file."""
    tokenizer = build_tokenizer(None, {"kind": "overlapping-kmer", "k": 3})
    folder = tmp_path_factory.mktemp("dnabert")
    bases = [a + b + c for a in "ATCG" for b in "ATCG" for c in "ATCG"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *bases]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    assert tokenizer.vocab_size == len(words)
    ours = build_tokenizer(folder, {"kind": "overlapping-kmer", "k": 3})
    theirs = transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    return ours, theirs


@settings(max_examples=60, deadline=None)
@given(text=st.text("ACGTacgtNU-.* 1", max_size=30), limit=st.sampled_from([None, 2, 3, 9]))
def test_ids_are_those_of_the_stock_tokenizer(stock, text, limit):
    ours, theirs = stock
    upper = text.upper()
    spaced = " ".join(upper[i : i + 3] for i in range(len(upper) - 2))
    expected = theirs(spaced, truncation=limit is not None, max_length=limit)["input_ids"]
    assert ids(text, limit, ours) == expected


def test_a_vocabulary_that_lacks_a_kmer_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nAAA\n")
    with pytest.raises(TokenizerError, match=r"63 entries .* 3-mers are missing, such as 'AAC'"):
        build_tokenizer(tmp_path, {"kind": "overlapping-kmer", "k": 3})
