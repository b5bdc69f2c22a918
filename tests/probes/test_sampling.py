import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes import few_shot_rows
from probes.sampling import stratified_carve, stratified_folds


def harness_rows(labels, shots, seed):
    """The harness's loop, written out."""
    rng = np.random.RandomState(seed)
    rows = []
    for label in sorted(set(labels.tolist())):
        of_label = np.where(labels == label)[0]
        rows.extend(rng.choice(of_label, size=min(shots, len(of_label)), replace=False).tolist())
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


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=120), st.integers(2, 7), st.integers(0, 999)
)
def test_folds_spread_each_class_evenly(labels, folds, seed):
    labels = np.array(labels)
    fold = stratified_folds(labels, folds, seed)
    assert fold.tolist() == stratified_folds(labels, folds, seed).tolist()
    for rows in (labels == label for label in np.unique(labels)):
        sizes = np.bincount(fold[rows], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.integers(0, 999))
def test_a_carve_takes_its_share_of_each_class(labels, seed):
    labels = np.array(labels)
    aside = stratified_carve(labels, 0.15, seed)
    for label in np.unique(labels):
        rows = labels == label
        assert aside[rows].sum() == max(1, round(0.15 * rows.sum()))
