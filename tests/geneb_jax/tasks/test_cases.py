"""Files of the kinds that people report: each is read right, or refused with file and row."""

import pytest
from shared_data import need

from geneb_jax.audit.copies import describe_copies
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.sequences import read_sequences
from geneb_jax.tasks.task import TaskError


def read(folder):
    (info,) = find_tasks(folder).values()
    return read_task(folder, info)


@pytest.mark.parametrize("name", ["appledouble_tasks", "gz_task", "upper_ext", "ipynb"])
def test_one_good_task_is_found(name):
    task = read(need("cases", name))
    assert task.train.sequences == ["ACGTACGTAC", "GGTTGGTTGG"]
    assert task.train.labels.tolist() == [0, 1]
    assert task.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("name_comma_crash", ["line 2 (row 1) of mine.csv has 5 fields, but the header has 4"]),
        ("name_comma_first", ["of test.csv has 4 fields", "of train.csv has 4 fields"]),
        ("name_comma_label", [f"line {n} (row {n - 1}) of train.csv has 4" for n in (3, 4, 5)]),
        ("r_row_names", ["has 4 fields, but the header has 3", "row.names = FALSE"]),
        ("wrapped", ["sequence 'ACGTAC\\nGTACAA' in row 1 of mine.csv holds white space"]),
        ("kmer_spaced", ["in row 1 of mine.csv holds white space"]),
    ],
)
def test_task_is_refused(name, words):
    with pytest.raises(TaskError) as error:
        read(need("cases", name))
    for word in words:
        assert word in str(error.value)


def test_conflicting_labels_are_counted():
    row = describe_copies(read(need("cases", "conflicting_labels")))
    assert row["conflicting in train"] == 1
    assert row["conflicting in test"] == 0
    assert row["conflicting in train and test"] == 1


def test_soft_masked_letters_are_kept():
    task = read(need("cases", "lower_case", "tasks"))
    assert all(sequence.islower() for sequence in task.train.sequences)


def test_long_fields_are_read():
    _, sequences = read_sequences(need("cases", "csv_field_limit", "long.csv"))
    assert max(map(len, sequences)) == 140_000


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["csv_name_commas", "regions.csv"], "line 2 (row 1) of"),
        (["gz_corrupt", "damaged.fa.gz"], "damaged.fa.gz cannot be read: "),
    ],
)
def test_records_are_refused(parts, words):
    with pytest.raises(ValueError) as error:
        read_sequences(need("cases", *parts))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fasta_dup_names", "1 record names are repeated, first 's1'"),
        ("fasta_odd", "4 of 4 records hold letters other than A, C, G, T and N"),
    ],
)
def test_records_are_read_with_a_warning(name, words, caplog):
    read_sequences(need("cases", name, "a.fa"))
    (record,) = caplog.records
    assert words in record.getMessage()
