import errno
import os
from pathlib import Path

import pytest

from geneb_jax.files.atomic import write_whole


def test_a_file_is_written_with_its_folders(tmp_path):
    write_whole(tmp_path / "a" / "b", b"x")
    write_whole(tmp_path / "a" / "b", b"y")
    assert (tmp_path / "a" / "b").read_bytes() == b"y"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_full_disk_is_named_with_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "b"
    path.write_bytes(b"old")
    whole = Path.write_bytes

    def fail(path, content):
        whole(path, content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError) as error:
        write_whole(path, b"new")
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(path)
    assert error.value.strerror == "cannot be written: No space left on device"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError) as error:
        write_whole(tmp_path / "file" / "b", b"x")
    assert error.value.filename == str(tmp_path / "file" / "b")
    assert error.value.errno in (errno.ENOTDIR, errno.EEXIST)
