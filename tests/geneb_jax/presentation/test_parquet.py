import sys

import numpy as np
import pandas as pd
import pytest
from score_rows import table

from geneb_jax.presentation.parquet import (
    by_file_name,
    write_predictions_parquet,
    write_scores_parquet,
)
from geneb_jax.scoring.scores import COLUMNS, OPTIONAL, complete, read_scores, write_scores

parquet = pytest.importorskip("pyarrow.parquet")
HEADS = {
    "regime": ["full", "1shot"], "probe": ["logistic"] * 2, "solver": ["geneb"] * 2,
    "standardised": [False, True], "class_weight": ["none"] * 2, "selection": ["none"] * 2,
    "C": [1.0, 0.1], "seed": [13, 17],
}  # fmt: skip


def save(path, scores):
    path.parent.mkdir(parents=True, exist_ok=True)
    heads = {name: np.array(values) for name, values in HEADS.items()}
    labels, predictions = np.array([0, 1, 1]), np.array([[0, 1, 0], [1, 1, 1]])
    values = {} if scores is None else {"scores": scores}
    np.savez(path, labels=labels, predictions=predictions, **values, **heads)


def test_scores_have_the_columns_and_values_of_the_csv(tmp_path):
    scores = complete(table({"MCC": 1 / 3}, {"seed": 17, "AUROC": float("nan"), "model": 'Ü, "x'}))
    write_scores(scores, tmp_path / "scores.csv")
    read = read_scores(tmp_path / "scores.csv")
    write_scores_parquet(read, tmp_path / "a.parquet")
    found = parquet.read_table(tmp_path / "a.parquet")
    assert found.column_names == [name for name in COLUMNS if name not in OPTIONAL]
    assert found["AUROC"].null_count == 1
    frame = found.to_pandas().astype(dict.fromkeys(found.column_names, object))
    pd.testing.assert_frame_equal(frame, read.astype(object), check_dtype=False)
    kinds = {str(found.schema.field(name).type) for name in ("seed", "C", "converged")}
    assert kinds == {"int64", "double", "bool"}


def test_the_same_scores_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_scores_parquet(complete(table({}, {"seed": 17})), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_predictions_are_a_row_a_head_and_test_row(tmp_path):
    folder = tmp_path / "predictions"
    two = np.arange(6, dtype=np.float32).reshape(2, 3)
    three = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    save(folder / "m_random" / "t.npz", two)
    save(folder / "m_random" / "corrected-float32-0-mean" / "t.npz", three)
    names = {"m_random": "m:random"}, {"t": "my task"}
    rows, without = write_predictions_parquet(tmp_path, *names, tmp_path / "p.parquet")
    assert without == 0
    found = parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert rows == len(found) == 12
    assert found[6 + 4] == {
        "model": "m:random", "representation": "", "task": "my task", "regime": "1shot",
        "probe": "logistic", "solver": "geneb", "standardised": True, "class_weight": "none",
        "selection": "none", "C": 0.1, "seed": 17, "row": 1, "label": 1, "prediction": 1,
        "scores": [4.0],
    }  # fmt: skip
    assert found[2]["representation"] == "corrected-float32-0-mean"
    assert found[2]["scores"] == [6.0, 7.0, 8.0] and found[2]["prediction"] == 0
    before = (tmp_path / "p.parquet").read_bytes()
    write_predictions_parquet(tmp_path, *names, tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").read_bytes() == before


def test_predictions_without_decision_values_are_rows_too(tmp_path):
    save(tmp_path / "predictions" / "m" / "labels alone.npz", None)
    save(tmp_path / "predictions" / "m" / "t.npz", np.ones((2, 3), np.float32))
    assert write_predictions_parquet(tmp_path, {}, {}, tmp_path / "p.parquet") == (12, 1)
    found = parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["scores"] for row in found] == [None] * 6 + [[1.0]] * 6
    assert [row["prediction"] for row in found] == [0, 1, 0, 1, 1, 1] * 2


def test_damaged_predictions_are_named_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match=r"holds no .*config\.save_predictions=True"):
        write_predictions_parquet(tmp_path, {}, {}, tmp_path / "p.parquet")
    save(tmp_path / "predictions" / "m" / "a.npz", np.zeros((2, 3), np.float32))
    (tmp_path / "predictions" / "m" / "b.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"b\.npz: no predictions of a run"):
        write_predictions_parquet(tmp_path, {}, {}, tmp_path / "p.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]


def test_without_pyarrow_the_mend_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'geneb-jax\[parquet\]'"):
        write_scores_parquet(complete(table({})), tmp_path / "a")


def test_names_are_found_by_their_files():
    assert by_file_name(["a:random", "b"]) == {"a_random": "a:random", "b": "b"}
