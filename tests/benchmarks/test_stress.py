import time

import pytest

from benchmarks import stress
from benchmarks.stress import Figure, Stress

KILLS = 5


@pytest.mark.slow
def test_a_disturbed_run_ends_as_an_undisturbed_one(tmp_path):
    disturbed = Stress(tmp_path, seed=0)
    until = time.monotonic() + 1200
    while disturbed.figure.kills < KILLS and time.monotonic() < until:
        disturbed.round(KILLS, until)
    assert not disturbed.figure.faults
    assert disturbed.figure.kills >= KILLS and disturbed.figure.finished >= 1
    assert disturbed.figure.torn.total() > 0 and disturbed.figure.differing == 0
    for name, files in disturbed.expected.items():
        assert {"work/scores.csv", "work/run.json", "work/submissions/kmer-2.json"} <= set(files)
        stores = "work/embeddings/" if name == "report" else "embeddings/"
        keys = [file for file in files if file.startswith(stores) and "." not in file[-20:]]
        # Both ports embed every record of the tasks, of which each is there once.
        records = len(stress.TASKS) * sum(stress.ROWS.values())
        assert len(keys) == 2 * records


def test_the_figure_is_a_row():
    figure = Figure(kills=100, signals=7, restarts=120, finished=9, faults=["what"])
    figure.torn.update(["cells", "cells", "keys"])
    row = figure.row()
    assert [row[name] for name in stress.COLUMNS if name != "seconds"] == [
        100, 7, 3, 120, 9, 0, 1, 0,
    ]  # fmt: skip
    assert row["kinds"] == {"cells": 2, "keys": 1} and row["words"] == ["what"]
