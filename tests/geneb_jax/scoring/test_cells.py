import os

import pandas as pd
import pytest
from score_rows import table

from geneb_jax.scoring.cells import Cell, gather


def test_rows_come_back_and_are_replaced_by_key(tmp_path):
    cell = Cell(tmp_path / "kmer-4" / "a.json", {"model": {"model": "kmer-4"}, "task": "d"})
    assert cell.read().empty
    cell.add(table({"C": 0.1}, {"C": 1.0, "MCC": 1 / 3}))
    cell.add(table({"C": 1.0, "MCC": 2 / 3}))
    pd.testing.assert_frame_equal(cell.read(), table({"C": 0.1}, {"C": 1.0, "MCC": 2 / 3}))
    rows, aside, prepared = gather(tmp_path, {}, {})
    pd.testing.assert_frame_equal(rows, cell.read())
    assert not aside
    assert not prepared


def test_another_identity_starts_anew(tmp_path):
    path = tmp_path / "kmer-4" / "a.json"
    Cell(path, {"model": "x"}).add(table({"C": 0.1}))
    other = Cell(path, {"model": "y"})
    assert other.read().empty
    other.add(table({"C": 1.0}))
    assert Cell(path, {"model": "x"}).read().empty


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        Cell(path, {}).read()


def identity(weights="w", task="d", **others):
    return {"model": {"model": "M", "weights": weights, **others}, "task": task}


def test_only_rows_of_one_identity_of_models_and_tasks_are_gathered(tmp_path):
    for model, task, known in (
        ("A", "t", identity()),
        ("A", "u", identity(preset="published")),
        ("B", "t", identity("v", task="changed")),
        ("C", "u", identity("old")),
    ):
        Cell(tmp_path / model / f"{task}.json", known).add(table({"model": model, "task": task}))
    rows, aside, _ = gather(tmp_path, {"C": {"model": "M", "weights": "new"}}, {"t": "d"})
    assert list(zip(rows["model"], rows["task"], strict=True)) == [("A", "t"), ("A", "u")]
    assert aside == [("B", "t"), ("C", "u")]


def test_where_nothing_is_given_the_newest_counts(tmp_path):
    for age, (model, digest) in enumerate((("A", "new"), ("B", "old"), ("C", "new"))):
        path = tmp_path / f"{model}.json"
        Cell(path, identity(task=digest)).add(table({"model": model, "task": "t"}))
        os.utime(path, (1000 - age, 1000 - age))
    rows, aside, _ = gather(tmp_path, {}, {})
    assert list(rows["model"]) == ["A", "C"]
    assert aside == [("B", "t")]


def test_tasks_of_prepared_records_are_named(tmp_path):
    for model, task, known in (
        ("A", "t", identity() | {"letters": "upper"}),
        ("A", "u", identity()),
        ("A", "v", identity(task="old") | {"letters": "dna"}),
    ):
        Cell(tmp_path / model / f"{task}.json", known).add(table({"model": model, "task": task}))
    assert gather(tmp_path, {}, {}).prepared == ["t", "v"]
    assert gather(tmp_path, {}, {"v": "d"}).prepared == ["t"]
    assert gather(tmp_path, {}, {"v": "d"}).set_aside == [("A", "v")]
