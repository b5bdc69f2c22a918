"""What is said of records that models do not see in full, counted by hand."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from absl import logging as absl_logging

import geneb_jax
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.embedding.kmers import KmerSource
from geneb_jax.embedding.unseen import (
    Finding,
    by_model,
    find_unseen,
    say_unseen,
    unseen_by_reason,
)
from geneb_jax.tasks.task import Split, Task

INFO = TaskInfo("mine", "mine", CUSTOM, CUSTOM)
TRAIN = ["ACGT", "ACNT", "acgt", "AC", "NNGNN"]
TEST = ["GGTT", "GURY"]
TASK = Task(
    INFO,
    Split(TRAIN, np.array([0, 1, 0, 1, 0]), np.array([1, 2, 4, 5, 6])),
    Split(TEST, np.array([0, 1])),
)


@pytest.fixture
def said(caplog):
    """What a function says at a level."""

    def of(level, call, *arguments):
        absl_logging.set_verbosity(absl_logging.INFO)
        with caplog.at_level(logging.INFO, "absl"):
            caplog.clear()
            call(*arguments)
        return [line.getMessage() for line in caplog.records if line.levelno == level]

    yield of
    absl_logging.set_verbosity(absl_logging.WARNING)


def test_kmers_tell_letters_that_they_skip_and_records_without_a_window():
    # No 3-mer: AC is short, NNGNN has none, ACNT none without N, and GURY none.
    unknown, none = find_unseen("kmer-3", KmerSource("kmer-3", 3).unseen, [TASK])
    assert (unknown.kind, unknown.count, unknown.records) == ("unknown letters", 3, 7)
    assert (unknown.letters, unknown.first) == ("NRUY", "train row 2")
    assert (none.kind, none.count, none.first) == ("no token", 4, "train row 2")
    assert by_model([unknown, none]) == {
        "kmer-3": {
            "mine": {
                "unknown letters": {
                    "records": 3, "of": 7, "first": "train row 2", "letters": "NRUY",
                },
                "no token": {"records": 4, "of": 7, "first": "train row 2"},
            }
        }
    }  # fmt: skip


def test_rows_without_a_file_are_counted_from_one():
    task = replace(TASK, train=Split(["ACGT"], np.array([0])))
    (finding,) = find_unseen("kmer-1", KmerSource("kmer-1", 1).unseen, [task])
    assert (finding.count, finding.records, finding.first) == (1, 3, "test row 2")


def test_a_line_for_each_model_task_and_kind(said):
    findings = find_unseen("kmer-3", KmerSource("kmer-3", 3).unseen, [TASK])
    assert said(logging.WARNING, say_unseen, findings) == [
        "model 'kmer-3', task 'mine': 3 of 7 records (43 %) hold letters other than A, C, G and T, "
        "and no 3-mer with one is counted (N, R, U, Y; first: train row 2); see --config.letters",
        "model 'kmer-3', task 'mine': 4 of 7 records (57 %) hold no 3-mer, and all of their "
        "features are 0 (first: train row 2)",
    ]
    assert said(logging.INFO, say_unseen, findings) == []


def finding(model, task, count, kind="unknown letters", letters="acgt"):
    return Finding(model, task, kind, "are odd", count, 1000, "train row 1", letters)


def test_many_tasks_are_summed_up_by_model(said):
    findings = [finding("A", f"t{i}", 10 * i) for i in range(1, 12)]
    findings += [finding("B", "t1", 999, letters="N")]
    assert said(logging.WARNING, say_unseen, findings) == [
        "model 'A', 11 tasks: 660 of 11,000 records (6 %) are odd (a, c, g, t; most in 't11', "
        "11 %); see --config.letters",
        "model 'B', task 't1': 999 of 1,000 records (> 99 %) are odd (N; first: train row 1)",
    ]


def test_many_models_are_counted(said):
    findings = [finding(f"m{i}", "t", i + 1) for i in range(40)]
    lines = said(logging.WARNING, say_unseen, findings)
    assert len(lines) == 11
    assert lines[9].startswith("model 'm9', task 't': 10 of 1,000 records (1 %)")
    assert lines[10] == "... and 30 more such lines; run.json and the report have all"


def test_cut_records_are_told_once_a_model_and_are_no_warning(said):
    findings = [finding("A", f"t{i}", 500, "cut", "") for i in range(30)]
    assert said(logging.WARNING, say_unseen, findings) == []
    assert said(logging.INFO, say_unseen, findings) == [
        "model 'A', 30 tasks: 15,000 of 30,000 records (50 %) are odd (most in 't0', 50 %)"
    ]


def test_models_of_which_the_same_is_said_share_a_line(said):
    names = ["A", "A:both", "A:random-1", "A:random-2", "B"]
    findings = [
        finding(name, task, 500, kind, letters)
        for name in names
        for task, kind, letters in (("t1", "cut", ""), ("t2", "cut", ""), ("t1", "unknown", "N"))
    ]
    findings.append(finding("B", "t2", 1, letters="N"))
    assert said(logging.INFO, say_unseen, findings) == [
        "models 'A', 'A:both', 'A:random-1' and 1 more, 2 tasks: 1,000 of 2,000 records (50 %) are "
        "odd (most in 't1', 50 %)",
        "model 'B', 2 tasks: 1,000 of 2,000 records (50 %) are odd (most in 't1', 50 %)",
    ]
    assert said(logging.WARNING, say_unseen, findings)[0] == (
        "models 'A', 'A:both', 'A:random-1' and 1 more, task 't1': 500 of 1,000 records (50 %) are "
        "odd (N; first: train row 1)"
    )


def test_embed_warns_and_prepares(said):
    lines = said(logging.WARNING, geneb_jax.embed, "kmer-1", ["ACGT", "GUGU", "UUUU"])
    assert lines == [
        "model 'kmer-1': 2 of 3 records (67 %) hold letters other than A, C, G and T, and no 1-mer "
        "with one is counted (U; first: sequences[1]); see letters (--letters)",
        "model 'kmer-1': 1 of 3 records (33 %) hold no 1-mer, and all of their features are 0 "
        "(first: sequences[2])",
    ]
    assert geneb_jax.embed("kmer-1", ["GUGU"], letters="as-is").tolist() == [[0, 0, 1, 0]]
    assert geneb_jax.embed("kmer-1", ["GugU"], letters="dna").tolist() == [[0, 0, 0.5, 0.5]]
    with pytest.raises(ValueError, match="letters is 'rna'; valid: as-is, upper, dna"):
        geneb_jax.embed("kmer-1", ["GU"], letters="rna")  # pyright: ignore[reportArgumentType]


def test_what_one_model_does_not_see_is_a_line_a_reason():
    cut, none = "have more than 24 tokens and are cut there", "are too short"
    findings = [
        Finding("m", f"t{number}", "cut", cut, number, 1000, "train row 1", "")
        for number in range(1, 8)
    ]
    findings.append(Finding("m", "t1", "no token", none, 1, 1000, "train row 9", ""))
    assert list(unseen_by_reason(findings)) == [
        f"28 of 7,000 records (< 1 %) {cut} (in 7 tasks, most in 't7', < 1 %)",
        f"1 of 1,000 records (< 1 %) {none} (in 't1')",
    ]
    assert not list(unseen_by_reason([]))
