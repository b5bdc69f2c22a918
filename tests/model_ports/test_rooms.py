"""Which room of the package may import which, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import model_ports

ROOT = Path(model_ports.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
# By room: the rooms and modules of the package that it may import beside itself.
ALLOWED = {
    "catalog": {"known_defects"},
    "exits": set(),
    "commands": {"catalog", "exits", "loading", "verification"},
    "contract": set(),
    "families": {"contract", "layers"},
    "known_defects": set(),
    "layers": set(),
    "loading": {"catalog", "contract", "known_defects", "port", "tokenizers"},
    "pooling": set(),
    "port": {"catalog", "tokenizers"},
    "running": {"contract", "pooling", "port"},
    "screen_log": set(),
    "tokenizers": set(),
    "verification": {
        "catalog",
        "contract",
        "loading",
        "pooling",
        "port",
        "running",
        "tokenizers",
    },
}


def imported(path):
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "model_ports":
            found |= {f"model_ports.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return {name for name in found if name.startswith("model_ports.")}


@pytest.mark.parametrize("name", [name for name in MODULES if "__" not in name])
def test_a_room_imports_what_stands_below_it(name):
    room = name.split(".")[1]
    rooms = {found.split(".")[1] for found in imported(MODULES[name])}
    assert rooms - {room} <= ALLOWED[room]


def test_every_room_has_its_rule():
    rooms = {name.split(".")[1] for name in MODULES}
    assert rooms - {"__init__", "__main__"} == set(ALLOWED)


def test_families_do_not_import_each_other():
    for name, path in MODULES.items():
        if name.startswith("model_ports.families."):
            assert not any(found.startswith("model_ports.families.") for found in imported(path))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import model_ports.catalog", {"jax", "numpy"}),
        (
            "from model_ports.commands import main; main(['list'])",
            {"jax", "pandas", "matplotlib", "orbax", "tensorstore", "huggingface_hub"},
        ),
        (
            "import model_ports.contract.family, model_ports.contract.weights",
            {"orbax", "tensorstore", "safetensors", "huggingface_hub"},
        ),
        (
            "import model_ports.running.embedder, model_ports.running.records",
            {"orbax", "tensorstore", "safetensors", "huggingface_hub"},
        ),
    ],
)
def test_an_import_takes_what_it_needs_only(code, absent):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('MODULES', *sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT.parent,
    )  # fmt: skip
    loaded = set(done.stdout.rpartition("MODULES")[2].split())
    assert not loaded & absent
