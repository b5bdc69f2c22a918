import importlib.util
import json
import subprocess
import sys

import pytest

from benchmarks import accelerator
from benchmarks.accelerator import BUDGET, PARTS, missing, tables
from benchmarks.rows import read_rows


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["accelerator", *map(str, words)])
    accelerator.main()


def test_the_parts_fit_into_eight_minutes():
    assert sum(part.seconds for part in PARTS.values()) <= BUDGET < 480


def test_every_part_is_explained():
    assert accelerator.__doc__ is not None
    for name in PARTS:
        assert f"`{name}`" in accelerator.__doc__


def test_what_is_not_installed_is_named(monkeypatch):
    assert not missing(PARTS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lacking = missing(PARTS)
    assert lacking["probes"] == "needs sklearn: pip install scikit-learn"
    assert "models" not in lacking


def test_the_tables_have_the_newest_row_of_a_case_the_costs_and_the_failures():
    costs = {"seconds": 2.0, "compile_s": 0.5, "programs": 3}
    rows = [
        {"part": "rates", "case": "copy", "GB_s": 1.0} | costs,
        {"part": "rates", "case": "copy", "GB_s": 4321.0} | costs,
        {"part": "models", "case": "m", "model": "hidden", "share": 0.25} | costs,
        {"part": "probes", "case": "p", "iterations": [1, 20]} | costs,
        {"part": "probes", "case": "q", "failed": "does not fit into memory"} | costs,
    ]
    text = tables(rows)
    assert "4321" in text and "hidden" not in text and "1 20" in text
    *_, failed = text.splitlines()
    assert failed == "probes, q: does not fit into memory"
    all_costs = next(line for line in text.splitlines() if line.startswith("all"))
    assert [float(word) for word in all_costs.split()[1:]] == [6.0, 1.5, 9]


def test_full_sizes_are_refused_without_an_accelerator(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, "--only", "rates", "--out", tmp_path / "rows.jsonl")
    assert end.value.code == 2
    assert "no accelerator: JAX found the CPU alone" in capsys.readouterr().err
    assert read_rows(tmp_path / "rows.jsonl") == []


@pytest.mark.slow
def test_rows_are_written_and_read_again(tmp_path, monkeypatch, capsys):
    out = tmp_path / "rows.jsonl"
    call(monkeypatch, "--scale", "toy", "--only", "rates", "--out", out)
    rows = read_rows(out)
    assert [row["part"] for row in rows] == ["device"] + ["rates"] * 9
    assert all(row["TFLOP_s" if "copy" not in row["case"] else "GB_s"] > 0 for row in rows[1:])
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert list(map(json.loads, printed)) == rows
    call(monkeypatch, "--only", "projection", "--scale", "toy", "--out", out)
    assert "measure that part first" in capsys.readouterr().out
    assert len(read_rows(out)) == len(rows) + 1


@pytest.mark.slow
def test_everything_runs_at_toy_sizes(tmp_path):
    out = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "benchmarks.accelerator", "--scale", "toy", "--out", str(out)]
    command += ["--budget", "3600"]  # a busy machine takes longer
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = read_rows(out)
    assert not [row for row in rows if "failed" in row]
    assert list(dict.fromkeys(row["part"] for row in rows)) == list(PARTS)
    of = {(row["part"], row["case"]): row for row in rows}
    assert of["float64-cpu", "geneb"]["equal_iterations"] == "5 of 5"
    theirs = [of["probes", f"scikit-learn full C={C}"] for C in ("0.01", "0.1", "1", "10", "100")]
    assert of["probes", "geneb full"]["iterations"] == [row["iterations"][0] for row in theirs]
    assert sum(row["part"] == "models" for row in rows) == 16
    batch = of["probes", "few-shot fits, 2 classes"]
    assert batch["equal_iterations"] == f"{batch['fits']} of {batch['fits']}"
    assert batch["head_change"] < 1e-6 and batch["programs"] == 1
