import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geneb_jax.files import atomic
from geneb_jax.files.atomic import remove_leftovers, temporary_name, write_whole


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


def test_the_bytes_are_on_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    path, steps = tmp_path / "b", []

    def fsync(file):
        found = Path(f"/proc/self/fd/{file}").readlink()
        what = "folder" if found.is_dir() else found.read_bytes()
        steps.append((what, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, b"new")
    assert steps == [(b"new", False), ("folder", True)]
    write_whole(path, b"newer", durable=False)
    assert len(steps) == 2 and path.read_bytes() == b"newer"


KILLED = """
import os, sys
from pathlib import Path
from geneb_jax.files.atomic import write_whole
Path.replace = lambda *_: os._exit(9)
write_whole(Path(sys.argv[1]), b"new")
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "cells" / "b.json"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False, cwd=root)
    assert done.returncode == 9
    (left,) = path.parent.iterdir()
    digits, mine = "0" * 32, atomic._HOST
    living = [f"x.{mine}.{os.getpid()}.{digits}.tmp", f"x.far.7.{digits}.tmp", f"x.{digits}.tmp"]
    foreign = ["x.tmp", "x.json~", f"{digits}.tmp.json"]
    old = [f"y.far.7.{digits}.tmp", f"y.{digits}.tmp", f"{digits}.tmp"]  # of another host
    for name in [*living, *foreign, *old]:
        (tmp_path / name).touch()
    for name in [*old, *foreign]:
        os.utime(tmp_path / name, (time.time() - 3601,) * 2)
    removed = {path.name for path in remove_leftovers(tmp_path)}
    assert removed == {left.name, *old}
    assert {p.name for p in tmp_path.iterdir()} == {"cells", *living, *foreign}


def test_a_file_of_the_temporary_name_goes_when_its_process_is_dead(tmp_path):
    root = Path(__file__).parents[3]
    code = "from geneb_jax.files.atomic import temporary_name; print(temporary_name('f' * 32))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    sign = tmp_path / done.stdout.strip()
    sign.touch()
    living = tmp_path / temporary_name("e" * 32)
    living.touch()
    assert remove_leftovers(tmp_path) == [sign]
    assert living.exists()
