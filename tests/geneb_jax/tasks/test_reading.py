import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        (GOOD.replace("0,train", "0.5,train").replace("1,", "1.0,"), ["label '0.5' in row 1"]),
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
        (GOOD.replace("1,train", "yes,train"), ["but label '0' in row 1 of mine.csv is"]),
        (GOOD.replace("0,", "no,").replace("1,", "0.5,"), ["label '0.5' in row 2", "integer"]),
        (GOOD.replace("0,", "no,").replace("1,", ","), ["label '' in row 2", "is missing"]),
        (GOOD.replace("0,", "no,").replace("1,", "NaN,"), ["label 'NaN' in row 4", "is missing"]),
        (GOOD.replace("CCCC,1", "CCCC,²"), ["label '²' in row 4"]),
        (
            GOOD.replace("0,", "a,").replace("1,train", "b,train").replace("1,", "c,"),
            ["test has labels that train lacks: ['c'], first in row 4 of mine.csv"],
        ),
        (
            GOOD.replace("ACGT", '"AC\nGT"'),
            ["sequence 'AC\\nGT' in row 1 of mine.csv", "white space"],
        ),
        (
            GOOD.replace("ACGT", '"AC\nGT"').replace("GGTT", "GG7T"),
            ["sequence 'GG7T' in row 2 (line 4) of mine.csv holds the character '7' at position 3"],
        ),
        (GOOD.replace("ACGT", '"AC,GT"'), ["row 1 of mine.csv holds the character ','"]),
        (GOOD.replace("ACGT", "<b>A</b>"), ["row 1 of mine.csv holds the character '<'"]),
        (GOOD.replace("ACGT", "ACG\u0422"), ["row 1 of mine.csv holds the character '\u0422'"]),
        (GOOD.replace("ACGT", "ACGT" * 20 + "#"), ["ACGT... (81 letters)' in row 1"]),
        (
            "name,text,label,split\nchr1:1,000,ACGT,0,train\nx,GGTT,1,test\n",
            ["line 2 (row 1) of mine.csv has 5 fields, but the header has 4"],
        ),
        ("text,text,label,split\nA,C,0,train\n", ["2 columns for one thing: text, text"]),
        ("text,label,target,split\nA,0,1,train\n", ["2 columns for one thing: label, target"]),
        (GOOD.encode().replace(b"GG", b"G\0"), ["a NUL byte in line 3"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(TaskError) as error:
        read_task(write(tmp_path, text), INFO)
    for word in ["task 'mine'", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("end", [".0", ".00"])
def test_whole_numbers_written_as_floats_are_integers(tmp_path, end):
    written = GOOD.replace("0,t", f"0{end},t").replace("1,t", f"1{end},t")
    task = read_task(write(tmp_path / "flat", written), INFO)
    assert task.classes is None
    assert task.train.labels.tolist() == task.test.labels.tolist() == [0, 1]
    # pandas writes each file by its own values.
    write(tmp_path / "two", f"text,label\nACGT,0{end}\nGGTT,-1{end}\n", "mine/train.csv")
    write(tmp_path / "two", "text,label\nAAAA,0\nCCCC,-1\n", "mine/test.csv")
    task = read_task(tmp_path / "two", INFO)
    assert task.train.labels.tolist() == task.test.labels.tolist() == [0, -1]


def test_whole_numbers_may_be_written_in_both_ways(tmp_path):
    task = read_task(write(tmp_path, GOOD.replace("1,t", "1.0,t")), INFO)
    expected = read_task(write(tmp_path / "plain", GOOD), INFO)
    assert content_digest(task) == content_digest(expected) and task.classes is None


def test_a_missing_label_beside_whole_numbers_is_the_only_problem(tmp_path):
    text = GOOD.replace("0,t", "0.0,t").replace("1,train", ",train").replace("1,t", "1.0,t")
    with pytest.raises(TaskError) as error:
        read_task(write(tmp_path, text), INFO)
    assert str(error.value) == (
        "task 'mine': label '' in row 2 of mine.csv is missing; give the row a class or remove it"
    )


@pytest.mark.parametrize("name", ["mine.tsv", "mine.TSV.gz", "mine.csv.gz", "mine.CSV"])
def test_other_endings_columns_and_cases_hold_the_same_task(tmp_path, name):
    text = GOOD.replace("text,label,split", "Sequence,TARGET,Split")
    text = text.replace(",", "\t") if "tsv" in name.lower() else text
    packed = gzip.compress(text.encode()) if name.endswith("gz") else text
    task = read_task(write(tmp_path / "other", packed, name), INFO)
    assert content_digest(task) == content_digest(read_task(write(tmp_path, GOOD), INFO))
    assert task.classes is None


def test_rows_are_numbered_as_in_the_file(tmp_path):
    task = read_task(write(tmp_path, GOOD.replace("ACGT,", "acgT,") + "TTTT,0,train\n"), INFO)
    assert task.train.sequences == ["acgT", "GGTT", "TTTT"]
    assert task.train.rows is not None
    assert task.train.rows.tolist() == [1, 2, 5]


def test_text_labels_are_numbered_in_sorted_order_of_both_splits(tmp_path):
    text = "text,label,split\nA,weak,train\nC, none ,train\nG,strong,train\nT,weak,test\n"
    task = read_task(write(tmp_path, text), INFO)
    assert task.classes == {"none": 0, "strong": 1, "weak": 2}
    assert task.train.labels.tolist() == [2, 0, 1]
    assert task.test.labels.tolist() == [2]


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Dev"])
def test_a_validation_split_is_left_out_and_said_once(tmp_path, caplog, name):
    rows = f"TTTT,9,{name}\nTTTA,9,{name}\n"
    flat = read_task(write(tmp_path / "flat", GOOD + rows), INFO)
    (record,) = caplog.records
    assert "task 'mine': 2 validation rows are left out" in record.getMessage()
    caplog.clear()
    nested = tmp_path / "nested"
    write(nested, "sequence,label\nACGT,0\nGGTT,1\n", "mine/train.csv")
    write(nested, "sequence,label\nAAAA,0\nCCCC,1\n", "mine/test.csv")
    write(nested, "sequence,label\nTTTT,9\n", f"mine/{name}.csv")
    assert content_digest(read_task(nested, INFO)) == content_digest(flat)
    (record,) = caplog.records
    assert f"task 'mine': {name}.csv is left out: a validation split" in record.getMessage()


def test_labels_that_differ_in_case_alone_are_said(tmp_path, caplog):
    text = "text,label,split\n" + "".join(
        f"ACGT,{label},{split}\n" for split in ("train", "test") for label in ("Pos", "neg", "pos")
    )
    task = read_task(write(tmp_path, text), INFO)
    assert task.classes == {"Pos": 0, "neg": 1, "pos": 2}
    (record,) = caplog.records
    assert record.getMessage() == (
        "task 'mine': labels 'Pos' and 'pos' differ in their case alone, and are 2 classes"
    )


def test_a_blank_line_between_rows_is_said(tmp_path, caplog):
    task = read_task(write(tmp_path, GOOD.replace("GGTT", "\nGGTT") + "\n"), INFO)
    assert task.train.sequences == ["ACGT", "GGTT"]
    (message,) = caplog.messages
    assert message.startswith("mine.csv: 1 blank line between its rows, first line 3: ")


def test_unusual_letters_are_kept_and_said(tmp_path, caplog):
    task = read_task(write(tmp_path, GOOD.replace("GGTT", "GGT-*RU")), INFO)
    assert task.train.sequences == ["ACGT", "GGT-*RU"]
    (record,) = caplog.records
    assert "1 of 2 records hold letters other than A, C, G, T and N (* - R U)" in record.message
    assert "first record 2" in record.message
    assert record.message.endswith("the file is read as it is, and a model may not know them")


def test_letters_that_are_prepared_are_not_said(tmp_path, caplog):
    task = read_task(write(tmp_path, GOOD.replace("GGTT", "GGuU")), INFO, "dna")
    assert task.train.sequences == ["ACGT", "GGuU"]
    assert not caplog.messages
    for letters, text, named in (("dna", "GGRU", "R"), ("upper", "ggru", "r u")):
        caplog.clear()
        read_task(write(tmp_path, GOOD.replace("GGTT", text)), INFO, letters)
        (message,) = caplog.messages
        assert f"({named}), first record 2; letters={letters} keeps these, and a model" in message


@given(st.one_of(st.binary(), st.binary().map(lambda tail: GOOD.encode() + tail)))
def test_random_bytes_are_a_task_or_refused(tmp_path_factory, content):
    folder = write(tmp_path_factory.getbasetemp() / "random", content)
    try:
        task = read_task(folder, INFO)
    except TaskError as error:
        assert all(line.startswith("task 'mine': ") for line in str(error).split("\n"))
        return
    assert len(task.train.sequences) == len(task.train.labels) > 1
    assert all(task.train.sequences)


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
