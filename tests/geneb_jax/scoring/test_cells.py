import json
import os
from pathlib import Path

import pandas as pd
import pytest
from score_rows import row, table

from geneb_jax.scoring.cells import Cell, CellError, cell_path, gather


def cell_of(folder, known, **fields):
    """The cell of a row below a folder."""
    return Cell(folder / cell_path(row(**fields)), known)


def identity(weights="w", task="d", **others):
    return {"model": {"model": "M", "weights": weights, **others}, "task": task}


def test_a_cell_lies_by_model_representation_and_task():
    fields = {"preset": "corrected", "dtype": "bfloat16", "tap": "-1", "pooling": "mean"}
    found = cell_path(row(model="M:random", task="my task", **fields))
    assert found.parts[:2] == ("M_random", "corrected-bfloat16--1-mean")
    assert found.name.startswith("my_task-") and found.suffix == ".json"


def test_rows_come_back_and_are_replaced_by_key(tmp_path):
    cell = cell_of(tmp_path, identity())
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
    Cell(path, identity("x")).add(table({"C": 0.1}))
    other = Cell(path, identity("y"))
    assert other.read().empty
    other.add(table({"C": 1.0}))
    assert Cell(path, identity("x")).read().empty


def change(name, value):
    """A damage: another value of a column in the one row."""

    def damage(content):
        content["rows"][0][content["columns"].index(name)] = value

    return damage


def drop(name):
    def damage(content):
        at = content["columns"].index(name)
        del content["columns"][at], content["rows"][0][at]

    return damage


DAMAGES = {
    "not JSON": None,
    "no identity of the model": lambda c: c.update(identity=[]),
    "no identity of the task": lambda c: c["identity"].pop("task"),
    "no names of columns": lambda c: c.pop("columns"),
    "no column 'seed'": drop("seed"),
    "a column is there twice": lambda c: c.update(
        columns=[*c["columns"], "C"], rows=[[*c["rows"][0], 1.0]]
    ),
    "no rows": lambda c: c.update(rows={}),
    "a row has not one value a column": lambda c: c["rows"][0].pop(),
    "model '3' is no text": change("model", 3),
    "seed '13' is no integer": change("seed", "13"),
    "converged '1' is no truth": change("converged", 1),
    "C nan is not a positive number": change("C", float("nan")),
    "MCC 2.0 is not in -1 .. 1": change("MCC", 2.0),
    "its checksum is not that of its content": change("MCC", 0.123),
    "a head is there twice": lambda c: c.update(rows=c["rows"] * 2),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_file_is_named_and_counts_as_missing(tmp_path, caplog, words):
    cell = cell_of(tmp_path, identity())
    cell.add(table({"C": 0.1}))
    good = cell.read()
    content = json.loads(cell.path.read_text())
    if DAMAGES[words]:
        DAMAGES[words](content)
    cell.path.write_text(json.dumps(content) if DAMAGES[words] else '{"identity')
    assert cell.read().empty
    assert gather(tmp_path, {}, {}).rows.empty
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert record.getMessage().startswith(f"{cell.path}: ")
        assert words in record.getMessage()
        assert len(record.getMessage().splitlines()) == 1
    cell.add(table({"C": 0.1}))
    pd.testing.assert_frame_equal(cell.read(), good)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"MCC": -1.5}, "MCC -1.5 is not in -1 .. 1"),
        ({"accuracy": -0.03}, "accuracy -0.03 is not in 0 .. 1"),
        ({"MCC": float("nan")}, "MCC nan is missing"),
        ({"probe": None}, "probe 'None' is no text"),
    ],
)
def test_rows_that_reading_would_refuse_are_not_written(tmp_path, fields, words):
    cell = cell_of(tmp_path, identity())
    cell.add(table({"C": 0.1}))
    before = cell.path.read_bytes()
    with pytest.raises(CellError, match=f"it could not be read: {words}"):
        cell.add(table({"C": 1.0} | fields))
    assert cell.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"\xff\xfe", b"[1]", b"[" * 10**5])
