import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import geneb_jax
from geneb_jax.commands import COMMANDS
from geneb_jax.ownership import owned
from model_ports.exits import INTERRUPTED, WRONG

ROOT = Path(__file__).parents[3]


def test_help_names_every_command(command):
    for words in ((), ("--help",), ("-h",)):
        done = command(*words)
        assert done.returncode == 0
        assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_version_is_the_packages(command):
    assert command("--version").stdout.strip() == geneb_jax.__version__


def test_a_command_that_is_not_there_is_answered_with_the_nearest(command):
    done = command("taks")
    assert done.returncode == 2
    assert done.stderr == "geneb-jax: 'taks' is not a command; did you mean tasks?\n"
    assert "valid: run, tasks, embed" in command("xyz").stderr
    assert "'report' is not a command; did you mean tables?" in command("report").stderr


@pytest.mark.parametrize("words", [["-m", "geneb_jax", "tasks"], ["-m", "model_ports", "list"]])
def test_the_module_forms_work_from_any_folder(words, tmp_path):
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_wheel_brings_configs_and_data(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert "is absent from" not in built.stderr  # of a folder of data that is not listed
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = f"""
import sys
sys.path.insert(0, {str(site)!r})
import geneb_jax
from geneb_jax.commands import main
from geneb_jax.commands.run import config_file, config_names
assert geneb_jax.__file__.startswith({str(site)!r}), geneb_jax.__file__
assert config_file("full").parent.parent.name == "geneb_jax", config_file("full")
assert {{"full", "quickstart", "paper"}} <= set(config_names())
sys.exit(main(["run", "--config=paper", "--workdir=out"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report" / "index.html").stat().st_size > 10**6


# A command of a name that says that it has begun, and stays there.
STAY = """
import sys, time, types
from geneb_jax import commands

def stay(words):
    print("begun", flush=True)
    time.sleep(60)

sys.modules[commands.COMMANDS[sys.argv[1]].module] = types.SimpleNamespace(main=stay)
sys.exit(commands.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_every_command_in_a_line_that_says_what_is_kept(name):
    process = subprocess.Popen(
        [sys.executable, "-c", STAY, name],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert error == f"interrupted by SIGTERM; {COMMANDS[name].interrupted}\n"


# A signal that comes when the first bytes of a file are written, and before it has its name.
AT_WRITING = """
import os, signal, sys
from pathlib import Path
from geneb_jax.commands import main

write = Path.write_bytes
def write_and_end(path, content):
    write(path, content)
    os.kill(os.getpid(), signal.SIGTERM)
    return len(content)

Path.write_bytes = write_and_end
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["embed", "tasks"])
def test_a_signal_while_a_file_is_written_leaves_nothing_of_it(name, tmp_path):
    (tmp_path / "mine.fa").write_text(">a\nACGTACGT\n>b\nACGGT\n")
    (tmp_path / "mine.csv").write_text(
        "text,label,split\nACGT,0,train\nACGG,1,train\nACG,0,test\nACC,1,test\n"
    )
    before = set(tmp_path.iterdir())
    words = {
        "embed": ["--model=kmer-2", f"--input={tmp_path}/mine.fa", f"--out={tmp_path}/e.npz"],
        "tasks": [f"--tasks_dir={tmp_path}", f"--csv={tmp_path}/tasks.csv"],
    }
    done = subprocess.run(
        [sys.executable, "-c", AT_WRITING, name, *words[name]],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == INTERRUPTED, done.stderr
    said = f"interrupted by SIGTERM; {COMMANDS[name].interrupted}"
    assert done.stderr.splitlines()[-1] == said and "Traceback" not in done.stderr
    assert set(tmp_path.iterdir()) - {tmp_path / "cache"} == before


@pytest.mark.parametrize(
    "words",
    [
        ("tables", "--out"),
        ("choices", "--scores", "{run}", "--out"),
        ("export",),
        ("export", "{other}", "--out"),
        ("tasks", "--audit", "--tasks_dir", "{other}", "--out"),
    ],
)
def test_commands_write_into_no_workdir_of_a_living_run(command, tmp_path, words):
    run, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    words = [word.format(run=run, other=other) for word in words]
    with owned(run):
        before = set(run.iterdir())
        done = command(*words, run)
        assert done.returncode == WRONG
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{run}: the run of process {os.getpid()} on host ")
        assert line.endswith(" is running there")
        assert set(run.iterdir()) == before
