import numpy as np
import pandas as pd
import pytest
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation import analysis
from geneb_jax.presentation.published import model_labels, published_results

TASKS = {category: [t.id for t in GENEB.tasks if t.category == category]
         for category in GENEB.categories}  # fmt: skip
HISTONE, PROMOTERS = TASKS["Histone Mod."], TASKS["Promoters"]


def results(scores, regime="full"):
    """A results table of {model: {task: MCC}}."""
    categories = {task.id: task.category for task in GENEB.tasks}
    rows = [
        (model, regime, categories.get(task, "custom"), task, mcc, np.nan, np.nan)
        for model, by_task in scores.items()
        for task, mcc in by_task.items()
    ]
    columns = ["model", "regime", "category", "task", "MCC", "accuracy", "macro_F1"]
    return pd.DataFrame(rows, columns=columns)


def labels(**params):
    columns = {"architecture": "T-enc", "tokenization": "BPE", "pretraining": "human"}
    return pd.DataFrame({"params": params} | columns)


def test_macro_averages_categories_and_micro_tasks():
    found = analysis.leaderboard(
        results({"a": {HISTONE[0]: 0.1, HISTONE[1]: 0.3, PROMOTERS[0]: 0.8, "mine": 1.0}})
    )
    assert found.loc["a", "macro full"] == pytest.approx((0.2 + 0.8) / 2)
    assert found.loc["a", "micro full"] == pytest.approx((0.1 + 0.3 + 0.8) / 3)


def test_the_leaderboard_ranks_by_the_first_regime_and_models_without_all_tasks_stand_below():
    full = {
        "a": {HISTONE[0]: 0.1, HISTONE[1]: 0.3},
        "one": {HISTONE[0]: 0.9},
        "b": {HISTONE[0]: 0.2, HISTONE[1]: 0.4},
        "c": {HISTONE[0]: 0.4, HISTONE[1]: 0.2},
    }
    few = {name: {task: 1 - MCC for task, MCC in of_task.items()} for name, of_task in full.items()}
    found = analysis.leaderboard(
        pd.concat([results(few).assign(regime="10shot"), results(full)])
    )  # fmt: skip
    assert list(found.index) == ["b", "c", "a", "one"]
    assert found["rank"].tolist()[:3] == [1.5, 1.5, 3] and np.isnan(found.loc["one", "rank"])
    assert list(found) == ["rank", "macro full", "micro full", "macro 10shot", "micro 10shot"]


def test_a_model_that_lacks_tasks_has_no_rank():
    board = results({"a": {HISTONE[0]: 0.1, HISTONE[1]: 0.3}, "one": {HISTONE[0]: 0.9},
                     "b": {HISTONE[0]: 0.2, HISTONE[1]: 0.4}})  # fmt: skip
    found = analysis.macro_micro_agreement(board)
    assert found["macro rank"].dropna().to_dict() == {"b": 1, "a": 2}
    assert found["micro rank"].dropna().to_dict() == {"b": 1, "a": 2}
    assert found.loc["one", "macro"] == 0.9


def test_pairs_are_counted_from_five_times_the_size_on():
    board = results({"small": {HISTONE[0]: 0.5}, "four": {HISTONE[0]: 0.4},
                     "five": {HISTONE[0]: 0.3}, "good": {HISTONE[0]: 0.9}})  # fmt: skip
    sizes = labels(small=1e6, four=4.99e6, five=5e6, good=1e9)
    pairs = analysis.small_beats_large(board, sizes)
    assert list(zip(pairs["small"], pairs["large"], strict=True)) == [("small", "five")]
    assert pairs.loc[0, "size ratio"] == 5
    assert pairs.loc[0, "macro difference"] == pytest.approx(0.2)


