import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_rows import table
from sklearn.metrics import matthews_corrcoef

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.intervals import interval_tables
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.results import run_results, say_fewer_tasks
from geneb_jax.presentation.verdicts import order_words
from geneb_jax.scoring.predictions import predictions_path
from geneb_jax.scoring.scores import HEAD_COLUMNS
from geneb_jax.uncertainty.other_tasks import answer_tasks

CATEGORIES = ("Mouse Enh.", "Species Clf.", "Regulatory")
TASKS = [task for task in GENEB.tasks if task.category in CATEGORIES]
SEEDS = (13, 17, 42)


def run_of(folder, wrong_of):
    """Models on ten tasks, full and 10-shot, with the predictions that give their scores.

    `wrong_of` has the share of rows that a model guesses, by regime.
    """
    rng = np.random.default_rng(0)
    rows = []
    for task in TASKS:
        true = rng.integers(0, 2, 60)
        true[:2] = 0, 1
        for model, wrongs in wrong_of.items():
            fields = []
            predicted = []
            for regime, wrong in wrongs.items():
                for seed in SEEDS:
                    if regime != "full" or seed == SEEDS[0]:
                        head = np.where(rng.random(60) < wrong, rng.integers(0, 2, 60), true)
                    predicted.append(head)
                    fields.append(
                        {
                            "model": model, "task": task.id, "category": task.category,
                            "regime": regime, "seed": seed, "MCC": matthews_corrcoef(true, head),
                        }
                    )  # fmt: skip
            rows += fields
            path = predictions_path(folder / model, task.id)
            path.parent.mkdir(exist_ok=True)
            heads = table(*fields)
            np.savez(
                path, labels=true, predictions=np.stack(predicted),
                **{name: np.array(heads[name].tolist()) for name in HEAD_COLUMNS},
            )  # fmt: skip
    return table(*rows), {name: folder / name for name in wrong_of}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    shares = {"kmer-3": 0.2, "kmer-4": 0.5}
    wrong_of = {model: {"full": wrong, "10shot": wrong} for model, wrong in shares.items()}
    return run_of(tmp_path_factory.mktemp("predictions"), wrong_of)


@pytest.fixture(scope="module")
def tables(run):
    scores, predictions = run
    return interval_tables(run_results(scores), scores, predictions)


def test_every_question_is_asked(tables):
    macro = tables["intervals_macro"]
    asked = set(zip(macro["question"], macro["regime"], strict=True))
    assert asked == {
        ("tasks", "full"), ("tasks", "10shot"), ("shots", "10shot"),
        ("records", "full"), ("records", "10shot"),
    }  # fmt: skip
    assert (macro["low"] <= macro["macro"]).all() and (macro["macro"] <= macro["high"]).all()
    assert set(macro["model"]) == {"kmer-3", "kmer-4"} and set(macro["tasks"]) == {10}


def test_scores_and_shots_are_those_of_the_run(tables, run):
    scores, _ = run
    found = tables["intervals_scores"].set_index(["question", "regime", "model", "task"])
    of_task = scores[(scores["regime"] == "10shot") & (scores["task"] == TASKS[0].id)]
    mcc = of_task.loc[of_task["model"] == "kmer-4", "MCC"]
    row = found.loc[("shots", "10shot", "kmer-4", TASKS[0].id)]
    low, high = stats.t.interval(0.95, 2, mcc.mean(), stats.sem(mcc))
    assert row["MCC"] == pytest.approx(mcc.mean())
    assert (row["low"], row["high"]) == pytest.approx((max(low, -1), min(high, 1)))
    records = found.loc[("records", "10shot", "kmer-4", TASKS[0].id)]
    assert records["MCC"] == pytest.approx(mcc.mean())
    assert records["low"] < mcc.mean() < records["high"]


def test_the_better_model_is_told_apart_by_its_records(tables):
    pairs = tables["pairs"].set_index(["question", "regime"])
    found = pairs.loc[("records", "full")]
    assert (found["A"], found["B"]) == ("kmer-3", "kmer-4")
    assert found["told apart"] and found["P(A beats B)"] > 0.99 and found["low"] > 0
    macro = tables["intervals_macro"].set_index(["question", "regime", "model"])
    first, second = (macro.loc[("records", "full", model)] for model in ("kmer-3", "kmer-4"))
    assert first[["rank", "worse", "group"]].tolist() == [1, 1, "a"]
    assert second[["rank", "better", "group"]].tolist() == [2, 1, "b"]


