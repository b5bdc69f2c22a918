import pytest
from run_folders import KMER_CARD, record_of

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.genebs_tasks import (
    contradictions,
    in_lines,
    source_of_tasks,
    unanswered,
)
from geneb_jax.tasks.sizes import published_sizes

# Classes as the sources state them: 9 variants of SARS-CoV-2; the 40 species are a guess.
COVID, SPECIES = "GUE virus covid", "GUE virus species 40"
LABELS = {task.label: task.id for task in GENEB.tasks}


def record(tasks_dir="tasks"):
    return record_of({"kmer-4": {}}, {"kmer-4": KMER_CARD}, {"kmer-4": {}}, tasks_dir=tasks_dir)


def changed(label, train_rows, test_rows=30_000):
    """Returns run.json's facts with other rows of the classes of one task."""
    made = record()
    split = made["tasks"][LABELS[label]]
    split["train"] |= {"rows": sum(train_rows), "class_rows": train_rows}
    split["test"] |= {"rows": test_rows}
    return made


def test_files_with_the_published_numbers_contradict_nothing():
    assert contradictions(record()) == {}


@pytest.mark.parametrize(
    ("label", "classes", "text"),
    [
        ("NT H3", 2, ""),
        ("NT H3", 3, "3 classes, not 2"),
        (COVID, 9, ""),
        (COVID, 8, "8 classes, not 9"),
        (SPECIES, 2, "2 classes, not some 40"),
        (SPECIES, 19, "19 classes, not some 40"),
        (SPECIES, 25, ""),
        (SPECIES, 80, ""),
        (SPECIES, 81, "81 classes, not some 40"),
    ],
)
def test_classes_are_those_that_are_published(label, classes, text):
    found = contradictions(changed(label, [1000] * classes))
    assert found == (
        {LABELS[label]: [(
            "its file in config.tasks_dir has another number of classes than GENEB's", text
        )]} if text else {}
    )  # fmt: skip


# NT H3 has 13,468 + 1,497 = 14,965 records, of which a tenth is 1,496.5
@pytest.mark.parametrize(("train", "test", "few"), [(1000, 496, True), (1000, 497, False)])
def test_a_tenth_of_the_records_is_needed(train, test, few):
    found = contradictions(changed("NT H3", [train // 2] * 2, test))
    assert bool(found) == few
    if few:
        assert list(in_lines(found)) == [
            f"task '{LABELS['NT H3']}' (1,496 of some 14,965 records): its file in "
            "config.tasks_dir has fewer than 10% of the records of GENEB's"
        ]


def test_tasks_with_the_same_problems_share_a_line():
    found = {"a": [("few", "1 of 2"), ("other", "")], "b": [("few", "3 of 9"), ("other", "")],
             "c": [("other", "")]}  # fmt: skip
    assert list(in_lines(found)) == ["task 'a' (1 of 2) and 1 more: few; other", "task 'c': other"]


def test_a_run_of_an_older_version_says_what_to_do():
    made = record()
    for task in made["tasks"].values():
        for split in ("train", "test"):
            del task[split]["class_rows"]
    (line,) = in_lines(contradictions(made))
    assert line.startswith(f"task '{GENEB.tasks[0].id}' and 99 more: run.json does not say what")


def test_tasks_of_the_hub_are_genebs():
    made = record("")
    made["tasks"][LABELS[COVID]]["train"]["class_rows"] = [1, 1]
    assert contradictions(made) == {}
    assert list(unanswered(made, said=False)) == []
    assert "read from files" not in source_of_tasks(made)


def test_nobody_knows_of_files_until_somebody_says_so():
    (line,) = unanswered(record(), said=False)
    assert "the task files in tasks" in line and "--genebs-tasks" in line
    assert list(unanswered(record(), said=True)) == []
    assert "read from files" in source_of_tasks(record())
    whole = record()
    for facts, size in zip(whole["tasks"].values(), published_sizes(), strict=True):
        facts["train"]["rows"], facts["test"]["rows"] = size.train, size.test
    assert source_of_tasks(whole).endswith("their numbers of records and classes.")
    facts["train"]["rows"], facts["test"]["rows"] = size.train // 3, size.test // 3
    assert source_of_tasks(whole).endswith(
        "and classes; 1 with less than half of the records that their sources state."
    )
