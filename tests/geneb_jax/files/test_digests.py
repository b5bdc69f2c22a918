"""Small files stand for large ones here: what a digest is remembered by does not depend on size."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geneb_jax.files import digests
from geneb_jax.files.digests import file_facts, folder_facts, remember_facts


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty user's cache, in which digests of small files and of new ones are kept too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SMALL", 0)
    monkeypatch.setattr(digests, "_STILL_NS", 0)
    return tmp_path / "cache" / "geneb_jax" / "digests"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were read, in the order in which they were."""
    names = []
    real = hashlib.file_digest

    def count(file, algorithm):
        names.append(Path(file.name).name)
        return real(file, algorithm)

    monkeypatch.setattr(digests.hashlib, "file_digest", count)
    return names


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"abc")
    return path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def tick():
    time.sleep(0.05)  # longer than the clock of the file system takes to move


def test_a_file_is_hashed_once(cache, hashed, weights):
    expected = {"size": 3, "sha256": sha256(b"abc")}
    assert [file_facts(weights) for _ in range(3)] == [expected] * 3
    assert hashed == ["weights.bin"]
    (entry,) = cache.iterdir()
    assert json.loads(entry.read_text())["sha256"] == sha256(b"abc")
    link = weights.with_name("link.bin")
    link.symlink_to(weights)
    assert file_facts(link) == expected
    assert hashed == ["weights.bin"]


def test_what_killed_processes_left_in_the_cache_is_removed(cache, weights):
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    cache.mkdir(parents=True)
    (cache / f"x.json.{socket.gethostname()}.{ended.pid}.{'0' * 32}.tmp").touch()
    file_facts(weights)
    assert [path.suffix for path in cache.iterdir()] == [".json"]


def test_files_of_a_folder_are_named_by_their_paths(cache, hashed, tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    contents = {"a": b"1", "deep/b": b"22", "deep/c": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    expected = {n: {"size": len(c), "sha256": sha256(c)} for n, c in contents.items()}
    for _ in range(2):
        assert folder_facts(folder, [folder / name for name in contents]) == expected
    assert sorted(hashed) == ["a", "b", "c", "c"]  # an empty file is read whenever it is asked for


def test_a_change_that_hides_behind_size_and_mtime_is_seen(cache, hashed, weights):
    file_facts(weights)
    before = weights.stat()
    tick()
    weights.write_bytes(b"abd")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = weights.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size, before.st_mtime_ns, before.st_ino
    )  # fmt: skip
    assert file_facts(weights)["sha256"] == sha256(b"abd")
    assert hashed == ["weights.bin"] * 2


def test_a_file_that_takes_the_name_of_another_is_seen(cache, weights):
    file_facts(weights)
    other = weights.with_name("other.bin")
    other.write_bytes(b"xyz")
    os.utime(other, ns=(0, weights.stat().st_mtime_ns))
    tick()
    other.replace(weights)
    assert file_facts(weights)["sha256"] == sha256(b"xyz")


def test_the_digest_of_a_file_that_changed_just_now_is_not_kept(
    cache, hashed, weights, monkeypatch
):
    monkeypatch.setattr(digests, "_STILL_NS", 10**12)
    for _ in range(2):
        file_facts(weights)
    assert hashed == ["weights.bin"] * 2
    assert not cache.exists()


def test_the_digest_of_a_file_that_changes_meanwhile_is_not_kept(cache, weights, monkeypatch):
    real = hashlib.file_digest

    def change(file, algorithm):
        found = real(file, algorithm)
        tick()
        weights.write_bytes(b"abd")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(digests.hashlib, "file_digest", change)
        file_facts(weights)
    assert file_facts(weights)["sha256"] == sha256(b"abd")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "1",
        lambda text: json.dumps({**json.loads(text), "sha256": "short"}),
        lambda text: json.dumps({**json.loads(text), "sha256": None}),
        lambda text: json.dumps({**json.loads(text), "path": "/elsewhere", "sha256": "0" * 64}),
        lambda text: json.dumps({"sha256": "0" * 64}),
    ],
)
def test_a_damaged_cache_is_computed_anew(cache, hashed, weights, damage):
    file_facts(weights)
    (entry,) = cache.iterdir()
    entry.write_text(damage(entry.read_text()))
    for _ in range(2):
        assert file_facts(weights)["sha256"] == sha256(b"abc")
    assert hashed == ["weights.bin"] * 2
    assert [path.name for path in cache.iterdir()] == [entry.name]


