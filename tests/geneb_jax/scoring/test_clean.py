from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from score_rows import table
from sklearn import metrics

from geneb_jax.audit.findings import TaskAudit, label_digest
from geneb_jax.benchmark import GENEB
from geneb_jax.scoring.clean import clean_rows, clean_scores
from probes import METRICS
from probes.metrics import COUNTS

TASK = GENEB.tasks[0].id
HEAD = {"regime": "full", "probe": "logistic", "solver": "geneb", "standardised": False,
        "class_weight": "none", "selection": "none", "C": 1.0}  # fmt: skip


def audit(marks, labels):
    counts = {"n_test": len(marks)}
    return TaskAudit(TASK, "Chromatin Acc.", counts, [], np.array(marks, np.int8),
                     label_digest(labels))  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    """Labels, predictions and decision values of two heads on 120 rows, 60 of them clean."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    values = (rng.normal(size=(2, 120)) + labels).astype(np.float32)
    save(tmp_path, labels, values > 0, scores=values)
    return tmp_path, labels, values, audit([0, 1] * 60, labels)


def scores_of(kept):
    """Rows of scores.csv of the two heads."""
    _, labels, values, _ = kept
    return table(*(
        {"model": "m", "task": TASK, "seed": seed,
         "MCC": metrics.matthews_corrcoef(labels, value > 0)}
        for seed, value in zip((13, 17), values, strict=True)
    ))  # fmt: skip


def save(folder, labels, predicted, **more):
    heads = {name: np.array([value] * 2) for name, value in HEAD.items()}
    np.savez(folder / f"{TASK}.npz", labels=labels, predictions=predicted.astype(np.int64),
             seed=np.array([13, 17]), **heads, **more)  # fmt: skip


def test_clean_scores_are_those_of_scikit_learn_on_clean_rows(kept):
    folder, labels, values, found = kept
    clean = clean_scores(scores_of(kept), {TASK: found}, {"m": folder})
    assert clean["seed"].tolist() == [13, 17]
    assert clean["clean"].tolist() == [60, 60] and clean["note"].tolist() == ["", ""]
    for row, value in zip(clean.to_dict("records"), values[:, ::2], strict=True):
        true, predicted = labels[::2], value > 0
        assert row["MCC"] == pytest.approx(metrics.matthews_corrcoef(true, predicted))
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
        assert row["macro_F1"] == pytest.approx(metrics.f1_score(true, predicted, average="macro"))
        balanced = metrics.balanced_accuracy_score(true, predicted)
        assert row["balanced_accuracy"] == pytest.approx(balanced)
        assert row["AUROC"] == pytest.approx(metrics.roc_auc_score(true, value))
        assert row["AUPRC"] == pytest.approx(metrics.average_precision_score(true, value))


def test_every_metric_of_the_tables_has_a_clean_score(kept, monkeypatch):
    """Also one that is added to them: the share of rows of class 1 that are predicted right."""
    folder, labels, values, found = kept
    monkeypatch.setitem(COUNTS, "recall", lambda counts: counts[:, 1, 1] / counts[:, 1].sum(-1))
    monkeypatch.setitem(METRICS, "recall", "Share of the rows of class 1.")
    clean = clean_scores(scores_of(kept), {TASK: found}, {"m": folder})
    assert clean[list(METRICS)].notna().all(axis=None)
    true = labels[::2] == 1
    assert clean["recall"].tolist() == pytest.approx((values[:, ::2] > 0)[:, true].mean(1).tolist())


def test_without_decision_values_there_are_no_areas(kept):
    folder, labels, values, found = kept
    save(folder, labels, values > 0)
    clean = clean_scores(scores_of(kept), {TASK: found}, {"m": folder})
    assert clean["AUROC"].isna().all() and clean["MCC"].notna().all()


def test_predictions_of_other_records_or_heads_are_left_out(kept):
    folder, _, _, found = kept
    scores = scores_of(kept)
    assert clean_scores(scores, {TASK: replace(found, labels="x")}, {"m": folder}).empty
    others = scores.assign(C=10.0)
    assert clean_scores(others, {TASK: found}, {"m": folder}).empty
    assert clean_scores(scores, {}, {"m": folder}).empty
    assert clean_scores(scores, {TASK: found}, {"m": folder / "none"}).empty


def test_predictions_that_do_not_give_the_scores_have_no_clean_ones(kept, caplog):
    folder, *_, found = kept
    scores = scores_of(kept)
    scores.loc[1, "MCC"] += 0.01  # one head of the two: the file is of other scores
    with caplog.at_level("INFO"):
        assert clean_scores(scores, {TASK: found}, {"m": folder}).empty
    assert f"no clean scores of 'm' on '{TASK}': the predictions are not kept" in caplog.text


def test_too_few_clean_rows_and_missing_classes_have_no_scores(kept):
    folder, labels, _, _ = kept
    few = audit([1] * 71 + [0] * 49, labels)
    clean = clean_scores(scores_of(kept), {TASK: few}, {"m": folder})
    assert clean["MCC"].isna().all() and pd.isna(clean["accuracy"]).all()
    assert clean["note"].unique().tolist() == ["49 clean test records; 50 are needed"]
    one = audit(np.where(labels == 1, 1, 0), labels)
    assert clean_rows(one, labels).why_not == "no clean test record has the label 1"