def test_a_pair_has_one_order_whatever_is_asked(tmp_path):
    """A is the better one in full, also in 10-shot, where it is the worse one."""
    wrong_of = {"kmer-3": {"full": 0.5, "10shot": 0.1}, "kmer-4": {"full": 0.2, "10shot": 0.6}}
    scores, predictions = run_of(tmp_path, wrong_of)
    results = run_results(scores)
    pairs = interval_tables(results, scores, predictions)["pairs"]
    assert len(pairs) == 5 and set(pairs["A"]) == {"kmer-4"} and set(pairs["B"]) == {"kmer-3"}
    means = results.groupby(["regime", "model", "category"])["MCC"].mean()
    macro = means.groupby(["regime", "model"]).mean()
    for row in pairs.to_dict("records"):
        difference = macro[row["regime"], "kmer-4"] - macro[row["regime"], "kmer-3"]
        assert row["A - B"] == pytest.approx(difference)
        assert row["low"] < difference < row["high"]
        assert (row["P(A beats B)"] > 0.9) == (row["regime"] == "full")
    # Student's t over the seeds' macro scores.
    wide = scores[scores["regime"] == "10shot"].pivot_table("MCC", ["seed", "category"], "model")
    by_seed = (wide["kmer-4"] - wide["kmer-3"]).groupby("seed").mean()
    (row,) = pairs[pairs["question"] == "shots"].to_dict("records")
    ends = stats.t.interval(0.95, len(SEEDS) - 1, by_seed.mean(), stats.sem(by_seed))
    assert (row["low"], row["high"]) == pytest.approx(ends, rel=0.05)
    assert row["p"] == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue)


def test_pairs_of_published_models_stand_in_the_order_of_the_leaderboard():
    published = published_results()
    models = ["Evo-1-131k", "GROVER", "LucaOne", "SPACE"]  # from the worst of full to the best
    some = published[published["model"].isin(models)]
    leaky = [task.id for task in GENEB.tasks if task.category == "Mouse Enh."]
    tables = interval_tables(some)
    found = interval_tables(some, leaky=leaky)
    means = some.groupby(["regime", "model", "category"])["MCC"].mean()
    macro = means.groupby(["regime", "model"]).mean()
    order = macro["full"].sort_values(ascending=False).index
    for name in ("pairs", "pairs_without_leaky"):
        for regime, rows in found[name].groupby("regime"):
            asked = list(zip(rows["A"], rows["B"], strict=True))
            assert asked == list(itertools.combinations(order, 2)), (name, regime)
    for regime in ("full", "1shot"):
        rows = some[some["regime"] == regime]
        matrix = rows.pivot(index="model", columns="task", values="MCC")
        categories = rows.drop_duplicates("task").set_index("task")["category"][matrix.columns]
        answer = answer_tasks(matrix.to_numpy(), list(categories), np.random.default_rng(0))
        drawn = dict(zip(matrix.index, answer.replicates.T, strict=True))
        for row in tables["pairs"][tables["pairs"]["regime"] == regime].to_dict("records"):
            a, b = row["A"], row["B"]
            difference = drawn[a] - drawn[b]
            assert row["A - B"] == pytest.approx(macro[regime, a] - macro[regime, b])
            ends = np.quantile(difference, [0.025, 0.975])
            assert (row["low"], row["high"]) == pytest.approx(tuple(ends))
            assert row["P(A beats B)"] == pytest.approx((difference > 0).mean(), abs=1e-3)
            i, j = sorted(map(list(matrix.index).index, (a, b)))
            (place,) = np.flatnonzero((answer.pairs.first == i) & (answer.pairs.second == j))
            assert (row["p"], row["p, Holm"]) == (answer.pairs.p[place], answer.pairs.holm[place])


def test_predictions_of_other_scores_do_not_count(run, caplog):
    scores, predictions = run
    first = (scores["task"] == TASKS[0].id) & (scores["model"] == "kmer-3")
    other = scores.assign(MCC=scores["MCC"].where(~first, scores["MCC"] - 0.01))
    with caplog.at_level("INFO"):
        found = interval_tables(run_results(other), other, predictions)["intervals_scores"]
    assert TASKS[0].id not in set(found.loc[found["question"] == "records", "task"])
    assert "other records on 1 of 10 tasks" in caplog.text


