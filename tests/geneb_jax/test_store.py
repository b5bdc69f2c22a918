import numpy as np
import pytest

from geneb_jax.store import Store, StoreError, key


def filled(folder):
    store = Store(folder)
    store.add([key("a"), key("b")], np.array([[1.0, 2.0], [3.0, 4.0]]))
    store.add([key("c")], np.array([[5.0, 6.0]]))
    return store


def test_what_was_written_is_there_after_reopening(tmp_path):
    for store in (filled(tmp_path), Store(tmp_path)):
        assert len(store) == 3
        assert key("b") in store
        assert key("d") not in store
        found = store.get([key("c"), key("a"), key("c")])
        assert found.dtype == np.float32
        assert found.tolist() == [[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]


def test_a_chunk_killed_before_its_keys_is_not_there(tmp_path):
    filled(tmp_path)
    np.save(tmp_path / "values-00002.npy", np.zeros((4, 2), np.float32))
    store = Store(tmp_path)
    assert len(store) == 3
    store.add([key("d")], np.array([[7.0, 8.0]]))
    assert Store(tmp_path).get([key("d")]).tolist() == [[7.0, 8.0]]


def test_damage_is_named(tmp_path):
    filled(tmp_path)
    (tmp_path / "values-00001.npy").write_bytes(b"no array")
    with pytest.raises(StoreError, match="chunk 1 cannot be read"):
        Store(tmp_path)
    np.save(tmp_path / "values-00001.npy", np.zeros((4, 2), np.float32))
    with pytest.raises(StoreError, match="1 keys for 4 embeddings"):
        Store(tmp_path)


def test_keys_depend_on_every_part_and_its_borders():
    assert len({key("ab"), key("a", "b"), key("", "ab"), key("AB")}) == 4
