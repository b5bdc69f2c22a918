import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes import few_shot_rows


def harness_rows(labels, shots, seed):
    """The harness's loop, written out."""
    rng = np.random.RandomState(seed)
    rows = []
    for label in sorted(set(labels.tolist())):
        own = np.where(labels == label)[0]
        rows.extend(rng.choice(own, size=min(shots, len(own)), replace=False).tolist())
    return rows


@given(
    st.lists(st.integers(-3, 9), min_size=1, max_size=200),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
)
def test_rows_are_the_harness_rows(labels, shots, seed):
    labels = np.array(labels)
    assert few_shot_rows(labels, shots, seed).tolist() == harness_rows(labels, shots, seed)


def test_known_draw():
    labels = np.repeat([0, 1], 50)
    assert few_shot_rows(labels, 2, 13).tolist() == harness_rows(labels, 2, 13)
    assert len(set(few_shot_rows(labels, 10, 997).tolist())) == 20
