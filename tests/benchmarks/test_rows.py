import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.processes import ROOT
from benchmarks.rows import Rows, keep, read_rows


def test_a_row_is_printed_in_its_columns_and_kept_whole(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    rows = Rows({"name": "6s", "seconds": "6.2f", "iterations": "3d"}, out)
    rows.add({"name": "a", "seconds": np.float32(1.5), "iterations": (1, np.int64(20)), "more": 3})
    rows.add({"name": "longer name", "seconds": None, "iterations": "none"})
    assert capsys.readouterr().out.splitlines() == [
        "name    seconds  iterations",
        "a          1.50        1 20",
        "longer name                 none",
    ]
    assert read_rows(out) == [
        {"name": "a", "seconds": 1.5, "iterations": [1, 20], "more": 3},
        {"name": "longer name", "seconds": None, "iterations": "none"},
    ]


def test_rows_stand_behind_those_that_are_there(tmp_path):
    out = tmp_path / "rows.jsonl"
    keep(out, {"a": 1})
    Rows({"a": "3"}, out).add({"a": np.int64(2)})
    assert [json.loads(line) for line in out.read_text().splitlines()] == [{"a": 1}, {"a": 2}]


def test_without_a_file_nothing_is_kept_and_nothing_is_there(tmp_path):
    Rows({"a": "3"}).add({"a": 1})
    assert read_rows(None) == read_rows(tmp_path / "none") == []


def test_a_line_that_is_no_row_is_named(tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: no row .*'\{\"a\":'; remove"):
        read_rows(out)


def test_a_row_is_seen_in_a_pipe_as_it_is_measured(tmp_path):
    """A process that dies after a row, without any word to its streams, has printed it."""
    code = (
        "import os, sys; from benchmarks.needs import begin, new_parser; "
        "from benchmarks.rows import Rows; sys.argv = ['x', '--out', sys.argv[1]]; "
        "options = begin(new_parser('')); Rows({'a': '3'}, options.out).add({'a': 7}); os._exit(0)"
    )
    out = tmp_path / "rows.jsonl"
    words = [sys.executable, "-c", code, str(out)]
    printed = subprocess.check_output(words, cwd=ROOT, text=True)
    assert printed.split() == ["a", "7"] and read_rows(out) == [{"a": 7}]
