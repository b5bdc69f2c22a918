import numpy as np
import pytest
from score_rows import table
from sklearn.metrics import matthews_corrcoef

from geneb_jax.audit.findings import TaskAudit, label_digest
from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.cleaning import clean_tables
from geneb_jax.uncertainty.other_records import REPLICATES, record_replicates

HEAD = {"regime": "full", "probe": "logistic", "solver": "geneb", "standardised": False,
        "class_weight": "none", "selection": "none", "C": 1.0, "seed": 13}  # fmt: skip
TASKS = GENEB.tasks[:3]


@pytest.fixture
def run(tmp_path):
    """Two models on three tasks: the second is right on the records that are not clean alone."""
    rng = np.random.default_rng(0)
    rows, audits, expected = [], [], {}
    for number, info in enumerate(TASKS):
        labels = rng.integers(0, 2, 200)
        marks = np.where(np.arange(200) < (180 if number == 2 else 80), 1, 0).astype(np.int8)
        audits.append(TaskAudit(info.id, info.category, {"n_test": 200}, [], marks,
                                label_digest(labels)))  # fmt: skip
        noisy = rng.random(200) < 0.25
        guesses = rng.integers(0, 2, 200)
        predicted = {"a": np.where(noisy, 1 - labels, labels),
                     "b": np.where(marks == 1, labels, guesses)}  # fmt: skip
        for model, values in predicted.items():
            folder = tmp_path / model
            folder.mkdir(exist_ok=True)
            columns = {name: np.array([value]) for name, value in HEAD.items()}
            np.savez(folder / f"{info.id}.npz", labels=labels, predictions=values[None], **columns)
            MCC = matthews_corrcoef(labels, values)
            named = {"model": model, "task": info.id, "category": info.category}
            rows.append({**named, "MCC": MCC})
            clean = marks == 0
            expected[model, number] = matthews_corrcoef(labels[clean], values[clean])
    return table(*rows), audits, {"a": tmp_path / "a", "b": tmp_path / "b"}, expected


def test_macro_clean_is_over_the_same_tasks_for_all_models(run):
    scores, audits, folders, expected = run
    tables = clean_tables(scores, audits, folders)
    board = tables["clean_leaderboard"].set_index("model")
    categories = [info.category for info in TASKS[:2]]
    for model in "ab":
        per_task = [expected[model, 0], expected[model, 1]]
        by_category = [np.mean([s for s, c in zip(per_task, categories, strict=True) if c == name])
                       for name in dict.fromkeys(categories)]  # fmt: skip
        assert board.loc[model, "macro_clean"] == pytest.approx(np.mean(by_category))
        assert board.loc[model, "low"] < board.loc[model, "macro_clean"] < board.loc[model, "high"]
    assert board["tasks"].tolist() == [2, 2] and board["left out"].tolist() == [1, 1]
    assert board["clean rank"].to_dict() == {"a": 1, "b": 2}
    left = tables["clean_tasks"].set_index("task")
    assert left.loc[TASKS[2].id, "note"] == "20 clean test records; 50 are needed"
    assert left["test"].tolist() == [200] * 3 and left["clean"].tolist() == [120, 120, 20]


def test_intervals_of_a_regime_are_the_same_whatever_others_there_are(tmp_path):
    rng = np.random.default_rng(1)
    regimes, seeds = ["full", "10shot", "10shot"], [13, 13, 17]
    rows, audits, drawn = [], [], []
    for info in TASKS:
        labels, marks = rng.integers(0, 2, 300), np.where(np.arange(300) < 60, 1, 0).astype(np.int8)
        audits.append(TaskAudit(info.id, info.category, {"n_test": 300}, [], marks,
                                label_digest(labels)))  # fmt: skip
        predicted = np.where(rng.random((3, 300)) < 0.3, 1 - labels, labels)
        heads = {name: np.array([value] * 3) for name, value in HEAD.items()}
        heads |= {"regime": np.array(regimes), "seed": np.array(seeds)}
        np.savez(tmp_path / f"{info.id}.npz", labels=labels, predictions=predicted, **heads)
        rows += [{"model": "a", "task": info.id, "category": info.category, "regime": regime,
                  "seed": seed, "MCC": matthews_corrcoef(labels, head)}
                 for regime, seed, head in zip(regimes, seeds, predicted, strict=True)]  # fmt: skip
        # All clean rows of 10shot alone, with the share of the prior that the task has.
        category = [other.category for other in TASKS].count(info.category)
        share = 1 / (category * len({other.category for other in TASKS}))
        clean, few = marks == 0, predicted[1:]
        own = np.random.default_rng([*info.id.encode()])
        asked = labels[clean], few[:, clean], REPLICATES, own, [share]
        (values,) = record_replicates(*asked)
        drawn.append((values.mean(1, keepdims=True), share))
    scores = table(*rows)
    together, alone = (
        clean_tables(each, audits, {"a": tmp_path})["clean_leaderboard"].set_index("regime")
        for each in (scores, scores[scores["regime"] == "10shot"])
    )
    assert together.index.tolist() == ["full", "10shot"]
    ends = ["macro_clean", "low", "high"]
    ours = together.loc["10shot", ends].to_numpy(float)
    assert np.allclose(ours, alone.loc["10shot", ends].to_numpy(float), atol=1e-5)
    means = sum(values * share for values, share in drawn)[:, 0]
    # The jackknife widens replicates of so many rows by some per cent at most.
    assert np.allclose(ours[1:], np.quantile(means, [0.025, 0.975]), atol=0.005)
    full = together.loc["full", ends].to_numpy(float)
    assert full[2] - full[1] > ours[2] - ours[1]  # of one head, not of the mean of two
    # Where a regime lacks a task, the weights of the others differ between regimes.
    there = scores[(scores["regime"] != "full") | (scores["task"] != TASKS[2].id)]
    board = clean_tables(there, audits, {"a": tmp_path})["clean_leaderboard"].set_index("regime")
    assert board["tasks"].to_dict() == {"full": 2, "10shot": 3}
    assert np.allclose(board.loc["10shot", ends].to_numpy(float), ours, atol=0.005)


def test_without_predictions_there_are_no_tables(run):
    scores, audits, _, _ = run
    assert clean_tables(scores, audits, {}) == {}


def test_a_model_without_clean_scores_of_enough_tasks_is_named(run, caplog):
    scores, audits, folders, _ = run
    path = folders["b"] / f"{TASKS[0].id}.npz"
    path.unlink()
    with caplog.at_level("INFO"):
        board = clean_tables(scores, audits, folders)["clean_leaderboard"]
    assert board["model"].tolist() == ["a"] and board["tasks"].tolist() == [2]
    assert f"no clean scores of 'b' on '{TASKS[0].id}'" in caplog.text
    assert "as their clean scores are of too few tasks: 'b'" in caplog.text