def test_a_cache_that_cannot_be_written_is_no_error(cache, hashed, weights, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be, whoever asks")
    for _ in range(2):
        assert file_facts(weights)["sha256"] == sha256(b"abc")
    assert hashed == ["weights.bin"] * 2


@pytest.mark.parametrize("value", ["", "relative/cache", None])
def test_without_a_valid_xdg_cache_home_the_home_folder_has_the_cache(
    cache, weights, tmp_path, monkeypatch, value
):
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file_facts(weights)
    assert len(list((tmp_path / "home/.cache/geneb_jax/digests").iterdir())) == 1


def test_digests_follow_a_folder_to_its_new_name(cache, hashed, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a").write_bytes(b"abc")
    facts = folder_facts(old, [old / "a"])
    old.rename(new)
    remember_facts(new, facts)
    assert folder_facts(new, [new / "a"]) == facts
    assert hashed == ["a"]


def test_a_large_file_is_told_of(weights, monkeypatch, caplog):
    monkeypatch.setattr(digests, "_SLOW", 2)
    told = []
    monkeypatch.setattr(digests.logging, "info", lambda text, *values: told.append(text % values))
    file_facts(weights)
    assert told == [f"hashing {weights} (3 B)"]


def snapshot(root, blob, content):
    """A file in the cache of the hub's client, as the client makes it: the link comes last."""
    (root / "blobs").mkdir(parents=True)
    folder = root / "snapshots" / "f00d"
    folder.mkdir(parents=True)
    (root / "blobs" / blob).write_bytes(content)
    (folder / "model.safetensors").symlink_to(f"../../blobs/{blob}")
    return folder / "model.safetensors"


def test_a_blob_of_the_hub_is_not_hashed(cache, hashed, tmp_path):
    path = snapshot(tmp_path / "models--a--b", "ab" * 32, b"abc")
    assert file_facts(path) == {"size": 3, "sha256": "ab" * 32}
    (tmp_path / "checkpoints").symlink_to(path.parent)
    assert file_facts(tmp_path / "checkpoints" / path.name)["sha256"] == "ab" * 32
    assert hashed == []


def test_a_blob_that_changed_after_the_download_is_hashed(cache, tmp_path):
    path = snapshot(tmp_path / "models--a--b", "ab" * 32, b"abc")
    before = path.stat()
    tick()
    path.write_bytes(b"abd")  # through the link, as a training that saves over its model does
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_facts(path)["sha256"] == sha256(b"abd")
    tick()
    later = path.parents[1] / "beef" / path.name
    later.parent.mkdir()
    later.symlink_to(path.readlink())  # the same file of another revision, which finds it there
    assert file_facts(later)["sha256"] == sha256(b"abd")


@pytest.mark.parametrize("blob", ["ab" * 20, "AB" * 32, "ab" * 32 + ".incomplete", "g" * 64])
def test_a_blob_of_another_name_is_hashed(cache, tmp_path, blob):
    path = snapshot(tmp_path / "models--a--b", blob, b"abc")
    assert file_facts(path)["sha256"] == sha256(b"abc")


def test_a_link_that_is_no_snapshots_is_hashed(cache, tmp_path):
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"abc")
    (tmp_path / "snapshots").mkdir()
    for link in (tmp_path / "link", tmp_path / "snapshots" / "link"):
        link.symlink_to(blob)
        assert file_facts(link)["sha256"] == sha256(b"abc")
