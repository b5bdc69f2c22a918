"""Every script of examples/ runs offline, each in a process, as its first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest
from score_rows import table

from geneb_jax.scoring.scores import write_scores

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=120,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def test_every_example_is_tested():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"embed_and_compare.py", "probe_arrays.py", "compare_models.py"}


def test_embed_and_compare():
    done = run("embed_and_compare.py")
    assert done.returncode == 0, done.stderr
    assert "kmer-4: float32 [40, 256]" in done.stdout
    shares = [
        int(line.rpartition(": ")[2].rstrip("%"))
        for line in done.stdout.splitlines()
        if line.endswith("%")
    ]
    neighbours, chance = shares
    assert neighbours > chance


def test_probe_arrays():
    done = run("probe_arrays.py")
    assert done.returncode == 0, done.stderr
    means = {
        line.split()[0]: float(line.split()[2])
        for line in done.stdout.splitlines()
        if line.startswith(("full", "10-shot"))
    }
    assert 0 < means["10-shot"] < means["full"] < 1


@pytest.fixture
def workdir(tmp_path):
    rows = [
        {"model": model, "task": f"task {t}", "seed": seed, "MCC": better + t / 100}
        for model, better in (("kmer-4", 0.2), ("kmer-2", 0.1))
        for t in range(8)
        for seed in (13, 17)
    ]
    write_scores(table(*rows), tmp_path / "scores.csv")
    return tmp_path


def test_compare_models(workdir):
    done = run("compare_models.py", workdir, "kmer-4", "kmer-2")
    assert done.returncode == 0, done.stderr
    # All of 8 differences are positive: the exact two-sided p is 2 / 2**8.
    assert done.stdout == (
        "full: kmer-4 0.235, kmer-2 0.135; kmer-4 is better on 8 of 8 tasks "
        "(Wilcoxon signed-rank p = 0.0078)\n"
    )


def test_compare_models_names_what_is_there(workdir):
    done = run("compare_models.py", workdir, "kmer-4", "kmer-3")
    assert done.returncode == 1
    assert "no row of 'kmer-3'; there are: kmer-4, kmer-2" in done.stderr
