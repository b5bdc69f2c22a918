import json

import pytest

from benchmarks import sweeps
from probes import logistic


def test_rows_are_printed_and_kept_as_they_are_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sweeps, "STATES", 2)
    out = tmp_path / "rows.jsonl"
    sweeps.main(["--only", "layers", "--shapes", "60,6,2", "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["name"] for row in rows] == [
        "layers, 2 x 60 x 6 x 2, first",
        "  one after the other",
        "layers, 2 x 60 x 6 x 2, again",
        "  one after the other",
    ]
    assert all(row["cpu"] >= 0 and row["wall"] > 0 for row in rows)
    assert all(row["name"] in capsys.readouterr().out for row in rows[:1])


def test_the_ratio_is_that_of_processor_time(monkeypatch, capsys):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(sweeps, "_cpu", lambda: next(clock))
    assert sweeps.Rows(None).measure("a peer", lambda: None, times=5, beside=4.0) == 10.0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "2.50"


def test_a_task_that_runs_programs_is_refused(monkeypatch):
    monkeypatch.setattr(logistic, "_COMPILED_FROM", 1)
    with pytest.raises(ValueError, match="60 x 6 x 2: its fits are programs"):
        sweeps.main(["--only", "layers", "--shapes", "60,6,2"])
