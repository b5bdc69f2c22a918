import numpy as np
import slow_audit as brute
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.audit import records as module
from geneb_jax.audit.records import canonical_kmers, copy_keys, encode

RECORDS = st.lists(st.text("ACGTNacgtn-", max_size=30), max_size=6)


def test_letters_become_numbers():
    found = encode(["ACGTU", "", "nT-a"])
    assert found.codes.tolist() == [0, 1, 2, 3, 3, 4, 4, 4, 3, 4, 0, 4]
    assert found.starts.tolist() == [0, 6, 7] and found.lengths.tolist() == [5, 0, 4]


@given(RECORDS, st.integers(1, 20))
def test_blocks_are_the_records_in_turn(records, letters):
    found = encode(records)
    parts = [found.part(block) for block in found.blocks(letters)]
    assert [n for part in parts for n in part.lengths] == found.lengths.tolist()
    assert np.array_equal(np.concatenate([p.codes for p in parts] or [found.codes]), found.codes)


@given(RECORDS, st.data())
def test_rows_are_the_records_of_these_numbers(records, data):
    numbers = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=5) if records
                        else st.just([]))  # fmt: skip
    found = encode(records).rows(np.array(numbers, np.int64))
    wanted = encode([records[number] for number in numbers])
    for name in ("codes", "starts", "lengths"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


@given(RECORDS, st.integers(1, 5))
def test_kmers_of_both_strands_are_those_of_the_texts(records, k):
    number = {text: i for i, text in enumerate(_all(k))}
    record, found = canonical_kmers(encode(records), k)
    for i, text in enumerate(records):
        wanted = {number[word] for word in brute.canonical(text, k)}
        assert set(found[record == i].tolist()) == wanted


def _all(k):
    return [""] if not k else [a + rest for a in "ACGT" for rest in _all(k - 1)]


@given(RECORDS)
def test_compositions_count_bases_and_dinucleotides(records):
    found = encode(records).compositions
    for text, row in zip(records, found, strict=True):
        assert row[:4].tolist() == [text.upper().count(base) for base in "ACGT"]
        assert row[4:].tolist() == [brute.pairs(text).get(pair, 0) for pair in _all(2)]


def test_compositions_do_not_depend_on_blocks(monkeypatch):
    records = ["ACGTACGT", "NNNA", "", "TTTTTTTTTTTT"]
    wanted = encode(records).compositions
    monkeypatch.setattr(module.Records.blocks, "__defaults__", (5,))
    assert np.array_equal(encode(records).compositions, wanted)


@given(st.lists(st.text("ACGNacgt", max_size=4), min_size=2, max_size=8))
def test_keys_are_equal_where_records_are_copies(records):
    keys = copy_keys(records)
    for a, key in zip(records, keys, strict=True):
        assert (keys == key).tolist() == [brute.are_copies(a, b) for b in records]


def test_keys_do_not_depend_on_blocks(monkeypatch):
    records = ["ACG", "", "cgt", "A", "", "T", "ACG"]
    monkeypatch.setattr(module, "_BLOCK_RECORDS", 2)
    keys = copy_keys(records)
    for a, key in zip(records, keys, strict=True):
        assert (keys == key).tolist() == [brute.are_copies(a, b) for b in records]


def test_codes_of_several_bases_have_their_other_strand():
    first, second, third = copy_keys(["ARN", "nyt", "ARY"])
    assert first == second != third


def test_rna_is_a_copy_of_its_dna():
    first, second = copy_keys(["ACUU", "aagt"])
    assert first == second
