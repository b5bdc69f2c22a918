import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from geneb_jax.audit.copies import Votes
from geneb_jax.audit.rules import Said, judge, said_by_votes

NONE = np.zeros((0, 2), np.int64)


def test_majorities_say_and_ties_go_to_the_smaller_label():
    votes = Votes(NONE, np.array([[0, 0], [2, 1], [1, 2], [1, 1]]))
    said = said_by_votes(votes, votes)
    assert said["copy"].test.tolist() == [-1, 0, 1, 0]
    assert said["twin"].test.tolist() == [-1, 0, 1, 0]
    assert said["opposite_twin"].test.tolist() == [-1, 1, 0, 1]


def test_of_three_classes_there_is_no_opposite():
    votes = Votes(np.zeros((0, 3), np.int64), np.array([[0, 1, 1]]))
    assert "opposite_twin" not in said_by_votes(votes, votes)


def test_elsewhere_a_rule_says_what_it_says_least_often_on_train():
    train, test = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1])
    rule = judge(
        "copy", Said(np.array([0, 0, -1, 1, -1]), np.array([0, -1, -1, -1])), train, test, 2
    )
    assert rule.train_MCC == pytest.approx(matthews_corrcoef(train, [0, 0, 1, 1, 1]))
    assert rule.MCC == pytest.approx(matthews_corrcoef(test, [0, 1, 1, 1]))
    assert (rule.coverage, rule.accuracy) == (0.25, 1)


def test_the_class_elsewhere_can_make_a_rule_0_or_1():
    # The negatives are copies: whoever says 1 elsewhere is always right, with 0 never more than.
    test = np.array([0, 0, 1, 1])
    nothing = np.full(4, -1)
    rule = judge("copy", Said(nothing, np.array([0, 0, -1, -1])), test, test, 2)
    assert (rule.MCC, rule.lowest_MCC, rule.highest_MCC) == (0, 0, 1)
    assert (rule.coverage, rule.accuracy) == (0.5, 1)


def test_a_rule_that_covers_nothing_has_no_accuracy():
    classes = np.array([0, 1])
    rule = judge("twin", Said(np.full(2, -1), np.full(2, -1)), classes, classes, 2)
    assert rule.coverage == 0 and np.isnan(rule.accuracy) and rule.MCC == 0