def test_a_task_without_scores_of_a_model_is_not_one_without_predictions(run, caplog):
    scores, predictions = run
    some = scores[(scores["task"] != TASKS[0].id) | (scores["model"] != "kmer-3")]
    with caplog.at_level("INFO"):
        found = interval_tables(run_results(some), some, predictions)["intervals_macro"]
    assert set(found["tasks"]) == {9} and set(found["question"]) == {"tasks", "shots", "records"}
    assert "no intervals over other records" not in caplog.text


def test_a_run_without_predictions_has_the_other_questions(run):
    scores, predictions = run
    gone = {"kmer-3": predictions["kmer-3"]}
    found = interval_tables(run_results(scores), scores, gone)["intervals_macro"]
    assert set(found["question"]) == {"tasks", "shots"}


@pytest.mark.parametrize("made_up", [False, True])
def test_one_task_a_category_leaves_other_tasks_unasked(made_up, caplog):
    start = "synthetic_" if made_up else ""
    scores = table(
        *({"task": start + task.id, "category": task.category, "seed": seed, "regime": "10shot",
           "MCC": mcc}
          for task in (TASKS[0], GENEB.tasks[0]) for seed, mcc in ((1, 0.2), (2, 0.3)))
    )  # fmt: skip
    with caplog.at_level("INFO"):
        found = interval_tables(run_results(scores), scores)
    said = "no intervals over other tasks: too few tasks: 3 categories with two tasks or more"
    assert (said in caplog.text) != made_up  # of generated tasks nobody expects them
    assert set(found["intervals_macro"]["question"]) == {"shots"} and "pairs" not in found


def test_published_models_are_compared_on_the_tasks_that_all_have():
    published = published_results()
    some = published[published["model"].isin(["LucaOne", "GROVER", "Evo-1-131k"])]
    some = some[some["regime"] == "full"]
    gap = (some["model"] == "GROVER") & (some["task"] == GENEB.tasks[0].id)
    found = interval_tables(some[~gap])
    assert set(found["intervals_macro"]["tasks"]) == {99}
    macro = found["intervals_macro"].set_index("model")
    means = some[some["task"] != GENEB.tasks[0].id].groupby(["model", "category"])["MCC"].mean()
    expected = means.groupby("model").mean()
    pd.testing.assert_series_equal(
        macro["macro"].sort_index(), expected.sort_index(), check_names=False
    )
    assert macro.loc["LucaOne", "rank high"] == 1 and macro.loc["Evo-1-131k", "rank low"] == 3


def test_tables_without_leaky_tasks_are_those_of_the_other_tasks():
    published = published_results()
    some = published[published["model"].isin(["LucaOne", "GROVER", "Evo-1-131k"])]
    some = some[some["regime"] == "full"]
    leaky = [task.id for task in GENEB.tasks if task.category == "Mouse Enh."]
    tables = interval_tables(some)
    found = interval_tables(some, leaky=[*leaky, "elsewhere"])
    for name, each in tables.items():
        pd.testing.assert_frame_equal(found.pop(name), each)
    assert set(found) == {"intervals_macro_without_leaky", "pairs_without_leaky"}
    macro = found["intervals_macro_without_leaky"].set_index("model")
    kept = some[some["category"] != "Mouse Enh."]
    expected = kept.groupby(["model", "category"])["MCC"].mean().groupby("model").mean()
    assert macro["macro"].to_dict() == pytest.approx(expected.to_dict())
    before = tables["intervals_macro"].set_index("model")["rank"]
    assert macro["rank, all tasks"].to_dict() == before.to_dict()
    pairs = found["pairs_without_leaky"]
    assert len(pairs) == 3 and set(pairs["told apart, all tasks"]) <= {True, False}
    for each in found.values():
        assert set(each["tasks"]) == {95} and set(each["left out"]) == {5}
    every = [task.id for task in GENEB.tasks]
    for of_others in (["elsewhere"], every):
        assert set(interval_tables(some, leaky=of_others)) == set(tables)


