import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

from geneb_jax.audit.records import encode
from geneb_jax.audit.shortcut_probes import judge_shortcut
from geneb_jax.audit.shortcuts import SHORTCUTS, Features, Side
from probes.sampling import stratified_carve


def records(rng, classes):
    """Records whose length and letters go with their class."""
    return [
        "A" * (5 * y) + "".join(rng.choice(list("ACGT"), 20 + int(rng.integers(0, 40))))
        for y in classes
    ]


def by_scikit_learn(features, rows, classes, other_rows, other_classes):
    """Labels that scikit-learn's probe on every record predicts of others."""
    head = LogisticRegression(max_iter=1000).fit(features.rows[rows], classes)
    predicted = head.predict(features.rows[other_rows])
    right = np.mean(predicted == other_classes)
    return matthews_corrcoef(other_classes, predicted), right


@pytest.mark.parametrize("name", ["length", "gc", "composition", "ends"])
@pytest.mark.parametrize("labels", [2, 3])
def test_shortcuts_are_judged_by_the_probe_of_scikit_learn(name, labels):
    rng = np.random.default_rng(labels)
    classes, test_classes = (rng.integers(0, labels, n) for n in (200, 150))
    texts, test_texts = records(rng, classes), records(rng, test_classes)
    features = SHORTCUTS[name](Side(texts, encode(texts)), Side(test_texts, encode(test_texts)))
    rule = judge_shortcut(name, features, classes, test_classes)
    MCC, right = by_scikit_learn(features, features.train, classes, features.test, test_classes)
    assert (rule.MCC, rule.accuracy) == (pytest.approx(MCC), pytest.approx(right))
    assert (rule.lowest_MCC, rule.highest_MCC, rule.coverage) == (rule.MCC, rule.MCC, 1)
    carved = stratified_carve(classes, 0.15, 0)
    MCC, _ = by_scikit_learn(
        features, features.train[~carved], classes[~carved], features.train[carved], classes[carved]
    )
    assert rule.train_MCC == pytest.approx(MCC)


def test_records_of_a_label_that_train_lacks_do_not_count():
    features = Features(np.eye(2, dtype=np.float32), np.array([0, 1] * 20), np.array([0, 1, 1]))
    classes = np.array([0, 2] * 20)
    rule = judge_shortcut("length", features, classes, np.array([0, 2, 1]))
    assert (rule.MCC, rule.accuracy) == (1, 1)
    rule = judge_shortcut("length", features, classes, np.array([1, 1, 1]))
    assert rule.MCC == 0 and np.isnan(rule.accuracy)


def test_constant_features_answer_nothing():
    features = Features(np.eye(3, dtype=np.float32), np.ones(40, int), np.array([0, 1, 2]))
    rule = judge_shortcut("length", features, np.arange(40) % 2, np.array([0, 1, 1]))
    assert (rule.train_MCC, rule.MCC) == (0, 0) and np.isnan(rule.accuracy)
