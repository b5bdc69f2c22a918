import subprocess
import sys

import numpy as np
import pandas as pd
import pytest


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
    assert done.returncode == 2
    assert "task 'bad': label 'x' in row 3 of bad.csv" in done.stderr
    assert "good" in done.stdout


def test_names_in_brackets_are_printed_whole(tmp_path, command):
    rows = "text,label,split\nACG,0,train\nGG,1,train\nA,0,test\n"
    (tmp_path / "a[red]b :dna:.csv").write_text(rows)
    assert "a[red]b :dna:" in command("tasks", "--tasks_dir", tmp_path).stdout


def write_task(folder, name, seed=0):
    """A task of which four of twenty test records are copies of train records."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(80)]
    rows = [(text, i % 2, "train" if i < 60 else "test") for i, text in enumerate(texts)]
    rows[60:64] = [(texts[i], i % 2, "test") for i in range(4)]
    lines = [",".join(map(str, row)) for row in [("text", "label", "split"), *rows]]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def test_an_audit_is_written_and_printed(tmp_path, command):
    folder, out = tmp_path / "tasks", tmp_path / "out"
    folder.mkdir()
    write_task(folder, "mine")
    write_task(folder, "same")
    done = command("tasks", "--audit", "--tasks_dir", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out / "audit.csv")
    assert {"task", "n_train", "n_test", "copies", "copies_other_label", "twins", "twin_agreement",
            "near_50", "verdict"} <= set(table)  # fmt: skip
    first = table.iloc[0]
    assert (first["task"], first["n_train"], first["n_test"], first["copies"]) == (
        "mine",
        60,
        20,
        4,
    )
    assert first["verdict"] == "leaky"
    assert "leaky: mine: 4 of 20 test records are copies of train records" in done.stdout
    rules = pd.read_csv(out / "rules.csv")
    assert rules.groupby("task")["chosen"].sum().tolist() == [1, 1]
    across = pd.read_csv(out / "copies_across.csv")
    row = across.query("task == 'mine' and split == 'test'").iloc[0]
    assert (row["other_task"], row["copies"], row["same_label"]) == ("same", 20, 20)
    assert (out / "audit" / "mine.json").is_file()
    assert (out / "audit.png").stat().st_size > 1000


def test_thresholds_of_an_audit_are_options(tmp_path, command):
    write_task(tmp_path, "mine")
    words = ("tasks", "--audit", "--tasks_dir", tmp_path, "--out", tmp_path / "out")
    command(*words, "--leaky_copies", "0.5", "--leaky_median", "2")
    assert pd.read_csv(tmp_path / "out" / "audit.csv")["verdict"].tolist() == ["passed"]
    with pytest.raises(SystemExit, match="2"):
        command(*words, "--leaky_copies", "-1")


def test_an_audit_needs_a_folder(tmp_path, command):
    done = command("tasks", "--audit")
    assert done.returncode == 2 and "--out=DIR" in done.stderr
    done = command("tasks", "--out", tmp_path)
    assert done.returncode == 2 and "--audit" in done.stderr
