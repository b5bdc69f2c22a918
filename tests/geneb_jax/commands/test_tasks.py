import subprocess
import sys

import pandas as pd


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
