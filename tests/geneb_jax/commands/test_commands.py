import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import geneb_jax
from geneb_jax.benchmark import GENEB
from geneb_jax.commands import main

GOLDEN = Path(__file__).parents[2] / "golden"
MODEL = "nucleotide-transformer-v2-50m-multi-species"


@pytest.fixture
def command(capsys):
    """Runs the command in this process."""

    def run(*arguments):
        code = main([*map(str, arguments)])
        text = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=text.out, stderr=text.err)

    return run


def test_definition_without_data():
    done = subprocess.run(
        [sys.executable, "-m", "geneb_jax", "tasks", "--tasks", "sentinel"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "13 of 100 tasks" in done.stdout
    assert "iDHS-EL_DNase_I" in done.stdout


def test_description_of_a_folder(tmp_path, command):
    (tmp_path / "mine.csv").write_text("text,label,split\nACG,0,train\nGG,1,train\nA,0,test\n")
    done = command("tasks", "--tasks_dir", tmp_path, "--csv", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert row["id"] == "mine"
    assert row["category"] == "custom"
    assert row["max length"] == 3
    assert row["train sha256"][:12] in done.stdout


def test_bad_files_are_named_and_the_others_described(tmp_path, command):
    good = "text,label,split\nACG,0,train\nGG,1,train\nA,0,test\n"
    (tmp_path / "good.csv").write_text(good)
    (tmp_path / "bad.csv").write_text(good.replace("0,test", "x,test"))
    done = command("tasks", "--tasks_dir", tmp_path)
    assert done.returncode == 1
    assert "task 'bad': label 'x' in row 3 of bad.csv" in done.stderr
    assert "good" in done.stdout


def test_tables_of_the_published_scores_and_of_submissions(tmp_path, command):
    folder = tmp_path / "submissions"
    folder.mkdir()
    cell = {"MCC": 0.99, "Acc": 0.9, "F1": 0.9}
    results = {"full": {task.id: cell for task in GENEB.tasks[:2]}}
    content = {"schema_version": GENEB.schema_version, "model_id": "mine", "results": results}
    (folder / "mine.json").write_text(json.dumps(content))
    done = command("tables", "--submissions", folder, "--published", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    board = pd.read_csv(tmp_path / "out" / "tables" / "leaderboard.csv", index_col="model")
    assert len(board) == 41
    assert board.index[0] == "mine"
    assert "these are not the published scores" in done.stdout
    (folder / "bad.json").write_text("{}")
    done = command("tables", "--submissions", folder, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("bad.json: schema_version is None")


def test_embeddings_of_a_file_are_the_original_codes(tmp_path, command):
    fixture = GOLDEN / MODEL
    records = json.loads((fixture / "cases.json").read_text())["sequences"]
    (tmp_path / "x.fa").write_text("".join(f">r{i}\n{s}\n" for i, s in enumerate(records)))
    out = tmp_path / "x.npz"
    done = command(
        "embed", "--model", MODEL, "--checkpoints_dir", GOLDEN, "--input", tmp_path / "x.fa",
        "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check = json.loads((fixture / "meta.json").read_text())["check"]
    with np.load(out) as found, np.load(fixture / "golden.npz") as golden:
        expected = golden[check["corrected"]["pooled"]]
        assert found["ids"].tolist() == [f"r{i}" for i in range(len(records))]
        np.testing.assert_allclose(
            found["embeddings"], expected, rtol=check["rtol"], atol=check["pooled_atol"]
        )
        api = geneb_jax.embed(MODEL, records, checkpoints_dir=GOLDEN)
        np.testing.assert_array_equal(api, found["embeddings"])


def test_several_views_are_named_and_bad_ones_refused(tmp_path, command):
    (tmp_path / "x.txt").write_text("ACGTAC\nGGG\n")
    known = ("embed", "--model", f"{MODEL}:random:tiny", "--input", tmp_path / "x.txt")
    out = tmp_path / "x.npz"
    done = command(*known, "--out", out, "--taps=-1,0", "--poolings", "mean,last")
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        views = {"-1/mean", "-1/last", "0/mean", "0/last"}
        assert set(found) == {"ids"} | views
        assert {found[view].shape for view in views} == {(2, 32)}
    done = command(*known, "--out", out, "--taps=all")
    with np.load(out) as found:
        assert set(found) == {"ids", "-1/mean", "0/mean", "1/mean", "2/mean"}
    assert (
        "--taps: 'x' is no number; valid: -1 final"
        in command(*known, "--out", out, "--taps=0,x").stderr
    )
    assert "no hidden state 7" in command(*known, "--out", out, "--taps=7").stderr
    assert "ends with .npz" in command(*known, "--out", tmp_path / "x.npy").stderr
    assert "no such folder" in command(*known, "--out", tmp_path / "none" / "x.npz").stderr