def test_messages_say_that_they_are_of_the_tasks_that_are_not_leaky(swapped, caplog):
    scores, predictions, leaky = swapped
    with caplog.at_level("INFO"):
        interval_tables(run_results(scores), scores, predictions)
        assert "no intervals" not in caplog.text
        only = {"kmer-2": predictions["kmer-2"]}
        interval_tables(run_results(scores), scores, only, leaky)
    said = [line for line in caplog.messages if "no intervals" in line]
    of_all, of_records, of_tasks = said
    assert of_all.startswith("no intervals over other records on 10 of 10 tasks: pred")
    assert of_tasks.startswith(
        "no intervals over other tasks without the leaky ones: too few tasks: 3 categories"
    )
    left = 10 - len(leaky)
    assert of_records.startswith(
        f"no intervals over other records on {left} of {left} tasks without the leaky ones: pred"
    )


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    """A run in which the worse of two models is the better one on the leaky tasks alone."""
    folder = tmp_path_factory.mktemp("predictions")
    shares = {"kmer-2": 0.1, "kmer-4": 0.8}
    scores, predictions = run_of(
        folder, {name: {"full": share, "10shot": share} for name, share in shares.items()}
    )
    leaky = [task.id for task in TASKS if task.category != "Regulatory"]
    other = {"kmer-2": "kmer-4", "kmer-4": "kmer-2"}
    scores["model"] = scores["model"].where(~scores["task"].isin(leaky), scores["model"].map(other))
    for task in leaky:
        one, two = (predictions_path(predictions[name], task) for name in other)
        kept = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(kept)
    return scores, predictions, leaky


def test_every_question_is_asked_again_without_leaky_tasks(swapped):
    scores, predictions, leaky = swapped
    found = interval_tables(run_results(scores), scores, predictions, leaky)
    kept = scores[~scores["task"].isin(leaky)]
    again = interval_tables(run_results(kept), kept, predictions)
    asked = {("records", "full"), ("records", "10shot"), ("shots", "10shot")}
    for name, keys in (("intervals_macro", ["model"]), ("pairs", [])):
        mine = found[f"{name}_without_leaky"]
        assert set(zip(mine["question"], mine["regime"], strict=True)) == asked
        assert set(mine["left out"]) == {len(leaky)} and set(mine["tasks"]) == {10 - len(leaky)}
        # The order of a pair is that of all results.
        columns = [c for c in again[name] if c not in ("A", "B", "A - B", "low", "high")]
        columns = [c for c in columns if c != "P(A beats B)"]
        sort = ["question", "regime", *keys]
        pd.testing.assert_frame_equal(
            mine.sort_values(sort, ignore_index=True)[columns],
            again[name].sort_values(sort, ignore_index=True)[columns],
        )
    mean = kept[kept["regime"] == "full"].groupby(["model", "task"])["MCC"].mean()
    mean = mean.groupby("model").mean()
    pairs = found["pairs_without_leaky"].query("regime == 'full'").iloc[0]
    assert (pairs["A"], pairs["B"]) == ("kmer-4", "kmer-2")
    assert pairs["A - B"] == pytest.approx(mean["kmer-4"] - mean["kmer-2"])
    assert pairs["A - B"] < 0 and pairs["told apart, all tasks"]
    assert order_words(found) == (
        f"without the {len(leaky)} leaky tasks kmer-2 comes before kmer-4 (full, other records, "
        f"over {10 - len(leaky)} tasks instead of 10) (more such pairs: 1 in 10shot); "
        "tables/pairs_without_leaky"
    )


def test_a_model_that_has_leaky_tasks_alone_does_not_change_what_is_left_out():
    published = published_results().query("regime == 'full'")
    leaky = [task.id for task in GENEB.tasks if task.category == "Mouse Enh."]
    some = published[published["model"].isin(["LucaOne", "GROVER", "Evo-1-131k"])]
    some = some[(some["model"] != "GROVER") | some["task"].isin(leaky)]
    others = some[some["model"] != "GROVER"]
    found, expected = (interval_tables(each, leaky=leaky) for each in (some, others))
    for name in ("intervals_macro_without_leaky", "pairs_without_leaky"):
        each = found[name]
        pd.testing.assert_frame_equal(each, expected[name])
        assert set(each["left out"]) == {len(leaky)} and set(each["tasks"]) == {95}


def test_a_model_that_lacks_leaky_tasks_alone_is_compared_without_them(run):
    scores, predictions = run
    leaky = [task.id for task in TASKS[:2]]
    lacking = scores["task"].isin(leaky) & (scores["model"] == "kmer-3")
    some, kept = scores[~lacking], scores[~scores["task"].isin(leaky)]
    found = interval_tables(run_results(some), some, predictions, leaky)
    assert set(found["intervals_macro"].query("question == 'records'")["model"]) == {"kmer-4"}
    again = interval_tables(run_results(kept), kept, predictions)["intervals_macro"]
    expected = again[(again["question"] == "records") & (again["model"] == "kmer-4")]
    mine = found["intervals_macro_without_leaky"].query("question == 'records'")
    assert len(mine) == len(expected) == 2 and set(mine["left out"]) == {2}
    columns = list(expected.columns)
    pd.testing.assert_frame_equal(
        mine[columns].reset_index(drop=True), expected.reset_index(drop=True)
    )


