import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import scores_of, write_run

from geneb_jax.benchmark import GENEB
from geneb_jax.commands.submission import number_of_parameters


def test_a_pull_request_is_written_where_nothing_is_wrong(tmp_path, command):
    write_run(tmp_path / "run", tasks_dir="somewhere")
    out = tmp_path / "out"
    words = ("submission", tmp_path / "run", "--model", "kmer-4", "--out", out)
    done = command(*words)
    assert done.returncode == 2 and not done.stdout and not out.exists()
    assert done.stderr.splitlines() == [
        "the scores are of the task files in somewhere, and whether these are GENEB's is not "
        "known; say so with --genebs-tasks",
        "meta.submitted_by is '', nobody's name; say it with --submitted-by",
        "2 problems keep 'kmer-4' from being submitted; nothing is written",
    ]
    words = (*words, "--genebs-tasks")
    done = command(*words, "--submitted-by", "A. Person", "--zero-shot", "--id", "four")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == str(out / "submissions" / "four.json") and len(lines) == 7
    assert "say that the tasks are GENEB's by your word" in lines[5]
    content = json.loads((out / "submissions" / "four.json").read_text())
    assert content["model_id"] == "four" and content["meta"]["zero_shot"] is True
    done = command(*words, "--submitted-by", "A. Person")
    assert done.returncode == 2 and "name a new folder" in done.stderr


def test_every_problem_is_a_line(tmp_path, command):
    write_run(tmp_path / "run", scores_of("kmer-4", tasks=GENEB.tasks[:2]))
    done = command("submission", tmp_path / "run", "--model", "kmer-4", "--out", tmp_path / "o")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 + 1 + 1
    assert lines[0] == f"task '{GENEB.tasks[2].id}' and 97 more: no scores in full, 10shot, 1shot"
    assert lines[-1] == "2 problems keep 'kmer-4' from being submitted; nothing is written"
    assert not (tmp_path / "o").exists()
    done = command("submission", tmp_path / "run", "--model", "kmer-5", "--out", tmp_path / "o")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("71184", 71_184), ("71,184", 71_184), ("3_000_000", 3_000_000), ("3B", 3 * 10**9),
        ("50M", 50 * 10**6), ("1.2b", 1_200_000_000), ("0.1B", 100_000_000), ("650 k", 650_000),
        ("0", 0),
    ],
)  # fmt: skip
def test_parameters_are_counted_as_people_write_them(text, number):
    assert number_of_parameters(text) == number


@pytest.mark.parametrize(
    "text", ["", "three", "3G", "-3", "1.5", "3 B M", "1e9", "0.0001k", "1,2M"]
)
def test_other_texts_are_no_number_of_parameters(text):
    with pytest.raises(argparse.ArgumentTypeError, match="write it as 3B, 50M, 650k or 71184"):
        number_of_parameters(text)


@given(st.integers(0, 10**12))
def test_a_number_of_parameters_is_read_as_written(number):
    assert number_of_parameters(str(number)) == number_of_parameters(f"{number:,}") == number


@given(st.text(alphabet="0123456789.,_kMB -e", max_size=12))
def test_a_text_is_a_number_of_parameters_or_is_refused(text):
    try:
        assert number_of_parameters(text) >= 0
    except argparse.ArgumentTypeError as error:
        assert "no number of parameters" in str(error)
