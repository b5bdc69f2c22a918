"""Which room may import which, and what the light ones load."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import geneb_jax

PACKAGE = Path(geneb_jax.__file__).parent
# From the ground up: a room imports itself and the rooms before it. `probes` and `model_ports`
# stand beside each other on the ground and import nothing of this package but its files.
ROOMS = (
    "files", "collector", "signals", "failures", "log_file", "ownership", "benchmark",
    "config_checks", "config", "tasks", "audit", "uncertainty", "devices", "embedding", "scoring",
    "presentation", "reference", "closing", "agreement", "disks", "last_run", "full_disk",
    "plan", "run", "notebook", "workdir", "doctor", "commands",
)  # fmt: skip
HEAVY = {"jax", "flax", "orbax", "tensorstore", "matplotlib", "scipy", "sklearn"}


def imported(path):
    """The rooms of this package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "geneb_jax":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geneb_jax."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("geneb_jax."))


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_goes_up(room):
    below = ROOMS[: ROOMS.index(room) + 1]
    for path in [PACKAGE / f"{room}.py", *(PACKAGE / room).rglob("*.py")]:
        if path.is_file():
            assert set(imported(path)) <= set(below), path


def test_every_room_has_its_floor():
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert found - {"__init__", "__main__", "__pycache__", "data", "py.typed"} == set(ROOMS)


@pytest.mark.parametrize("package", ["probes", "model_ports"])
def test_probes_and_ports_stand_on_the_ground(package):
    for path in (PACKAGE.parent / package).rglob("*.py"):
        assert set(imported(path)) <= {"files"}, path


@pytest.mark.parametrize("package", ["probes", "model_ports", "geneb_jax"])
def test_modules_that_windows_lacks_are_not_imported_with_the_package(package):
    for path in (PACKAGE.parent / package).rglob("*.py"):
        names = [
            name.name.partition(".")[0] if isinstance(node, ast.Import) else node.module
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        ]
        assert not {"fcntl", "grp", "pwd", "resource", "termios"}.intersection(names), path


def loaded(code):
    """The modules that a program loads, and their first names."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('MODULES', *sys.modules)"],
        capture_output=True, text=True, check=True, timeout=120, cwd=PACKAGE.parent,
    )  # fmt: skip
    modules = done.stdout.rpartition("MODULES")[2].split()
    return {*modules, *(name.partition(".")[0] for name in modules)}


LIGHT = """
import geneb_jax, geneb_jax.config
geneb_jax.__version__, geneb_jax.config.default_config()
import geneb_jax.tasks.reading, geneb_jax.tasks.sequences, geneb_jax.tasks.selection
import geneb_jax.scoring.scores, geneb_jax.scoring.cells
"""
COMMANDS = """
from geneb_jax.commands import main
for words in (
    "--help", "run --help", "tasks --help", "embed --help", "tables --help", "doctor --help",
    "choices --help",
    "workdir --help", "models --help",
    "workdir --help", "submission --help", "compare --help", "export --help", "models --help",
    "models list", "tasks",
):
    try:
        main(words.split())
    except SystemExit as end:
        assert end.code == 0
"""


def test_what_needs_no_jax_does_not_load_it():
    heavy = loaded(LIGHT) & HEAVY
    assert not heavy


def test_presentation_does_without_jax():
    assert "jax" not in loaded("import geneb_jax.presentation.present")


def test_a_run_without_report_draws_nothing():
    heavy = loaded("import geneb_jax.run") & {"matplotlib", "scipy.stats"}
    assert not heavy


def test_nothing_is_asked_of_the_hub_before_a_model_or_task_needs_it():
    assert "huggingface_hub.hf_api" not in loaded("import geneb_jax.run; geneb_jax.embed")


def test_embedding_sequences_needs_neither_tables_nor_figures():
    heavy = loaded("import geneb_jax; geneb_jax.embed") & {"pandas", "matplotlib", "scipy"}
    assert not heavy


def test_commands_answer_before_anything_heavy_is_loaded():
    heavy = loaded(COMMANDS) & (HEAVY | {"pandas"})
    assert not heavy


@pytest.mark.parametrize("package", ["geneb_jax", "model_ports", "probes"])
def test_the_wheel_has_every_folder_and_every_kind_of_file(package):
    root = PACKAGE.parent
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    files = [
        path.relative_to(root)
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {".".join(path.parent.parts) for path in files} <= set(listed["packages"])
    (patterns,) = listed["package-data"].values()
    left_out = [
        str(path) for path in files if not any(path.match(each) for each in ["*.py", *patterns])
    ]
    assert not left_out