def test_bytes_that_are_no_cell_count_as_missing(tmp_path, caplog, content):
    cell = cell_of(tmp_path, identity())
    cell.path.parent.mkdir(parents=True)
    cell.path.write_bytes(content)
    assert cell.read().empty
    assert str(cell.path) in caplog.text


def test_foreign_files_and_folders_are_not_read(tmp_path, caplog):
    cell = cell_of(tmp_path, identity())
    cell.add(table({}))
    expected = cell.read()
    content = cell.path.read_bytes()
    for name in (".ipynb_checkpoints/a.json", "._a.json", ".nfs001.json"):
        path = cell.path.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    for name in (".DS_Store", "Thumbs.db", "a.json~", "a.json.bak", "a.json.0123.tmp"):
        (cell.path.parent / name).write_bytes(b"\0")
    pd.testing.assert_frame_equal(gather(tmp_path, {}, {}).rows, expected)
    assert not caplog.records
    copy = cell.path.with_name("copy of it.json")
    copy.write_bytes(content)
    (cell.path.parent / "folder.json").mkdir()
    pd.testing.assert_frame_equal(gather(tmp_path, {}, {}).rows, expected)
    said = [record.getMessage() for record in caplog.records]
    assert sorted(said) == [
        f"{copy}: not read: results of {cell.path}",
        f"{cell.path.parent / 'folder.json'}: cannot be read: Is a directory; it counts as missing",
    ]


def test_a_folder_in_the_way_of_a_cell_is_named(tmp_path):
    cell = cell_of(tmp_path, identity())
    cell.path.mkdir(parents=True)
    assert cell.read().empty
    with pytest.raises(OSError) as error:
        cell.add(table({}))
    assert error.value.filename == str(cell.path)
    assert error.value.strerror == "cannot be written: Is a directory"
    assert [*Path(tmp_path).rglob("*.tmp")] == []


def test_only_rows_of_one_identity_of_models_and_tasks_are_gathered(tmp_path):
    for model, task, known in (
        ("A", "t", identity()),
        ("A", "u", identity(preset="published")),
        ("B", "t", identity("v", task="changed")),
        ("C", "u", identity("old")),
    ):
        cell_of(tmp_path, known, model=model, task=task).add(table({"model": model, "task": task}))
    rows, aside, _ = gather(tmp_path, {"C": {"model": "M", "weights": "new"}}, {"t": "d"})
    assert list(zip(rows["model"], rows["task"], strict=True)) == [("A", "t"), ("A", "u")]
    assert aside == [("B", "t"), ("C", "u")]


def test_where_nothing_is_given_the_newest_counts(tmp_path):
    for age, (model, digest) in enumerate((("A", "new"), ("B", "old"), ("C", "new"))):
        cell = cell_of(tmp_path, identity(task=digest), model=model, task="t")
        cell.add(table({"model": model, "task": "t"}))
        os.utime(cell.path, (1000 - age, 1000 - age))
    rows, aside, _ = gather(tmp_path, {}, {})
    assert list(rows["model"]) == ["A", "C"]
    assert aside == [("B", "t")]


def test_tasks_of_prepared_records_are_named(tmp_path):
    for model, task, known in (
        ("A", "t", identity() | {"letters": "upper"}),
        ("A", "u", identity()),
        ("A", "v", identity(task="old") | {"letters": "dna"}),
        ("A", "w", identity() | {"max_train": 300}),
    ):
        cell_of(tmp_path, known, model=model, task=task).add(table({"model": model, "task": task}))
    assert gather(tmp_path, {}, {}).prepared == ["t", "v", "w"]
    assert gather(tmp_path, {}, {"v": "d"}).prepared == ["t", "w"]
    assert gather(tmp_path, {}, {"v": "d"}).set_aside == [("A", "v")]


def test_a_cell_says_whether_it_holds_rows_of_others(tmp_path):
    cell = cell_of(tmp_path, identity(), model="A", task="t")
    assert not cell.look().of_others
    cell.add(table({"model": "A", "task": "t"}))
    assert not cell.look().of_others
    assert cell_of(tmp_path, identity("new"), model="A", task="t").look().of_others
