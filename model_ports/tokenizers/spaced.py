"""Overlapping k-mers with blanks between them: records as vocabularies like DNABERT's take them."""

from collections.abc import Collection

MOST_K = 8
_BASES = frozenset("ACGT")


def spaced(sequence: str, k: int | None) -> str:
    """Returns all k-mers of a record in a row, 'ACG CGT GTA' of ACGTA for k = 3.

    As in DNABERT's `seq2kmer`, a record that is shorter than k has none.

    Args:
        sequence: The record.
        k: Letters of a k-mer; None: the record is returned as it is.
    """
    if k is None:
        return sequence
    return " ".join(sequence[i : i + k] for i in range(len(sequence) - k + 1))


def kmers_of(vocabulary: Collection[str]) -> int | None:
    """Returns k where a vocabulary is one of overlapping k-mers, k from 2 to 8; None: it is not.

    It holds all words of k letters A, C, G and T, and no other words of these letters alone: a
    longer record, given in one piece, would be an unknown word.

    Args:
        vocabulary: All tokens.
    """
    words = {word for word in vocabulary if word and _BASES.issuperset(word)}
    lengths = {len(word) for word in words}
    k = max(lengths, default=0)
    return k if lengths == {k} and 2 <= k <= MOST_K and len(words) == 4**k else None
