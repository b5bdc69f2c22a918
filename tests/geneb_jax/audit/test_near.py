import numpy as np
import pytest
import slow_audit as brute
from hypothesis import given, settings
from hypothesis import strategies as st

from geneb_jax.audit import near
from geneb_jax.audit.near import EDITS, SHORT, K, nearest
from geneb_jax.audit.records import encode


def slowly(text, train, least, without=None):
    """Row, share from the least on, and whether the record is within edits, of one record."""
    own = brute.canonical(text, K)
    others = [i for i in range(len(train)) if i != without]
    shares = {i: len(own & brute.canonical(train[i], K)) / max(len(own), 1) for i in others}
    share = max(shares.values(), default=0)
    share = share if share >= least else 0
    row = next((i for i in others if shares[i] == share and share > 0), -1)
    text, most = text.upper(), int(EDITS * len(text) + 1e-9)
    if len(text) < SHORT:
        distances = {
            i: min(brute.edits(text, o) for o in (train[i].upper(), brute.other_strand(train[i])))
            for i in others
            if abs(len(train[i]) - len(text)) <= most
        }
        fewest = min(distances.values(), default=SHORT)
        if fewest <= most:
            return next(i for i in distances if distances[i] == fewest), share, True
    return row, share, False


@settings(max_examples=8, deadline=None)
@given(brute.related_records(), brute.related_records(), st.integers(200, 2000),
       st.sampled_from([0.0, 0.2, 0.5, 1.0]))  # fmt: skip
def test_the_nearest_record_is_that_of_brute_force(others, train, block, least):
    records = [*others, *train[:3]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_BLOCK_KMERS", block)
        patch.setattr(near, "_BLOCK_PAIRS", block)
        patch.setattr(near.Records.blocks, "__defaults__", (block,))
        found = nearest(encode(records), encode(train), least)
    for i, text in enumerate(records):
        row, share, edited = slowly(text, train, least)
        assert (found.row[i], found.edited[i]) == (row, edited)
        assert found.share[i] == pytest.approx(share)
        assert found.empty[i] == (not brute.canonical(text, K))


@settings(max_examples=15, deadline=None)
@given(brute.related_records(low=20, high=60, most=6))
def test_records_of_train_are_not_near_themselves(train):
    found = nearest(encode(train), encode(train), 0.2, np.arange(len(train)))
    for i, text in enumerate(train):
        row, share, edited = slowly(text, train, 0.2, without=i)
        assert (found.row[i], found.edited[i]) == (row, edited)
        assert found.share[i] == pytest.approx(share)


@settings(max_examples=100, deadline=None)
@given(st.text("ACG", min_size=1, max_size=25), st.text("ACG", min_size=1, max_size=25),
       st.integers(0, 6))  # fmt: skip
def test_distances_are_exact_as_far_as_they_are_asked(a, b, most):
    if abs(len(a) - len(b)) > most:
        return
    # Beside a longer pair, whose letters are padding here.
    texts = []
    for text, pad in ((a, 0), (b, 1)):
        padded = [list(text.encode()) + [pad] * (30 - len(text)), [65] * 30]
        texts.append(
            near._Texts(np.array(padded, np.uint8), np.array([len(text), 30]), np.array([]))
        )
    found, equal = near._distances(*texts, most)
    assert equal == 0
    exact = brute.edits(a, b)
    assert found == exact if exact <= most else found > most


def test_a_shifted_window_is_near_by_kmers_and_a_changed_letter_by_edits():
    text = "ACGTTGCAAGGCTATCCGATAGCTTACGGATTCAGCCATAG"
    shifted, changed = text[3:] + "CCC", text[:20] + "C" + text[21:]
    found = nearest(encode([shifted, changed]), encode([text]), 0.2)
    assert found.edited.tolist() == [False, True]  # six edits are needed, and one
    assert found.share == pytest.approx([28 / 31, 20 / 31])
    assert found.near(0.8).tolist() == [True, True]


def test_records_without_an_11mer_are_counted_apart():
    found = nearest(encode(["ACGTACGTAC", "N" * 200]), encode(["ACGTACGTAC" * 20]), 0.2)
    assert found.empty.tolist() == [True, True]
    assert found.row.tolist() == [-1, -1]


@settings(max_examples=25, deadline=None)
@given(brute.related_records(low=12, high=60, most=5), brute.related_records(12, 60, 5))
def test_pairs_within_edits_pass_the_filters(a, b):
    # Pieces and dinucleotides may let others pass, but keep none of these out, on either strand.
    most = 3
    ours, forward = (
        near._texts(encode(texts), np.arange(len(texts)), padding)
        for texts, padding in ((a, 5), (b, 6))
    )
    for strand, turn in ((forward, str.upper), (near._turned(forward), brute.other_strand)):
        found = {
            pair for i, j in near._candidates(ours, strand, most) for pair in zip(i, j, strict=True)
        }
        for i, text in enumerate(a):
            for j, other in enumerate(b):
                if brute.edits(text.upper(), turn(other)) <= most:
                    assert (i, j) in found
        assert strand.pairs.tolist() == [
            encode([turn(other)]).compositions[0, 4:].tolist() for other in b
        ]
