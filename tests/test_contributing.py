"""What CONTRIBUTING.md says: names that are there, and commands that work on a clean checkout."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FOLDERS = ("geneb_jax", "model_ports", "probes", "configs", "benchmarks", "examples", "tests")
SOURCES = {
    path: path.read_text()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".js")
}
QUOTED = sorted(set(re.findall(r"`([^`]+)`", PAGE)))
NAMES = [text for text in QUOTED if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z]\w*)?", text)]
PATHS = [text for text in QUOTED if re.fullmatch(r"[\w/]+(/|\.(py|js|json|j2|html\.j2))", text)]
# As in "`Metrics` and `METRICS` in `probes/probe.py`".
PLACED = [
    (name, path)
    for names, path in re.findall(r"((?:`\w+`(?:, | and )?)+) (?:of|in) `([\w/]+\.\w+)`", PAGE)
    for name in re.findall(r"`(\w+)`", names)
]


def defines(text, name):
    """Says whether a module gives a name to something."""
    return re.search(rf"^\s*(?:(?:def|class|const) )?{name}\b *[:=(]", text, re.MULTILINE)


def found(path):
    """The files of a path in which NAME or FAMILY stands for any; of a file's name, wherever."""
    pattern = re.sub(r"\b[A-Z]+\b", "*", path).rstrip("/")
    return list(ROOT.glob(pattern) if "/" in path else ROOT.glob(f"geneb_jax/**/{pattern}"))


def test_the_page_is_read():
    assert {"_LOWEST", "rows.Rows", "KINDS"} <= set(NAMES)
    assert {"geneb_jax/config.py", "probes/KIND.py", "page.js", "tests/golden_more/"} <= set(PATHS)
    assert {("METRICS", "probes/probe.py"), ("Metrics", "probes/probe.py")} <= set(PLACED)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PATHS])
def test_every_name_is_that_of_something(name):
    module, _, last = name.rpartition(".")
    of_module = [text for path, text in SOURCES.items() if module in ("", path.stem)]
    assert any(defines(text, last) for text in of_module), f"CONTRIBUTING.md: no {name} in the tree"


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path):
    assert found(path), f"CONTRIBUTING.md: no file is {path}"


@pytest.mark.parametrize(("name", "path"), PLACED)
def test_every_name_stands_in_the_file_that_is_said(name, path):
    texts = [file.read_text() for file in found(path)]
    assert any(defines(text, name) for text in texts), f"CONTRIBUTING.md: no {name} in {path}"


def test_pytest_called_by_its_name_finds_the_package_and_not_its_tests():
    (test,) = re.findall(r"`\.venv/bin/pytest (tests/\S+)`", PAGE)
    done = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "--collect-only", "-q", test],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=120,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def imports_torch(text):
    """Says whether a module imports PyTorch, anywhere in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return any(name.partition(".")[0] == "torch" for name in names)


def test_types_are_checked_without_pytorch_and_nowhere_else_are_imports_let_pass():
    (directive,) = re.findall(r"`(# pyright: \S+)`", PAGE)
    checked = [path for path in SOURCES if path.suffix == ".py" and "tests" not in path.parts]
    wrong = [
        str(path.relative_to(ROOT))
        for path in checked
        if imports_torch(SOURCES[path]) != (f"\n{directive}\n" in SOURCES[path])
    ]
    assert not wrong
