import pandas as pd
import pytest
from score_rows import table

from geneb_jax.scoring.cells import Cell, read_all


def test_rows_come_back_and_are_replaced_by_key(tmp_path):
    cell = Cell(tmp_path / "kmer-4" / "a.json", {"model": "x"})
    assert cell.read().empty
    cell.add(table({"C": 0.1}, {"C": 1.0, "MCC": 1 / 3}))
    cell.add(table({"C": 1.0, "MCC": 2 / 3}))
    pd.testing.assert_frame_equal(cell.read(), table({"C": 0.1}, {"C": 1.0, "MCC": 2 / 3}))
    (rows,) = read_all(tmp_path)
    assert len(rows) == 2


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
