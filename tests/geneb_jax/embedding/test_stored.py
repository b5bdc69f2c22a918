import os
from dataclasses import replace

import numpy as np
import pytest

from geneb_jax.embedding.stored import StoredSource, read_embeddings
from geneb_jax.tasks.synthetic import synthetic_tasks
from geneb_jax.tasks.task import Split

WHOLE = synthetic_tasks()[0]
TASK = replace(
    WHOLE,
    train=Split(WHOLE.train.sequences[:5], WHOLE.train.labels[:5]),
    test=Split(WHOLE.test.sequences[:3], WHOLE.test.labels[:3]),
)


def test_embeddings_by_split_and_by_id_are_the_same(tmp_path):
    train = np.arange(10.0).reshape(5, 2)
    test = -np.arange(6.0).reshape(3, 2)
    path = tmp_path / f"{TASK.info.id}.npz"
    np.savez(path, train=train, test=test)
    x, x_test = read_embeddings(tmp_path, TASK)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, train)
    np.testing.assert_array_equal(x_test, test)

    ids = [f"train-{i}" for i in range(5)] + [f"test-{i}" for i in range(3)]
    order = np.random.default_rng(0).permutation(8)
    np.savez(path, embeddings=np.concatenate([train, test])[order], ids=np.array(ids)[order])
    again = read_embeddings(tmp_path, TASK)
    np.testing.assert_array_equal(again[0], train)
    np.testing.assert_array_equal(again[1], test)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train": np.zeros((4, 2)), "test": np.zeros((3, 2))}, "train is [4, 2]"),
        ({"train": np.zeros((5, 2)), "test": np.zeros((3, 3))}, "differ in width"),
        ({"train": np.full((5, 2), np.nan), "test": np.zeros((3, 2))}, "not finite"),
        ({"x": np.zeros(3)}, "holds x"),
        ({"embeddings": np.zeros((1, 2)), "ids": np.array(["train-0"])}, "ids lack 4 rows"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / f"{TASK.info.id}.npz", **arrays)
    with pytest.raises(ValueError) as error:
        read_embeddings(tmp_path, TASK)
    assert words in str(error.value)


def test_missing_embeddings_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_embeddings(tmp_path, TASK)


def test_the_identity_is_of_contents(tmp_path):
    def identity():
        (representation,) = StoredSource("mine", tmp_path).open(tmp_path / "work").representations
        return representation.identity

    path = tmp_path / f"{TASK.info.id}.npz"
    np.savez(path, train=np.zeros((5, 2)), test=np.zeros((3, 2)))
    before, facts = identity(), path.stat()
    (tmp_path / f"._{path.name}").write_bytes(b"of macOS")
    os.utime(path, ns=(0, 0))
    assert identity() == before  # a copy of the folder keeps what was computed from it
    np.savez(path, train=np.ones((5, 2)), test=np.zeros((3, 2)))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size
    assert identity() != before
