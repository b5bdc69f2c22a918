import numpy as np
import pytest

from geneb_jax.audit.shortcuts import MEANINGS, SHORTCUTS, shortcut_features
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.task import Split, Task


def task(train, test=("A",)):
    splits = [Split(list(s), np.zeros(len(s), np.int64)) for s in (train, test)]
    return Task(TaskInfo("mine", "mine", CUSTOM, CUSTOM), *splits)


def test_every_shortcut_has_a_meaning():
    assert SHORTCUTS.keys() == MEANINGS.keys()


def test_a_measure_is_one_hot_in_32_quantiles_of_train():
    lengths = np.random.default_rng(0).permutation(np.arange(1, 641))
    x, other = shortcut_features(
        "length", task(["A" * n for n in lengths], ["A", "A" * 21, "A" * 2000])
    )
    assert x.shape == (640, 32) and x.dtype == np.float32
    assert (x.sum(axis=0) == 20).all() and (x.sum(axis=1) == 1).all()
    assert np.array_equal(x.argmax(axis=1), (lengths - 1) // 20)
    assert other.argmax(axis=1).tolist() == [0, 1, 31]


def test_few_values_have_few_bins():
    x, other = shortcut_features("length", task(["AA", "AA", "AAA"], ["A", "AAA"]))
    assert np.unique(x, axis=0).shape[0] == 2
    assert not np.array_equal(other[0], other[1])


@pytest.mark.parametrize(
    ("name", "equal", "other"),
    [("gc", ("GGNA", "gcTNNN"), "AAAG"), ("unknown", ("NA", "nC"), "NNNA"),
     ("lowercase", ("aC", "Gt"), "aaaC")],
)  # fmt: skip
def test_measures_are_shares(name, equal, other):
    x, _ = shortcut_features(name, task([*equal, other, *["TTTT"] * 5]))
    expected = {"gc": 2 / 3, "unknown": 0.5, "lowercase": 0.5}[name]
    first, second = equal
    assert np.array_equal(x[0], x[1]) == (name != "gc" or expected == 2 / 3)
    assert not np.array_equal(x[0], x[2])
    assert first != second


def test_the_position_is_that_in_the_split():
    x, other = shortcut_features("position", task(["A"] * 64, ["A"] * 32))
    assert x.argmax(axis=1).tolist() == [i // 2 for i in range(64)]
    assert other.argmax(axis=1).tolist() == list(range(32))


def test_compositions_are_counts():
    x, _ = shortcut_features("composition", task(["AACa"]))
    assert x[0, :4].tolist() == [3, 1, 0, 0]  # A, C, G, T
    assert x[0, 4:8].tolist() == [1, 1, 0, 0] and x[0, 8:].sum() == 1  # AA, AC; CA


def test_ends_are_the_first_and_the_last_ten_letters():
    x, short = shortcut_features("ends", task(["ACGTACGTAC" + "GGGG" + "TTTTTTTTTN"], ["AC"]))
    letters = x[0].reshape(20, 4)
    assert letters[:10].argmax(axis=1).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert letters[10:19].argmax(axis=1).tolist() == [3] * 9
    assert letters[19].sum() == 0
    letters = short[0].reshape(20, 4)
    assert letters[0, 0] == letters[1, 1] == letters[18, 0] == letters[19, 1] == 1
    assert letters.sum() == 4
