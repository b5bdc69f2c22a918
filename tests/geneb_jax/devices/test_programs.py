import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jax
import pytest

from geneb_jax.devices import programs

ROOT = Path(__file__).parents[3]


def test_programs_are_dropped_before_they_hold_too_many_memory_maps(tmp_path, monkeypatch):
    doubled = jax.jit(lambda x: 2 * x)
    doubled(1.0)
    maps, most = tmp_path / "maps", tmp_path / "most"
    maps.write_text("map\n" * 51)
    monkeypatch.setattr(programs, "_MAPS", maps)
    monkeypatch.setattr(programs, "_MOST_MAPS", most)
    for limit, count in (("102\n", 1), ("101\n", 0)):
        most.write_text(limit)
        programs.make_room_for_programs()
        assert doubled._cache_size() == count
    most.unlink()  # another system
    programs.make_room_for_programs()


KEEP = """
import sys
import jax, jax.numpy as jnp
from geneb_jax.devices.programs import keep_programs

found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
keep_programs(*sys.argv[1:])
assert jax.jit(lambda x: jnp.sin(x) * 3)(0.0) == 0
print(sum(name.endswith("/cache_hits") for name in found))
"""


def test_programs_are_found_again_after_the_cache_has_moved(tmp_path):
    def hits(*folder, **variables):
        environment = {"PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu", **variables}
        done = subprocess.run(
            [sys.executable, "-c", KEEP, *folder],
            capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return int(done.stdout)

    first, second = tmp_path / "first", tmp_path / "second"
    assert hits(XDG_CACHE_HOME=str(first)) == 0
    assert list((first / "geneb_jax" / "programs").iterdir())
    first.rename(second)
    assert hits(XDG_CACHE_HOME=str(second)) > 0
    assert hits(str(second / "geneb_jax"), XDG_CACHE_HOME=str(first)) > 0
    assert hits("none", XDG_CACHE_HOME=str(second)) == 0


def test_programs_that_a_killed_process_left_unfinished_are_compiled_and_kept_again(tmp_path):
    def kept():
        environment = {"PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", KEEP, str(tmp_path / "p")],
            capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert "compilation cache" not in done.stderr, done.stderr[-3000:]
        found = sorted((tmp_path / "p" / "programs").glob("*-cache"))
        return int(done.stdout), {path.name: path.stat().st_size for path in found}

    _, whole = kept()
    again, _ = kept()
    assert again == len(whole)
    first, second, *_ = [tmp_path / "p" / "programs" / name for name in whole]
    damages = [
        lambda: second.write_bytes(b""),
        lambda: second.write_bytes(second.read_bytes()[:-9] + bytes(9)),
        first.with_name(first.name.replace("-cache", "-atime")).unlink,
    ]
    for damage in damages:
        damage()
        hits, found = kept()
        assert (hits, found) == (again - 1, whole)
        assert kept() == (again, whole)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone can be asked")
def test_what_a_compiler_has_freed_is_given_back():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work():
        # Twice what is looked for: what earlier tests have freed may be taken again.
        blocks = [bytes(1000) for _ in range(200_000)]
        blocks[-1:], last = [], blocks[-1]  # lies behind what is freed, and would keep it there
        return last, resident()

    def fails():
        raise KeyError

    programs.soon(lambda: None, "test").result()  # what others have freed is given back
    before = resident()
    (_, most), after = programs.soon(work, "test").result(), resident()
    assert most - before > 90e6
    assert after - before < 30e6
    with pytest.raises(KeyError):
        programs.soon(fails, "test").result()


def test_a_cache_that_takes_nothing_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(programs.logging, "warning", lambda *words: said.append(words))
    monkeypatch.setattr(programs.jax, "config", SimpleNamespace(jax_compilation_cache_dir=None))
    (tmp_path / "file").write_text("")
    programs.keep_programs(str(tmp_path / "file" / "inside"))
    assert len(said) == 1
    assert "not kept" in said[0][0]


FULL = """
import errno, os, sys, warnings
from pathlib import Path
import jax
from geneb_jax.devices.programs import keep_programs
from model_ports.screen_log import show_log

def full(path, content):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

show_log()
keep_programs(sys.argv[1])
keep_programs(sys.argv[1])
from etils import epath
for kind in {type(epath.Path(".")), Path, type(Path("."))}:
    kind.write_bytes = full
for number in range(3):
    jax.jit(lambda x: x + number)(1.0)
warnings.warn("of somebody else")
"""


def test_a_full_folder_of_programs_is_said_once_in_a_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, timeout=300,
        check=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    ours, others = done.stderr.splitlines()[0], done.stderr.splitlines()[1:]
    words = "some compiled programs are not kept, and are compiled again in the next run: OSError"
    assert ours[9:].startswith(f"{tmp_path / 'programs'}: {words}")
    assert "No space left on device" in ours
    assert len(others) <= 2 and "UserWarning: of somebody else" in others[0]


def test_two_programs_of_one_name_are_compiled_at_once():
    class Lowered:
        def compile(self):
            both.wait(20)
            found = programs.compiling()
            both.wait(20)  # neither has ended before the other has asked
            return found

    def work():
        said.append(programs.compile_program(cast(Any, Lowered()), "a"))

    both, said = threading.Barrier(2), []
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert said == ["a for 0 s, a for 0 s"] * 2
    assert programs.compiling() == ""
