import re
import subprocess
from pathlib import Path

import pytest

from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.folder import task_files, task_ids
from geneb_jax.tasks.reading import read_task
from geneb_jax.tasks.task import TaskError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_tables_of_every_ending_and_folders_are_tasks(tmp_path):
    touch(
        tmp_path, "a.csv", "b.CSV", "c.tsv.gz", "E.coli.csv", "gue/train.csv", "gue/dev.csv",
        "gue/test.csv", "upper/Train.TSV", "upper/TEST.csv.gz", "half/test.csv",
    )  # fmt: skip
    assert task_ids(tmp_path) == ["E.coli", "a", "b", "c", "gue", "half", "upper"]
    assert task_files(tmp_path, "E.coli") == [(tmp_path / "E.coli.csv", None)]
    found = [(path.name, split) for path, split in task_files(tmp_path, "gue")]
    assert found == [("dev.csv", "validation"), ("test.csv", "test"), ("train.csv", "train")]
    found = [(path.name, split) for path, split in task_files(tmp_path, "upper")]
    assert found == [("TEST.csv.gz", "test"), ("Train.TSV", "train")]
    with pytest.raises(TaskError, match=r"half\.csv nor .*half/train\.csv is there"):
        task_files(tmp_path, "half")


def test_what_is_skipped_is_said_once_with_the_reason(tmp_path, caplog):
    touch(
        tmp_path, "mine.csv", "._mine.csv", ".ipynb_checkpoints/train.csv", "notes.xlsx",
        "empty/readme.md", "two/train.csv", "two/test.csv", "two/more.csv", "two/._train.csv",
        "1.md", "2.md", "3.md",
    )  # fmt: skip
    assert task_ids(tmp_path) == ["mine", "two"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    for words in (
        "skipped ._mine.csv, .ipynb_checkpoints, two/._train.csv: hidden",
        "skipped 1.md, 2.md, 3.md and 1 more: not a table; valid endings: .csv",
        "skipped empty/: a folder without train.csv and test.csv",
        "skipped two/more.csv: not a table named train, test",
    ):
        assert sum(words in message for message in said) == 1, words


def test_files_of_sequences_alone_are_told_what_a_task_is(tmp_path, caplog):
    touch(
        tmp_path, "pos.fa", "neg.FASTA.gz", "r.fq", "x.bed", "one/train.fna", "one/test.fna",
        "two/train.csv", "two/test.csv", "two/more.fastq", "two/.x.fa",
    )  # fmt: skip
    assert task_ids(tmp_path) == ["two"]
    assert caplog.messages == [
        f"{tmp_path}: skipped neg.FASTA.gz, one/, pos.fa and 2 more: not a table: FASTA and FASTQ "
        "have no place for labels; write TASK.csv with the columns sequence, label and split "
        "(docs/running.md has a script)",
        f"{tmp_path}: skipped two/.x.fa: hidden",
        f"{tmp_path}: skipped x.bed: not a table; valid endings: .csv, .tsv, .csv.gz, .tsv.gz, "
        ".parquet",
    ]


def test_the_script_of_the_docs_makes_a_task_of_fasta_files(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "running.md").read_text()
    (script,) = re.findall(r"## A task from FASTA files\n.*?```bash\n(.*?)```", page, re.DOTALL)
    for name, sequences in {"promoters": ["AC\nGT", "GG"], "others": ["TT", "CA"]}.items():
        records = zip(("train", "test"), sequences, strict=True)
        for split, sequence in records:
            (tmp_path / f"{name}_{split}.fa").write_text(f">a b\n{sequence}\n")
    subprocess.run(["bash", "-ec", script], cwd=tmp_path, check=True)
    task = read_task(tmp_path / "my_tasks", TaskInfo("promoters", "promoters", CUSTOM, CUSTOM))
    assert task.classes == {"others": 0, "promoters": 1}
    assert dict(zip(task.train.sequences, task.train.labels, strict=True)) == {"ACGT": 1, "TT": 0}
    assert dict(zip(task.test.sequences, task.test.labels, strict=True)) == {"GG": 1, "CA": 0}


def test_folders_of_tasks_one_level_deeper_are_said(tmp_path, caplog):
    touch(tmp_path, "EMP/H3/train.csv", "EMP/H3/test.csv", "prom/tata/test.csv", "notes/1/a.txt")
    assert task_ids(tmp_path) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: skipped EMP/, prom/: a folder of tasks itself; give it, and not the one "
        "above it, as tasks_dir",
        f"{tmp_path}: skipped notes/: a folder without train.csv and test.csv",
    ]
    assert task_ids(tmp_path / "EMP") == ["H3"]


def test_a_folder_of_tasks_is_entered_and_what_is_beside_it_said(tmp_path, caplog):
    touch(tmp_path, "tasks/mine.csv", "other.csv", "README.md")
    assert task_ids(tmp_path) == ["mine"]
    (record,) = caplog.records
    assert "skipped other.csv: beside the folder tasks, which is read" in record.getMessage()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["mine.csv", "mine.tsv"], "mine.csv and mine.tsv are both there; keep one"),
        (["mine.csv", "mine.csv.gz"], "mine.csv and mine.csv.gz"),
        (["mine.csv", "mine/train.csv", "mine/test.csv"], "mine.csv and mine/train.csv"),
        (["mine/train.csv", "mine/train.tsv", "mine/test.csv"], "mine/train.csv and mine/train.ts"),
    ],
)
def test_two_files_of_one_task_are_refused(tmp_path, names, words):
    with pytest.raises(TaskError) as error:
        task_files(touch(tmp_path, *names), "mine")
    assert str(error.value).startswith("task 'mine': ")
    assert words in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TaskError, match="none: no such folder"):
        task_ids(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("=cmd", "task '=cmd': begins with '=', as formulas of spreadsheets do; rename the file"),
        ("+1", "begins with '+'"),
        ("-x", "begins with '-'"),
        ("@x", "begins with '@'"),
        ("a\nb", r"task 'a\nb': holds a control character"),
        ("\tx", "holds a control character"),
    ],
)
def test_names_that_spreadsheets_or_terminals_act_on_are_refused(tmp_path, name, words):
    (tmp_path / f"{name}.csv").write_text("text,label,split\n")
    with pytest.raises(TaskError) as error:
        task_files(tmp_path, name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
