import sys

import pytest

from benchmarks import processes, sweeps
from benchmarks.rows import Rows, read_rows
from probes import logistic


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sweeps", *map(str, words)])
    sweeps.main()


def test_rows_are_printed_and_kept_as_they_are_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sweeps, "STATES", 2)
    out = tmp_path / "rows.jsonl"
    call(monkeypatch, "--only", "layers", "--shapes", "60,6,2", "--out", out)
    rows = read_rows(out)
    assert [row["name"] for row in rows] == [
        "layers, 2 x 60 x 6 x 2, first",
        "  one after the other",
        "layers, 2 x 60 x 6 x 2, again",
        "  one after the other",
    ]
    assert all(row["cpu"] >= 0 and row["wall"] > 0 for row in rows)
    assert rows[0]["name"] in capsys.readouterr().out


def test_the_ratio_is_that_of_processor_time(monkeypatch, tmp_path):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(processes, "cpu_seconds", lambda: next(clock))
    rows = Rows(sweeps.COLUMNS, tmp_path / "rows.jsonl")
    assert sweeps.measure(rows, "a peer", lambda: None, times=5, beside=4.0) == 10.0
    (row,) = read_rows(tmp_path / "rows.jsonl")
    assert (row["cpu"], row["ratio"]) == (10.0, 2.5)


def test_a_task_that_runs_programs_is_refused(monkeypatch):
    monkeypatch.setattr(logistic, "_COMPILED_FROM", 1)
    with pytest.raises(ValueError, match="60 x 6 x 2: its fits are programs"):
        call(monkeypatch, "--only", "layers", "--shapes", "60,6,2")