def test_tiers_are_closed_below_and_open_above():
    board = results({name: {HISTONE[0]: i / 10} for i, name in enumerate("abcd")})
    tiers = analysis.size_tiers(board, labels(a=99e6, b=1e8, c=5e8, d=2e9))
    assert tiers["models"].to_dict() == {"<100M": 1, "100M-500M": 1, "500M-2B": 1, ">=2B": 1}
    assert tiers["macro"].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_frontier_keeps_what_no_smaller_or_equal_model_reaches():
    board = results({"a": {HISTONE[0]: 0.5}, "b": {HISTONE[0]: 0.4}, "c": {HISTONE[0]: 0.6},
                     "twin": {HISTONE[0]: 0.55}})  # fmt: skip
    frontier = analysis.pareto_frontier(board, labels(a=1e6, b=2e6, c=3e6, twin=3e6))
    assert list(frontier.index) == ["a", "c"]


def test_correlation_with_size_is_spearmans_and_missing_below_three_models():
    scores = {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.9}
    board = results({name: {HISTONE[0]: mcc} for name, mcc in scores.items()})
    sizes = labels(a=1e6, b=1e7, c=1e8, d=1e9)
    found = analysis.size_correlation(board, sizes)
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15)
    assert found.loc["macro", "rho"] == pytest.approx(0.8)
    two = analysis.size_correlation(board[board["model"].isin(["a", "b"])], sizes)
    assert np.isnan(two.loc["macro", "rho"])


def test_specialisation_is_mean_rank_outside_minus_inside():
    board = results({
        "a": {HISTONE[0]: 0.9, PROMOTERS[0]: 0.1, PROMOTERS[1]: 0.1},
        "b": {HISTONE[0]: 0.2, PROMOTERS[0]: 0.5, PROMOTERS[1]: 0.4},
    })  # fmt: skip
    found = analysis.specialisation(board)
    assert found.loc["a"].to_dict() == {"Histone Mod.": 1.0, "Promoters": -1.0}
    assert found.loc["b", "Histone Mod."] == -1.0


def test_equal_scores_share_a_rank_and_both_win():
    board = results({name: {HISTONE[0]: 0.5} for name in "ab"})
    summary = analysis.rank_summary(board)
    assert summary["wins"].tolist() == [1, 1]
    assert summary["mean rank"].tolist() == [1.5, 1.5]


def test_winners_and_drops():
    board = pd.concat([
        results({"a": {HISTONE[0]: 0.8}, "b": {HISTONE[0]: 0.6}}),
        results({"a": {HISTONE[0]: 0.2}, "b": {HISTONE[0]: 0.3}}, "10shot"),
        results({"a": {HISTONE[0]: 0.1}, "b": {HISTONE[0]: 0.0}}, "1shot"),
    ])  # fmt: skip
    winners = analysis.category_winners(board)
    assert winners.loc["Histone Mod."].tolist() == ["a", "b", True]
    drops = analysis.few_shot_drops(board)
    assert drops.loc["a", "drop full to 1shot"] == pytest.approx(0.7)
    assert drops.loc["b", "relative drop to 10shot"] == pytest.approx(0.5)


def test_transfer_is_the_mean_over_the_pairs_that_are_there():
    board = results({"a": {HISTONE[0]: 0.8}, "b": {HISTONE[0]: 0.6}})
    found = analysis.transfer(board, [("a", "b"), ("b", "a"), ("a", "absent")])
    assert found.loc["overall", "difference"] == pytest.approx(0.0)
    assert found.loc["overall", ["wins", "pairs"]].tolist() == [1, 2]
    pairs = analysis.matched_pairs(board, [("a", "b"), ("a", "absent")])
    assert pairs.tolist() == pytest.approx([0.2, np.nan], nan_ok=True)


def test_high_variance_slots_name_best_and_worst():
    board = results({name: {HISTONE[0]: mcc} for name, mcc in zip("abcdef", range(6), strict=True)})
    slots = analysis.high_variance_slots(board, labels(**dict.fromkeys("abcdef", 1e6)))
    assert slots.query("place == 'top 3'")["model"].tolist() == ["f", "e", "d"]
    assert set(slots.query("place == 'bottom 3'")["model"]) == {"a", "b", "c"}


