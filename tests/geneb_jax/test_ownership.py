import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from geneb_jax import ownership
from geneb_jax.files.atomic import WriteError
from geneb_jax.ownership import LOCK, OWNER, OwnedError, held, owned

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from geneb_jax.files.atomic import WriteError
from geneb_jax.ownership import owned
with owned(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that owns the workdir."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.wait()


def write_owner(workdir, **fields):
    owner = {"host": socket.gethostname(), "process": 1, "start": "today"} | fields
    (workdir / OWNER).write_text(json.dumps(owner))


def test_a_second_run_is_told_who_is_there_and_a_dead_ones_workdir_is_taken(
    tmp_path, holder, caplog
):
    host = socket.gethostname()
    owner = json.loads((tmp_path / OWNER).read_text())
    assert (owner["host"], owner["process"]) == (host, holder.pid)
    with pytest.raises(OwnedError) as error, owned(tmp_path):
        pass
    assert str(error.value) == (
        f"{tmp_path}: the run of process {holder.pid} on host {host} (since {owner['start']}) is "
        "running there"
    )
    holder.kill()
    holder.wait()
    left = tmp_path / "cells" / f"x.json.{host}.{holder.pid}.{'0' * 32}.tmp"
    left.parent.mkdir()
    left.touch()
    with owned(tmp_path):
        assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    assert f"the run of process {holder.pid} on host {host}" in caplog.text
    assert "was killed; this run goes on from what it left" in caplog.text
    assert not left.exists() and not (tmp_path / OWNER).exists()


def test_a_run_of_another_host_is_left_alone_until_it_is_silent(tmp_path):
    write_owner(tmp_path, host="far", process=7)
    with pytest.raises(OwnedError) as error, owned(tmp_path):
        pass
    words = str(error.value)
    assert "the run of process 7 on host far (since today) was running there 0 s ago" in words
    assert f"where it has ended, remove {tmp_path / OWNER}, or wait 300 s" in words
    old = (tmp_path / OWNER).stat().st_mtime - 301
    os.utime(tmp_path / OWNER, (old, old))
    with owned(tmp_path):
        ownership.sign_of_life(tmp_path)
        assert ownership._silence(tmp_path) < 10
    assert not (tmp_path / OWNER).exists()


def test_without_locks_a_living_process_of_this_host_is_left_alone(tmp_path, monkeypatch, caplog):
    def refuse(lock, timeout):
        raise NotImplementedError("no flock here")

    monkeypatch.setattr(ownership.FileLock, "acquire", refuse)
    write_owner(tmp_path, process=os.getppid())
    words = f"process {os.getppid()} .* is running there"
    with pytest.raises(OwnedError, match=words), owned(tmp_path):
        pass
    assert f"the file system has no locks (no flock here); {OWNER} alone keeps" in caplog.text
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_owner(tmp_path, process=ended.pid)
    with owned(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", bytes(40), b'{"host": "far"\xff'])
def test_a_damaged_owner_file_is_a_dead_runs(tmp_path, content, caplog):
    # An owner writes it whole: nobody alive has a damaged one.
    (tmp_path / OWNER).write_bytes(content)
    with owned(tmp_path):
        assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    assert "process not known on host not known (since not known) was killed" in caplog.text


def test_a_workdir_that_nothing_came_into_is_removed(tmp_path):
    with owned(tmp_path / "new"):
        assert {path.name for path in (tmp_path / "new").iterdir()} == {LOCK, OWNER}
    assert not (tmp_path / "new").exists()
    with owned(tmp_path / "deep" / "new"):
        pass
    assert not (tmp_path / "deep").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes").touch()
    with owned(tmp_path / "old"):
        pass
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["notes"]
    with owned(tmp_path / "old"):
        (tmp_path / "old" / "cells").mkdir()
    assert (tmp_path / "old" / LOCK).exists()  # it is a workdir now
    with owned(tmp_path / "old"):
        pass
    assert (tmp_path / "old" / LOCK).exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    words = "nothing can be written there: Not a directory"
    with pytest.raises(OwnedError, match=words), owned(tmp_path / "file" / "x"):
        pass


def test_a_workdir_that_is_removed_or_taken_is_this_runs_no_more(tmp_path):
    workdir = tmp_path / "run"
    words = "was removed, or moved away, while the run was going on"
    with pytest.raises(WriteError, match=words) as error, owned(workdir) as check:
        check()
        workdir.rename(tmp_path / "elsewhere")
        (workdir / "cells").mkdir(parents=True)  # as a file that is written makes it
        with pytest.raises(WriteError):
            check()
    assert error.value.filename == str(workdir)
    words = r"is the run of process 7 on host far .*'s by now: it was removed"
    with pytest.raises(WriteError, match=words), owned(workdir):
        write_owner(workdir, host="far", process=7)
    assert json.loads((workdir / OWNER).read_text())["process"] == 7  # which stays the other's
    (workdir / OWNER).unlink()
    with pytest.raises(KeyError), owned(workdir):  # an error of its own is what is said
        (workdir / OWNER).unlink()
        raise KeyError


def test_a_command_that_writes_there_keeps_out_of_a_living_runs_folder(tmp_path, holder):
    words = f"the run of process {holder.pid} on host .* is running there"
    with pytest.raises(OwnedError, match=words), held(tmp_path):
        pass
    holder.kill()
    holder.wait()
    before = (tmp_path / OWNER).read_text()
    with held(tmp_path):
        again = pytest.raises(OwnedError, match="another command is running there")
        with again as error, held(tmp_path):
            pass
        assert str(tmp_path) in str(error.value)
    assert (tmp_path / OWNER).read_text() == before  # that it was killed is still to be read
    with held(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    with held(tmp_path / "new"):
        (tmp_path / "new" / "a table").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a table"]


def test_a_run_keeps_out_of_a_folder_that_a_command_writes(tmp_path):
    with held(tmp_path), pytest.raises(OwnedError, match="another command"), owned(tmp_path):
        pass
