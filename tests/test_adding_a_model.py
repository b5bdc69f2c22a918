"""The toy model of docs/adding-a-model.md, taken from the page as it stands, in a scratch copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding-a-model.md").read_text()
ENTRY, FAMILY = "model_ports/data/more/toy-dna.json", "model_ports/families/toy.py"
FAMILY_TESTS = "tests/model_ports/families/test_families.py"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A copy of what the page changes, links to the rest, and the files of steps 2 to 4."""
    folder = tmp_path_factory.mktemp("scratch")
    shutil.copytree(ROOT / "model_ports", folder / "model_ports")
    shutil.copytree(ROOT / "tests" / "model_ports", folder / "tests" / "model_ports")
    (folder / "tests" / "golden_more").mkdir()
    shutil.copy(ROOT / "run.py", folder)  # of a link, Python would look beside the original
    linked = ("geneb_jax", "probes", "configs", "tests/golden", "pyproject.toml")
    beside = (path.relative_to(ROOT) for path in (ROOT / "tests").glob("*.py"))
    fixtures = (path.relative_to(ROOT) for path in (ROOT / "tests/golden_more").iterdir())
    for name in (*linked, *beside, *fixtures):
        (folder / name).symlink_to(ROOT / name)
    blocks = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    assert set(blocks) == {"make_fixture.py", ENTRY, FAMILY}
    for name, text in blocks.items():
        (folder / name).write_text(text)
    call(folder, "make_fixture.py")
    return folder


def call(folder, *arguments):
    """Runs Python in the copy, whose packages come before those that are installed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, cwd=folder, timeout=300,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_toy_of_the_page_passes_as_promised(scratch):
    (promised,) = re.findall(r"^    (toy-dna tokens=.* PASS)$", PAGE, re.MULTILINE)
    (command,) = re.findall(r"^    geneb-jax (models verify \S+toy-dna)$", PAGE, re.MULTILINE)
    (found,) = call(scratch, "-m", "geneb_jax", *command.split()).splitlines()

    def without_digits(text):
        return re.sub(r"=[\d.]+e-\d+", "=", text)

    assert without_digits(found) == without_digits(promised)


def test_the_list_says_whether_the_toy_has_a_port(scratch):
    def proven():
        (line,) = re.findall(
            r"^ *toy-dna .*$", call(scratch, "-m", "geneb_jax", "models", "list", "toy"), re.M
        )
        return line

    assert " fixture " in proven()
    (scratch / FAMILY).rename(scratch / "away.py")
    try:
        assert " not yet " in proven()
    finally:
        (scratch / "away.py").rename(scratch / FAMILY)


@pytest.mark.slow
def test_the_tests_of_ports_pass_with_the_toy_and_the_lines_that_the_page_adds(scratch):
    tables = (
        (FAMILY_TESTS, "DEPTHS = {\n", r'`("toy": \(.*?,)`'),
        (
            "model_ports/loading/describe.py",
            "KINDS: Mapping[str, Kind] = {\n",
            r'`("toy": Kind.*?,)`',
        ),
    )
    for name, start, line in tables:
        text = (scratch / name).read_text()
        (added,) = re.findall(line, PAGE)
        assert text.count(start) == 1
        (scratch / name).write_text(text.replace(start, f"{start}    {added}\n"))
    tested = call(
        scratch, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/model_ports",
        "-k", "toy or proof or two_models",
    )  # fmt: skip
    assert " passed" in tested and "skipped" not in tested
    told = call(
        scratch,
        "-m",
        "geneb_jax",
        "models",
        "describe",
        "tests/golden_more/toy-dna",
        "--name",
        "mine",
    )
    assert '"family": "toy"' in told


@pytest.mark.slow
def test_the_toy_runs_as_an_untrained_control(scratch):
    (command,) = re.findall(r"^    python (run\.py .*toy-dna:random:tiny)$", PAGE, re.MULTILINE)
    fields = ("tasks=synthetic", "regimes=full", "seeds=13", "report=False", "intervals=False")
    call(scratch, *command.split(), "--workdir=run", *(f"--config.{field}" for field in fields))
    scores = (scratch / "run" / "scores.csv").read_text()
    assert "toy-dna:random:tiny" in scores
