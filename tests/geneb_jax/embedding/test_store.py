import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from geneb_jax.embedding.store import IDENTITY, Store, check_folder, kept_keys, key

ROOT = Path(__file__).parents[3]
WIDTH = 3


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
        assert store.missing([key("a"), key("d")]) == {key("d")}
        found = store.get([key("c"), key("a"), key("c")])
        assert found.dtype == np.float32
        assert found.tolist() == [[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]


def test_files_are_plain_arrays_beside_what_they_were_computed_with(tmp_path):
    Store(tmp_path, {"model": "x"}).add([key("a")], np.array([[1.0, 2.0]]))
    assert json.loads((tmp_path / IDENTITY).read_text()) == {"model": "x"}
    (keys,) = tmp_path.glob("keys-*.npy")
    (values,) = tmp_path.glob("values-*.npy")
    assert np.load(keys).tobytes() == key("a")
    assert np.load(values).tolist() == [[1.0, 2.0]]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_chunk_killed_before_its_keys_is_not_there(tmp_path):
    filled(tmp_path)
    for path in tmp_path.glob("keys-*"):
        path.unlink()
    store = Store(tmp_path)
    assert len(store) == 0
    assert len(filled(tmp_path)) == 3


def flip(path, place):
    content = bytearray(path.read_bytes())
    if content:  # a file that was cut before may be empty
        content[place % len(content)] ^= 1
    path.write_bytes(content)


def cut(path, place):
    content = path.read_bytes()
    path.write_bytes(content[: place % max(len(content), 1)])


@pytest.mark.parametrize("content", [b"", b'{"model', bytes(20)])
def test_a_damaged_identity_is_written_again_and_what_dead_writers_left_removed(tmp_path, content):
    Store(tmp_path, {"model": "m"})
    whole = (tmp_path / "store.json").read_bytes()
    assert json.loads(whole) == {"model": "m"}
    (tmp_path / "store.json").write_bytes(content)
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    host = socket.gethostname()
    left, written = (tmp_path / f"values-1.npy.{host}.{process}.{'0' * 32}.tmp"
                     for process in (ended.pid, os.getpid()))  # fmt: skip
    left.touch()
    written.touch()
    Store(tmp_path, {"model": "m"})
    assert (tmp_path / "store.json").read_bytes() == whole
    assert not left.exists() and written.exists()


def test_a_folder_in_the_way_of_a_chunk_is_named_and_left(tmp_path, caplog):
    filled(tmp_path)
    values = min(tmp_path.glob("values-*"))
    (keys,) = tmp_path.glob(f"keys-*-{values.stem.removeprefix('values-')}.npy")
    lost = {row.tobytes() for row in np.load(keys)}
    values.unlink()
    values.mkdir()
    assert Store(tmp_path).missing([key(name) for name in "abc"]) == lost
    assert f"{values}: Is a directory; its embeddings are computed anew" in caplog.text
    with pytest.raises(OSError, match=r"cannot be written: .*directory"):
        filled(tmp_path)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("damage", [flip, cut, lambda path, _: path.unlink()])
@pytest.mark.parametrize("what", ["keys", "values"])
def test_a_damaged_chunk_is_named_and_removed(tmp_path, what, damage, caplog):
    filled(tmp_path)
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    path = sorted(tmp_path.glob(f"{what}-*.npy"))[0]
    damage(path, -1)
    gone = not path.exists()
    store = Store(tmp_path)
    missing = store.missing([key(x) for x in "abc"])
    assert missing in ({key("a"), key("b")}, {key("c")})
    assert gone or f"{path}: its checksum is not that of its name" in caplog.text
    assert not path.exists()
    filled(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


WRITER = """
import sys
import numpy as np
from geneb_jax.embedding.store import Store, key
store = Store(sys.argv[1])
for start in range(0, int(sys.argv[2]), 10):
    names = [str(i) for i in range(start, start + 10)]
    wanted = store.missing([key(name) for name in names])
    names = [name for name in names if key(name) in wanted]
    if names:
        store.add([key(name) for name in names], np.array([[float(n)] * 4 for n in names]))
"""


def test_a_store_in_a_bucket_keeps_what_several_write(bucket_folder):
    store = Store(bucket_folder)
    assert len(store) == 0
    keys = [key(str(i)) for i in range(32)]
    store.add(keys[30:31], np.full((1, 4), 30.0))
    assert store.missing(keys[30:]) == {keys[31]}  # the folder was listed before others write
    writer = [sys.executable, "-c", WRITER, bucket_folder, "30"]
    subprocess.run(writer, cwd=ROOT, check=True, timeout=120)
    assert store.missing(keys) == {keys[31]}
    store.add(keys[31:], np.full((1, 4), 31.0))
    for opened in (store, Store(bucket_folder)):
        assert not opened.missing(keys)
        assert opened.get(keys[::-1])[:, 0].tolist() == list(range(31, -1, -1))
    assert {path.suffix for path in epath.Path(bucket_folder).iterdir()} == {".npy"}


def test_folders_that_take_nothing_are_named(tmp_path, bucket_folder):
    check_folder(tmp_path / "deep" / "folder")
    assert not list(tmp_path.iterdir())
    check_folder(bucket_folder)
    for folder in (__file__, "gs://no-such-bucket/x", "no-such-scheme://x"):
        with pytest.raises(ValueError, match=f"{folder}: nothing can be written there"):
            check_folder(folder)


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("what", ["keys", "values"])
def test_a_damaged_chunk_in_a_bucket_is_removed(bucket_folder, what, damage, caplog):
    filled(bucket_folder)
    path = sorted(epath.Path(bucket_folder).glob(f"{what}-*"))[0]
    damage(path, -1)
    missing = Store(bucket_folder).missing([key(x) for x in "abc"])
    assert missing in ({key("a"), key("b")}, {key("c")})
    assert f"{path}: its checksum is not that of its name" in caplog.text
    assert not path.exists()


def test_several_processes_write_one_store(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, "200"], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    keys = [key(str(i)) for i in range(200)]
    store = Store(tmp_path)
    assert not store.missing(keys)
    assert store.get(keys)[:, 0].tolist() == list(range(200))
    assert not list(tmp_path.glob("*.tmp"))


RECORDS = st.lists(st.integers(0, 30).map(str), min_size=1, max_size=8, unique=True)


def vector(name):
    return np.full(WIDTH, float(name), np.float32)


class StoreMachine(RuleBasedStateMachine):
    """Two open stores over one folder that is damaged now and then, against a set of names."""

    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp())
        self.stores = [Store(self.folder), Store(self.folder)]
        self.names = set()

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(records=RECORDS, which=st.integers(0, 1))
    def compute_what_is_missing(self, records, which):
        store = self.stores[which]
        missing = store.missing([key(name) for name in records])
        wanted = [name for name in records if key(name) in missing]
        assert set(wanted) == set(records) - self.names
        if wanted:
            store.add([key(name) for name in wanted], np.stack([vector(n) for n in wanted]))
        self.names |= set(records)
        found = store.get([key(name) for name in records])
        np.testing.assert_array_equal(found, [vector(name) for name in records])

    @rule(which=st.integers(0, 1))
    def reopen(self, which):
        self.stores[which] = Store(self.folder)

    @rule(damage=st.sampled_from([flip, cut]), number=st.integers(0), place=st.integers(0, 10**4))
    def damage_a_file(self, damage, number, place):
        files = sorted(self.folder.glob("*.npy"))
        if not files:
            return
        chosen = files[number % len(files)]
        holders = self.folder.glob(f"keys-*{chosen.stem.split('-')[-1]}.npy")
        lost = {row.tobytes() for path in holders for row in np.load(path)}
        damage(chosen, place)
        # Whoever opened the store before trusts what it has verified: a new process looks.
        self.stores = [Store(self.folder), Store(self.folder)]
        self.names -= {name for name in self.names if key(name) in lost}

    @invariant()
    def nothing_half_written(self):
        if hasattr(self, "folder"):
            assert not list(self.folder.glob("*.tmp"))


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_keys_depend_on_every_part_and_its_borders():
    assert len({key("ab"), key("a", "b"), key("", "ab"), key("AB")}) == 4


def test_kept_keys_are_read_without_touching_the_store(tmp_path):
    folder, names = epath.Path(tmp_path / "store"), [key(name) for name in "abcde"]
    assert kept_keys(epath.Path(tmp_path / "none"), names) == set()
    store = Store(folder)
    store.add(names[:2], np.ones((2, 3)))
    for row, name in enumerate(names[2:]):
        store.add([name], np.full((1, 3), row))
    assert kept_keys(folder, [*names, key("f")]) == set(names)
    keys_damaged, values_damaged, valueless = (chunk_of(folder, name) for name in names[2:])
    keys_damaged.write_bytes(keys_damaged.read_bytes()[:-1])
    changed = bytearray(values_of(values_damaged).read_bytes())
    changed[-1] ^= 1
    values_of(values_damaged).write_bytes(changed)
    values_of(valueless).unlink()
    (folder / "keys-x").write_text("no chunk")
    before = {path.name: path.stat().mtime for path in folder.iterdir()}
    assert kept_keys(folder, names) == set(names[:2])
    assert kept_keys(folder, names[1:]) == {names[1]}
    assert {path.name: path.stat().mtime for path in folder.iterdir()} == before


def values_of(chunk):
    return chunk.with_name(f"values-{chunk.stem.rpartition('-')[2]}.npy")


def chunk_of(folder, name):
    return next(p for p in folder.glob("keys-*.npy") if name in map(bytes, np.load(p)))
