from dataclasses import replace

import numpy as np
import pytest

from geneb_jax.benchmark import CUSTOM, GENEB, TaskInfo
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.task import TaskError, content_digest

GOOD = "text,label,split\nACGT,0,train\nGGTT,1,train\nAAAA,0,test\nCCCC,1,test\n"
INFO = TaskInfo("mine", "mine", CUSTOM, CUSTOM)


def write(folder, text, name="mine.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_both_layouts_hold_the_same_task(tmp_path):
    flat = read_task(write(tmp_path / "flat", GOOD), INFO)
    nested = tmp_path / "nested"
    write(nested, "label,text,more\n0,ACGT,x\n1,GGTT,y\n", "tasks/mine/train.csv")
    write(nested, "text,label\nAAAA,0\nCCCC,1\n", "tasks/mine/test.csv")
    other = read_task(nested, INFO)
    assert content_digest(flat) == content_digest(other)
    assert flat.train.sequences == ["ACGT", "GGTT"]
    assert flat.test.labels.tolist() == [0, 1]
    assert flat.test.labels.dtype == np.int64


def test_quotes_bom_crlf_and_white_space(tmp_path):
    rows = ["\ufeffsplit,text,label", 'train," ACGT ",0', "train,GGTT, 1", "test,A,+1", "test,C,-0"]
    text = "".join(f"{row}\r\n" for row in rows)
    task = read_task(write(tmp_path, text), INFO)
    assert task.train.sequences == ["ACGT", "GGTT"]
    assert task.test.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("text,label\nA,0\n", ["mine.csv has no column split", "text, label"]),
        (GOOD.replace("0,test", "0,holdout"), ["split 'holdout' in row 3 of mine.csv"]),
        (GOOD.replace("1,train", "yes,train"), ["label 'yes' in row 2 of mine.csv", "integer"]),
        (GOOD.replace("1,train", "1.0,train"), ["label '1.0' in row 2"]),
        (GOOD.replace("ACGT", "  "), ["sequence '' in row 1 of mine.csv is empty"]),
        (GOOD.replace("GGTT,1", "GGTT,0"), ["every train row has label 0", "lacks: [1]"]),
        (GOOD.replace("CCCC,1", "CCCC,7"), ["test has labels that train lacks: [7]"]),
        ("", ["mine.csv is empty"]),
        ("text,label,split\n", ["a header and no rows"]),
        (GOOD.replace("test", "train"), ["there are no test rows"]),
        (GOOD.encode() + b"\xff\xfe,0,test\n", ["not UTF-8 in row 5"]),
        (GOOD + 'A,0,"train\n', ["not a CSV file"]),
        (
            GOOD.replace("ACGT,0", ",x") + "A,y,test\n",
            ["sequence '' in row 1", "label 'x' in row 1", "label 'y' in row 5"],
        ),
        (GOOD + "A,z,test\n" * 9, ["label 'z' in row 7", "and 6 more such rows"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(TaskError) as error:
        read_task(write(tmp_path, text), INFO)
    for word in ["task 'mine'", *words]:
        assert word in str(error.value)


def test_class_absent_from_test_is_only_a_warning(tmp_path):
    task = read_task(write(tmp_path, GOOD.replace("CCCC,1", "CCCC,0")), INFO)
    assert task.test.labels.tolist() == [0, 0]


@pytest.mark.parametrize("task_id", ["../mine", "a/b", "..", ""])
def test_ids_do_not_leave_the_folder(tmp_path, task_id):
    write(tmp_path, GOOD)
    with pytest.raises(TaskError, match="not a file name"):
        read_task(tmp_path / "inner", replace(INFO, id=task_id))


def test_missing_task_says_where_it_is_looked_for(tmp_path):
    with pytest.raises(TaskError, match=r"mine\.csv nor .*train\.csv"):
        read_task(tmp_path, INFO)


def test_found_tasks_are_the_benchmarks_and_custom_ones(tmp_path):
    known = GENEB.tasks[40]
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, f"{known.id}.csv")
    assert list(find_tasks(tmp_path).values()) == [known, INFO]