def test_two_models_are_compared_on_each_task(tables, run):
    scores, _ = run
    found = tables["pairs_tasks"].set_index(["task", "question", "regime"])
    asked = [("records", "full"), ("records", "10shot"), ("shots", "10shot")]
    assert set(found.index) == {(task.id, *each) for task in TASKS for each in asked}
    for (task, question, regime), row in found.iterrows():
        of_task = scores[(scores["task"] == task) & (scores["regime"] == regime)]
        mcc = of_task.pivot(index="seed", columns="model", values="MCC")
        assert row["A - B"] == pytest.approx((mcc[row["A"]] - mcc[row["B"]]).mean())
        assert row["low"] < row["A - B"] < row["high"]
        if question == "shots":
            test = stats.ttest_rel(mcc[row["A"]], mcc[row["B"]])
            assert row["p"] == pytest.approx(test.pvalue) == row["p, Holm"]
        assert bool(row["told apart"]) == (row["p, Holm"] < 0.05)
        full = scores[(scores["task"] == task) & (scores["regime"] == "full")]
        assert row["A"] == full.groupby("model")["MCC"].mean().idxmax()
    # A direct resampling of the rows and of the prior's cells, the same for both models.
    drawn = np.random.default_rng(3)
    prior = drawn.standard_gamma([[0.5, 0.375], [0.375, 0.5]], (20_000, 2, 2))
    weights = drawn.standard_exponential((20_000, 60))
    of_model = {}
    for model, folder in run[1].items():
        kept = np.load(predictions_path(folder, TASKS[0].id))
        true, predicted = kept["labels"], kept["predictions"][0]
        cells = [
            [weights[:, (true == i) & (predicted == j)].sum(1) for j in (0, 1)] for i in (0, 1)
        ]
        (a, b), (c, d) = np.array(cells) + np.moveaxis(prior, 0, -1)
        mcc = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
        of_model[model] = mcc.mean() + (mcc - mcc.mean()) * np.sqrt(60 / 59)
    row = found.loc[(TASKS[0].id, "records", "full")]
    difference = of_model[row["A"]] - of_model[row["B"]]
    assert row["P(A beats B)"] == pytest.approx((difference > 0).mean(), abs=0.03)
    ends = np.quantile(difference, [0.025, 0.975])
    assert (row["low"], row["high"]) == pytest.approx(tuple(ends), abs=0.03)


@pytest.fixture(scope="module")
def custom(run):
    """The same run, its first two tasks being custom ones, one of which a model lacks."""
    scores, predictions = run
    first, second = (task.id for task in TASKS[:2])
    own = scores["task"].isin([first, second])
    scores = scores.assign(category=scores["category"].where(~own, CUSTOM))
    lacking = (scores["task"] == second) & (scores["model"] == "kmer-4")
    return scores[~lacking], predictions, first, second


def test_custom_tasks_are_asked_one_by_one_and_are_in_no_average(custom, tables):
    scores, predictions, first, second = custom
    found = interval_tables(run_results(scores), scores, predictions)
    assert set(found["intervals_macro"]["tasks"]) == {8}
    assert not {first, second} & set(found["intervals_scores"]["task"])
    own = found["intervals_custom"].set_index(["task", "question", "regime", "model"]).sort_index()
    asked = {("shots", "10shot"), ("records", "full"), ("records", "10shot")}
    assert {key[1:3] for key in own.index} == asked
    assert set(own.loc[first].index.get_level_values("model")) == {"kmer-3", "kmer-4"}
    assert set(own.loc[second].index.get_level_values("model")) == {"kmer-3"}
    # The score and its interval are those that the task has where it is one of the benchmark's.
    of_benchmark = tables["intervals_scores"]
    of_benchmark = of_benchmark[of_benchmark["task"] == first]
    of_benchmark = of_benchmark.set_index(["task", "question", "regime", "model"])
    for key, row in of_benchmark.iterrows():
        assert own.loc[key, "MCC"] == pytest.approx(row["MCC"], abs=1e-12)
        assert own.loc[key, ["low", "high"]].tolist() == pytest.approx(
            row[["low", "high"]].tolist(), abs=0.02
        )
    ranks = own.loc[(first, "records", "full"), "rank"]
    assert ranks.to_dict() == {"kmer-3": 1, "kmer-4": 2}