def test_linear_and_mlp_heads_are_paired_by_cell():
    scores = table(
        {"MCC": 0.4, "seed": 1}, {"MCC": 0.6, "seed": 2}, {"probe": "mlp", "MCC": 0.7},
        {"C": 10.0, "MCC": 0.0}, {"model": "kmer-2", "MCC": 0.1},
    )  # fmt: skip
    (cell,) = analysis.linear_against_mlp(scores).to_dict("records")
    assert cell["model"] == "kmer-4"
    assert cell["linear"] == pytest.approx(0.5)
    assert cell["mlp"] == 0.7


def test_layers_are_compared_on_the_tasks_that_all_have():
    layers = {"0": 0.1, "2": 0.5, "10": 0.3, "-1": 0.4}
    rows = [
        {"model": "x", "tap": tap, "pooling": "mean", "MCC": mcc + shift, "seed": seed}
        for tap, mcc in layers.items()
        for seed, shift in ((1, 0.1), (2, -0.1))
    ]
    unfinished = {"model": "x", "tap": "0", "pooling": "mean", "task": "another", "MCC": 1.0}
    one = {"model": "y", "tap": "-1", "pooling": "mean"}
    found = analysis.layer_scores(table(*rows, unfinished, one, {"model": "kmer-4"}))
    assert found["tap"].tolist() == ["0", "2", "10", "-1"]
    assert found["full"].tolist() == pytest.approx(list(layers.values()))
    assert found["tasks"].tolist() == [1] * 4
    assert analysis.layer_scores(table(one, {"model": "kmer-4"})).empty


def test_custom_tasks_are_in_no_average_over_strengths_or_hidden_states():
    custom = {"task": "mine", "category": CUSTOM}
    strengths = [{"model": "a", "C": C, "MCC": value} for C, value in ((1.0, 0.4), (10.0, 0.6))]
    own = [row | custom | {"MCC": -0.8} for row in strengths]
    (means,) = analysis.strength_scores(table(*strengths, *own)).to_numpy()
    assert means.tolist() == [0.4, 0.6]
    assert analysis.strength_scores(table(*own)).empty
    layers = [
        {"model": "x", "tap": tap, "pooling": "mean", "MCC": value}
        for tap, value in (("0", 0.2), ("-1", 0.3))
    ]
    own = [row | custom | {"MCC": -0.8} for row in layers]
    found = analysis.layer_scores(table(*layers, *own))
    assert found["full"].tolist() == [0.2, 0.3]
    assert found["tasks"].tolist() == [1, 1]
    assert analysis.layer_scores(table(*own)).empty


def test_agreement_over_strengths_is_the_mean_pairwise_rank_correlation():
    mcc = {  # by C, of models a, b, c
        0.1: (0.1, 0.2, 0.3),
        1.0: (0.1, 0.3, 0.2),
        10.0: (0.3, 0.2, 0.1),
    }
    rows = [
        {"model": model, "C": C, "MCC": value, "seed": seed}
        for C, values in mcc.items()
        for model, value in zip("abc", values, strict=True)
        for seed in (1, 2)
    ]
    found = analysis.strength_agreement(table(*rows))
    # rho of (1,2,3) with (1,3,2) is 0.5, with (3,2,1) -1; of (1,3,2) with (3,2,1) -0.5
    assert found.loc["full", "rho"] == pytest.approx((0.5 - 1 - 0.5) / 3)
    assert found.loc["full", ["strengths", "models"]].tolist() == [3, 3]
    assert analysis.strength_agreement(table({"C": 1.0}, {"C": 2.0})).empty


def test_correlation_agrees_with_pandas_on_the_published_scores():
    board, sizes = published_results(), model_labels()
    macro = analysis.category_matrix(board).mean(axis=1)
    expected = macro.corr(sizes.loc[macro.index, "params"], method="spearman")
    assert analysis.size_correlation(board, sizes).loc["macro", "rho"] == pytest.approx(expected)
