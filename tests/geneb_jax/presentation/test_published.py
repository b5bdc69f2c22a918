import numpy as np

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.published import (
    model_labels,
    paper,
    published_leaderboard,
    published_results,
)
from model_ports.catalog import entries


def test_published_results_hold_every_cell_once():
    results = published_results()
    assert len(results) == 40 * 100 * 3
    assert not results.duplicated(["model", "regime", "task"]).any()
    assert set(results["task"]) == {task.id for task in GENEB.tasks}
    assert set(results["model"]) == {entry.paper_name for entry in entries().values()}
    assert results["MCC"].between(-1, 1).all()


def test_published_scores_average_to_the_published_leaderboard():
    results, board = published_results(), published_leaderboard()
    for regime in GENEB.regimes:
        rows = results[results["regime"] == regime]
        by = rows.pivot_table(index="model", columns="category", values="MCC")
        theirs = board.xs(regime, level="regime").loc[by.index]
        np.testing.assert_allclose(by[list(GENEB.categories)], theirs[list(GENEB.categories)],
                                   atol=1e-6)  # fmt: skip
        np.testing.assert_allclose(by.mean(axis=1), theirs["macro"], atol=1e-6)
        np.testing.assert_allclose(rows.groupby("model")["MCC"].mean(), theirs["micro"], atol=1e-6)


def test_labels_of_both_versions():
    first, fourth = model_labels("v1"), model_labels("v4")
    assert list(first.index) == list(fourth.index)
    assert len(first) == 40
    assert (first["params"] > 1e6).all()
    changed = (first != fourth).any(axis=1)
    assert {name for name in first.index if changed[name]} == {
        entry.paper_name for entry in entries().values() if entry.labels_paper_v1
    }


def test_the_papers_lists_name_models_of_the_catalog():
    known = {entry.paper_name for entry in entries().values()}
    named = {name for pairs in paper()["pairs"].values() for a, b, _ in pairs for name in (a, b)}
    named |= {name for pair in paper()["human_versus_multi_species"] for name in pair}
    named |= {*paper()["out_of_domain"], *paper()["absolute_drop"], *paper()["specialisation"]}
    assert named <= known
    assert sum(map(len, paper()["pairs"].values())) == 30
    assert set(paper()["size_correlation"]) == set(GENEB.categories)