def test_two_models_are_compared_on_each_custom_task(custom):
    scores, predictions, first, _ = custom
    found = interval_tables(run_results(scores), scores, predictions)["pairs_custom"]
    assert set(found["task"]) == {first}  # on the other one there is a single model
    shots = found.set_index(["question", "regime"]).loc[("shots", "10shot")]
    rows = scores[(scores["task"] == first) & (scores["regime"] == "10shot")]
    mcc = rows.pivot(index="seed", columns="model", values="MCC")
    test = stats.ttest_rel(mcc["kmer-3"], mcc["kmer-4"])
    assert (shots["A"], shots["B"]) == ("kmer-3", "kmer-4")
    assert shots["A - B"] == pytest.approx(mcc["kmer-3"].mean() - mcc["kmer-4"].mean())
    assert shots["p"] == pytest.approx(test.pvalue) == shots["p, Holm"]
    assert bool(shots["told apart"]) == (test.pvalue < 0.05)


def test_of_a_pair_on_a_custom_task_a_is_the_better_in_its_first_regime(custom):
    scores, predictions, first, _ = custom
    full = scores[(scores["task"] == first) & (scores["regime"] == "full")]
    better = full.groupby("model")["MCC"].mean().idxmax()
    # By their names the better would stand second.
    names = dict.fromkeys(scores["model"].unique(), "a worse one") | {better: "the better"}
    scores = scores.assign(model=scores["model"].map(names))
    folders = {names[name]: folder for name, folder in predictions.items()}
    pairs = interval_tables(run_results(scores), scores, folders)["pairs_custom"]
    assert set(pairs["A"]) == {"the better"}
    assert set(pairs["B"]) == {"a worse one"}
    for row in pairs.to_dict("records"):
        of_regime = scores[(scores["task"] == first) & (scores["regime"] == row["regime"])]
        mcc = of_regime.groupby("model")["MCC"].mean()
        assert row["A - B"] == pytest.approx(mcc["the better"] - mcc["a worse one"])
        assert row["low"] < row["A - B"] < row["high"]
    assert set(pairs["question"]) == {"records", "shots"}


def test_a_run_of_custom_tasks_alone_has_their_tables_and_no_others(custom, run, caplog):
    _, predictions, first, *_ = custom
    scores = run[0][run[0]["task"] == first].assign(category=CUSTOM)
    with caplog.at_level("INFO"):
        found = interval_tables(run_results(scores), scores, predictions)
        assert set(found) == {"intervals_custom", "pairs_custom"}
        assert not caplog.text
        without = interval_tables(run_results(scores), scores, {})
    assert set(without["intervals_custom"]["question"]) == {"shots"}
    assert "no intervals over other records on 1 of 1 tasks" in caplog.text


def test_a_model_that_failed_on_most_tasks_leaves_the_others_theirs(run, caplog):
    scores, predictions = run
    few = scores[(scores["model"] != "kmer-3") | (scores["task"] == TASKS[0].id)]
    found = interval_tables(run_results(few), few, predictions)
    alone = few[few["model"] != "kmer-3"]
    expected = interval_tables(run_results(alone), alone, predictions)
    for name in ("intervals_macro", "intervals_categories", "intervals_scores"):
        pd.testing.assert_frame_equal(found[name], expected[name])
    say_fewer_tasks(run_results(few))
    assert "with less than nine tenths of the tasks they have no intervals" in caplog.text


def test_draws_that_take_the_same_rows_are_asked_nothing(run):
    """Few-shot scores that do not differ between seeds say nothing of other draws."""
    scores, _ = run
    keys = ["model", "task", "regime"]
    same = scores.assign(MCC=scores.groupby(keys)["MCC"].transform("mean"))
    found = interval_tables(run_results(same), same)
    assert set(found["intervals_macro"]["question"]) == {"tasks"}
    assert "pairs_tasks" not in found
    # On one task alone: its scores have no interval, and those of the others stay.
    first = scores["task"] == TASKS[0].id
    some = scores.assign(MCC=scores["MCC"].where(~first, same["MCC"]))
    shots = interval_tables(run_results(some), some)["intervals_scores"]
    assert set(shots["question"]) == {"shots"}
    assert set(shots["task"]) == {task.id for task in TASKS[1:]}
