import itertools

import pytest

from model_ports.tokenizers.spaced import kmers_of, spaced


@pytest.mark.parametrize(
    ("sequence", "k", "expected"),
    [
        ("ACGTA", 3, "ACG CGT GTA"),
        ("ACG", 3, "ACG"),
        ("AC", 3, ""),
        ("", 3, ""),
        ("ACGTA", None, "ACGTA"),
    ],
)
def test_all_kmers_stand_in_a_row(sequence, k, expected):
    assert spaced(sequence, k) == expected


def words(k):
    return ["".join(word) for word in itertools.product("ACGT", repeat=k)]


@pytest.mark.parametrize(
    ("vocabulary", "k"),
    [
        (["[CLS]", *words(3)], 3),
        (["[CLS]", *words(6), "[MASK]"], 6),
        (["[CLS]", *words(3)[1:]], None),  # a k-mer lacks
        ([*words(3), *"ACGT"], None),  # the Nucleotide Transformers': a tail is spelled out
        (["[CLS]", *"ACGTN"], None),
        (["[CLS]", "A", "C", "ACG", "TT"], None),
        (["[CLS]"], None),
        ([], None),
    ],
)
def test_a_vocabulary_of_kmers_is_known(vocabulary, k):
    assert kmers_of(vocabulary) == k
