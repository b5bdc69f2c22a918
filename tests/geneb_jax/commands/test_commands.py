import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import geneb_jax
from geneb_jax.commands import COMMANDS

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
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        check=True, timeout=300,
    )  # fmt: skip
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
