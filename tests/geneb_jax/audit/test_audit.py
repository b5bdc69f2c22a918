from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from geneb_jax.audit.audit import audit_task
from geneb_jax.audit.findings import audit_row, rule_rows, verdict
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.config import AuditSettings
from geneb_jax.tasks.task import Split, Task


def task(train, test):
    splits = [Split([s for s, _ in rows], np.array([y for _, y in rows])) for rows in (train, test)]
    return Task(TaskInfo("mine", "mine", CUSTOM, CUSTOM), *splits)


TRAIN = [
    ("AAACCCGGGTTTACGATC", 0),
    ("CATTTAGGATCCAAGTCA", 1),
    ("ACTAGGACCTTGGCAT", 1),
    ("AGGACTACCTTGGCAT", 0),  # the row above with ACTA and GGA the other way round
    ("GTCCATGACGTTAGCAGATC", 1),
    ("GTCCATGACGTTAGCAGATC", 0),
]
TEST = [
    ("aaacccgggtttacgatc", 0),  # the first of train
    ("TGACTTGGATCCTAAATG", 0),  # the other strand of the second, which is 1
    ("AGGACTACCTTGGCAT", 1),  # a copy of one of the twins, with the other label
    ("ACTACCTAGGTTGGCA", 0),  # nothing
    ("GTCCATGACCTTAGCAGATC", 1),  # one edit
    ("ACCTTGGACTAGGCAT", 0),  # a twin of both twins
]


@pytest.fixture(scope="module")
def toy():
    return audit_task(task(TRAIN, TEST))


def test_a_toy_set_is_counted_as_by_hand(toy):
    wanted = {
        "n_train": 6,
        "n_test": 6,
        "copies": 3,
        "copies_same_label": 1,
        "copies_other_label": 2,
        "duplicates_train": 1,
        "duplicates_test": 0,
        "conflicts_train": 1,
        "twins": 1,
        "twin_agreement": 0.5,
        "twin_pairs_train": 1,
        "twin_agreement_train": 0.0,
        "near_edits": 1,
        "near": 1,
        "no_11mer": 0,
    }
    assert {name: toy.counts[name] for name in wanted} == wanted
    assert toy.marks.tolist() == [1, 1, 1, 0, 3, 2]


def test_rules_of_the_toy_set_are_those_by_hand(toy):
    rules = {rule.name: rule for rule in toy.rules}
    copy = rules["copy"]  # says 0, 1, 0 of the copies and is right once; on train each other one's
    assert (copy.coverage, copy.accuracy) == (0.5, pytest.approx(1 / 3))
    on_train = [0, 0, 0, 0, 0, 1]  # each of the last two says the other's label; 0 elsewhere
    assert copy.train_MCC == pytest.approx(matthews_corrcoef([0, 1, 1, 0, 1, 0], on_train))
    opposite = rules["opposite_twin"]  # the twins of train contradict each other
    assert opposite.train_MCC > 0
    assert (opposite.coverage, opposite.accuracy) == (pytest.approx(1 / 6), 0)
    assert [row["name"] for row in rule_rows(toy) if row["chosen"]] == [toy.chosen().name]


def test_labels_that_train_lacks_are_never_right():
    found = audit_task(task([("ACGTACGTACGT", 0), ("CCCCAAAATTTT", 1)], [("ACGTACGTACGT", 2)]))
    copy = next(rule for rule in found.rules if rule.name == "copy")
    assert (copy.coverage, copy.accuracy) == (1, 0)
    assert found.counts["copies_other_label"] == 1


