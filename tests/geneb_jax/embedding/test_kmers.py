import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.embedding.kmers import KmerSource, kmer_frequencies
from geneb_jax.tasks.synthetic import synthetic_tasks


def naive(sequence, k):
    sequence = sequence.upper()
    order = {"".join(kmer): i for i, kmer in enumerate(itertools.product("ACGT", repeat=k))}
    counts = np.zeros(4**k)
    for start in range(len(sequence) - k + 1):
        window = sequence[start : start + k]
        if window in order:
            counts[order[window]] += 1
    return counts / max(counts.sum(), 1)


@given(
    st.lists(st.text("ACGTacgtNRUé -", min_size=1, max_size=40), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_frequencies_are_those_of_a_plain_loop(sequences, k):
    found = kmer_frequencies(sequences, k)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [naive(s, k) for s in sequences], atol=1e-7)


@pytest.mark.parametrize("k", [5, 6])
def test_many_records_go_through_in_chunks(k):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGTN"), n)) for n in rng.integers(1, 60, 1500)]
    found = kmer_frequencies(sequences, k)
    for row in (0, 1, 700, 1023, 1024, 1499):
        np.testing.assert_allclose(found[row], naive(sequences[row], k), atol=1e-7)


def test_the_width_of_features_is_known_before_they_are(tmp_path):
    opened = KmerSource("kmer-3", 3).open(tmp_path)
    task = synthetic_tasks()[0]
    train, test = opened.prepare([task], lambda _: None).features(task, opened.representation)
    assert list(opened.widths) == [train.shape[1]] == [test.shape[1]] == [64]