def test_a_file_in_the_order_of_its_labels_is_no_shortcut_of_a_model():
    rng = np.random.default_rng(1)
    rows = [("".join(rng.choice(list("ACGT"), 30)), i // 200) for i in range(400)]
    found = audit_task(task(rows, rows[::4]))
    position = next(rule for rule in found.rules if rule.name == "position")
    assert position.train_MCC > 0.9
    assert position.train_MCC > found.chosen().train_MCC


@pytest.mark.parametrize(
    ("copied", "median", "word"),
    [(0, None, "passed"), (4, None, "passed"), (5, None, "caution"), (10, None, "leaky"),
     (0, 0.41, "passed"), (0, 0.39, "caution"), (0, 0.2, "leaky"), (0, -0.1, "passed")],
)  # fmt: skip
def test_verdicts(toy, copied, median, word):
    rule = replace(toy.rules[0], train_MCC=0.2, MCC=0.2)
    found = replace(toy, counts={**toy.counts, "n_test": 100, "copies": copied, "near": 0},
                    rules=[rule])  # fmt: skip
    assert verdict(found, median).word == word
    said = "There are no published scores of the task to compare a rule with."
    reasons = verdict(found, median).reasons
    if word == "passed":
        assert reasons == ([said] if median is None else [])
    else:
        assert reasons and said not in reasons
    assert audit_row(found, median)["verdict"] == word


@pytest.mark.parametrize(
    ("MCC", "word"), [(0.49, "passed"), (0.5, "caution"), (0.99, "caution"), (1.0, "leaky")]
)
def test_a_rule_that_answers_a_task_without_published_scores_is_told(toy, MCC, word):
    rule = replace(toy.rules[0], train_MCC=MCC, MCC=MCC)
    counts = {**toy.counts, "n_test": 100, "copies": 0, "near": 0}
    found = verdict(replace(toy, counts=counts, rules=[rule]), None)
    assert found.word == word
    told = [
        "Without a model, 'copy' (the label of its copies in train) reaches an MCC of "
        f"{MCC:.3f} on the test records.",
        "It answers 50% of them; all others are given one class.",
        "The task has no published scores, so this is compared with 1, a perfect MCC.",
    ]
    assert (found.reasons[:3] == told) == (word != "passed")


def test_reasons_are_short_sentences_of_one_fact_each(toy):
    rule = replace(toy.rules[0], train_MCC=0.577, MCC=0.282, coverage=0.1, accuracy=0.93,
                   lowest_MCC=0.04, highest_MCC=0.284)  # fmt: skip
    counts = {**toy.counts, "n_test": 1000, "copies": 60, "near": 0}
    found = replace(toy, counts=counts, rules=[rule])
    reasons = verdict(found, 0.3).reasons
    assert reasons == [
        "60 of 1,000 test records are copies of train records.",
        "Without a model, 'copy' (the label of its copies in train) reaches an MCC of 0.282 on the "
        "test records.",
        "It answers 10% of them; all others are given one class.",
        "Depending on that class, its MCC lies between 0.04 and 0.28.",
        "93% of its answers are right.",
        "The median of the published models is 0.300.",
        "On train records 'copy' reaches 0.577, the most of all rules; on test it fails.",
        "Train and test differ in what it reads.",
    ]
    assert audit_row(found, 0.3)["reasons"] == " ".join(reasons)


@pytest.mark.parametrize(
    ("train_MCC", "MCC", "n_test", "fails"),
    # The limits by hand: half of 0.6, and three standard errors of 1 / sqrt(n).
    [(0.6, 0.29, 400, True), (0.6, 0.31, 400, False), (0.6, 0.0, 26, True), (0.6, 0.0, 24, False),
     (0.14, -0.02, 400, True), (0.12, -0.02, 400, False)],
)  # fmt: skip
def test_a_chosen_rule_that_fails_on_test_is_explained(toy, train_MCC, MCC, n_test, fails):
    copy, other = (replace(rule, coverage=0.25) for rule in toy.rules[:2])
    rules = [
        replace(copy, train_MCC=train_MCC, MCC=MCC),
        replace(other, train_MCC=0.1, MCC=0.05),
        replace(other, name="position", train_MCC=1.0, MCC=1.0),
    ]
    found = replace(toy, counts={**toy.counts, "n_test": n_test, "copies": 0, "near": 0},
                    rules=rules)  # fmt: skip
    assert verdict(found, 0.9).reasons == fails * [
        "Without a model, 'copy' (the label of its copies in train) reaches an MCC of "
        f"{MCC:.3f} on the test records.",
        "It answers 25% of them; all others are given one class.",
        f"On train records 'copy' reaches {train_MCC:.3f}, the most of all rules; "
        "on test it fails.",
        "Train and test differ in what it reads.",
        "Of the rules that do not fail, 'twin' is the best on train: 0.100 there, 0.050 on test.",
    ]
    assert verdict(found, 0.9).word == "passed"


def test_thresholds_can_be_set(toy):
    assert verdict(toy, None).word == "leaky"  # four of six
    assert verdict(toy, None, AuditSettings(leaky_copies=1.0)).word == "caution"
    assert verdict(toy, None, AuditSettings(leaky_copies=1.5)).word == "passed"
    said = "4 of 6 test records are copies (3) or near copies (1) of train records."
    assert verdict(toy, None).reasons[0] == said
