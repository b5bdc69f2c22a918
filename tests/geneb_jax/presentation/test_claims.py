import numpy as np
import pandas as pd
import pytest

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import claims
from geneb_jax.presentation.claims import claims_table
from geneb_jax.presentation.published import model_labels, paper, published_results
from geneb_jax.presentation.verdicts import Verdict

LEAKY = [task.id for task in GENEB.tasks if task.label in ("GUE mouse 0", "GUE mouse 4")]
VERDICTS = dict.fromkeys(LEAKY, Verdict("leaky")) | {GENEB.tasks[0].id: Verdict("passed")}


@pytest.fixture(scope="module")
def published():
    table = claims_table(published_results(), model_labels(), VERDICTS)
    return table.set_index("statement")


def test_the_published_scores_give_the_papers_numbers(published):
    printed = published[published["paper"].notna()]
    off = (printed["ours"] - printed["paper"]).abs()
    counts = printed["paper"].abs() >= 1
    assert len(printed) > 50
    assert off[counts].max() < 0.05 and off[~counts].max() < 0.0012
    pairs = published.index.str.contains(r"\((?:architecture|pretraining data|tokenization)\)")
    assert pairs.sum() == 30


def test_intervals_hold_the_numbers_of_differences(published):
    pairs = published[published.index.str.contains(" minus ")]
    assert ((pairs["low"] <= pairs["ours"]) & (pairs["ours"] <= pairs["high"])).all()


@pytest.mark.parametrize(
    ("statement", "word", "kept"),
    [
        ("rho(size, macro), all models", "stands", "stands"),
        ("mean macro MCC, >=2B minus 500M-2B parameters", "weak", "weak"),
        ("Omni-DNA-1B minus eccDNAMamba (architecture)", "stands", "stands"),
        ("DNABERT-2 minus NT-v2-100M-MS (tokenization)", "weak", "weak"),
        ("multi-species minus human, mean of six pairs", "stands", "weak"),
        ("high-variance bottom-3 slots, human, beside its share of models", "stands", "stands"),
        ("high-variance top-3 slots, multi-species, beside its share of models", "weak", "weak"),
        ("high-variance top-3 slots, T-dec, beside its share of models", "weak", "weak"),
        ("specialisation, BioFM-265M on DNA Methyl.", "stands", "stands"),
        ("specialisation, PlantCaduceus on lncRNA", "stands", "stands"),
        ("specialisation, JanusDNA-72-w on Chromatin Acc.", "weak", "weak"),
        ("specialisation, eccDNAMamba on Chromatin Acc.", "weak", "weak"),
        ("mean macro MCC, 10shot", "estimate", "estimate"),
        ("small-beats-large pairs, all models", "estimate", "estimate"),
    ],
)
def test_words(published, statement, word, kept):
    assert published.loc[statement, ["word", "without leaky word"]].tolist() == [word, kept]


def test_what_other_models_would_say_is_wider(published):
    row = published.loc["rho(size, macro), all models"]
    assert row["models low"] < row["low"] and row["models high"] > row["high"]


def test_base_rates_are_the_null_of_counted_models(published):
    row = published.loc["high-variance top-3 slots, multi-species, beside its share of models"]
    assert row["null"] == pytest.approx(20 / 40 * 39)


def _full_ranks() -> tuple[pd.DataFrame, pd.Series]:
    """Returns ranks of the published models on each task, 1 the best, and the tasks' categories."""
    results = published_results()
    full = results[results["regime"] == "full"]
    scores = full.pivot(index="task", columns="model", values="MCC")
    categories = full.drop_duplicates("task").set_index("task")["category"]
    return scores.rank(axis=1, ascending=False), categories[scores.index]


def test_the_best_model_of_any_task_looks_like_a_specialist(published):
    """Of each of the 100 tasks as a category: not of random ones, so that nothing is drawn."""
    on_tasks, _ = _full_ranks()
    best = np.array([(on_tasks.drop(task).mean() - on_tasks.loc[task]).max()
                     for task in on_tasks.index])  # fmt: skip
    assert np.median(best) == pytest.approx(16.2, abs=0.05)
    assert (best >= 17.9).mean() == pytest.approx(0.26)
    for model in ("JanusDNA-72-w", "eccDNAMamba"):
        row = published.loc[f"specialisation, {model} on Chromatin Acc."]
        assert row["null"] == pytest.approx(best.mean(), abs=0.15)
        assert np.quantile(best, 0.93) < row["by chance"] < np.quantile(best, 0.97)
        assert row["word"] == "weak"


@pytest.mark.parametrize(
    ("model", "category", "size", "percentile_99"),
    [("BioFM-265M", "DNA Methyl.", 8, 12.2), ("PlantCaduceus", "lncRNA", 6, 13.5)],
)
def test_the_null_of_a_specialist_is_the_best_model_on_as_many_random_tasks(
    published, model, category, size, percentile_99
):
    on_tasks, categories = _full_ranks()
    assert (categories == category).sum() == size
    rng = np.random.default_rng(11)
    best = []
    for _ in range(2000):
        inside = on_tasks.index.isin(rng.choice(on_tasks.index, size, replace=False))
        best.append((on_tasks[~inside].mean() - on_tasks[inside].mean()).max())
    row = published.loc[f"specialisation, {model} on {category}"]
    assert row["null"] == pytest.approx(np.mean(best), abs=0.25)
    assert row["by chance"] == pytest.approx(np.quantile(best, 0.95), abs=0.6)
    assert np.quantile(best, 0.99) == pytest.approx(percentile_99, abs=0.8)
    assert row["ours"] > percentile_99 and row["word"] == "stands"


def test_slots_by_chance_are_those_of_models_with_each_others_labels(published):
    """Of two models of forty the sum of slots has a known distribution: that of all 780 pairs."""
    results, labels = published_results(), model_labels()
    full = results[results["regime"] == "full"].pivot(index="model", columns="task", values="MCC")
    wide = full.loc[:, full.std(ddof=0) > 0.12]
    held = (wide.rank(ascending=False, method="first") <= 3).sum(axis=1).to_numpy()
    first, second = np.triu_indices(len(held), 1)
    row = published.loc["high-variance top-3 slots, eukaryotic-genes, beside its share of models"]
    assert (labels["pretraining"] == "eukaryotic-genes").sum() == 2
    pairs = held[first] + held[second]
    assert (pairs > row["by chance"]).mean() <= 0.05 <= (pairs >= row["by chance"]).mean() + 0.005
    assert row["ours"] > row["by chance"] and row["word"] == "stands"


def test_winners_change_as_often_between_other_tasks_one_time_in_eight(published):
    """Chance reaches the paper's 8 of 13: the interval of the count alone would let it stand."""
    (name,) = (name for name in published.index if "winner changes" in name)
    row = published.loc[name]
    assert row["low"] > row["null"] and row["ours"] == row["by chance"] == 8
    assert row["word"] == "weak"


def test_clean_numbers_are_without_the_leaky_tasks(published):
    results = published_results()
    kept = results[~results["task"].isin(LEAKY) & (results["regime"] == "full")]
    macro = kept.groupby(["model", "category"])["MCC"].mean().groupby("model").mean()
    row = published.loc["GROVER minus DeepGene (architecture)"]
    assert row["without leaky"] == pytest.approx(macro["GROVER"] - macro["DeepGene"])
    assert row["without leaky"] != pytest.approx(row["ours"], abs=1e-4)
    assert row[["tasks", "without leaky tasks", "audited tasks"]].tolist() == [100, 98, 3]


@pytest.mark.parametrize("of", ["", "without leaky "])
def test_words_follow_from_the_numbers_beside_them(published, of):
    """With all tasks and without the leaky ones apart, each beside the null value of its tasks."""
    slots = published.loc["high-variance bottom-3 slots, human, beside its share of models"]
    assert slots["without leaky null"] == pytest.approx(slots["null"] * 12 / 13)  # mouse 0 left out
    for name, row in published.iterrows():
        side = -1 if row["paper"] < row["null"] else 1
        near, null = "low" if side > 0 else "high", row[f"{of}null"]
        number = row["without leaky" if of else "ours"]
        ends = [row[f"{of}{near}"], row[f"{of}models {near}"]]
        beyond = [side * (end - null) > 0 for end in ends if not np.isnan(end)]
        if not np.isnan(chance := row[f"{of}by chance"]):
            beyond.append(side * (number - chance) > 0)
        if np.isnan(row["null"]):
            expected = "estimate"
        elif side * (number - null) <= 0:
            expected = "gone"
        else:
            expected = "stands" if all(beyond) else "weak"
        assert row[f"{of}word"] == expected, name
    assert set(published[f"{of}word"]) >= {"estimate", "stands", "weak"}


def test_without_an_audit_the_words_are_those_of_all_tasks(published):
    table = claims_table(published_results(), model_labels()).set_index("statement")
    assert table["word"].equals(published["word"])
    assert not [name for name in table if "without leaky" in name or "audited" in name]


def test_counts_and_means_that_nothing_would_refute_are_estimates(published):
    for name in ("small-beats-large pairs, all models", "mean macro MCC, 10shot",
                 "median relative 10-shot drop"):  # fmt: skip
        assert np.isnan(published.loc[name, "null"]) and published.loc[name, "word"] == "estimate"


def test_p_values_are_those_of_flipped_signs(published):
    results = published_results()
    rows = results[results["model"].isin(["GROVER", "DeepGene"]) & (results["regime"] == "full")]
    for column, left in (("p", rows), ("without leaky p", rows[~rows["task"].isin(LEAKY)])):
        table = left.pivot(index="task", columns="model", values="MCC")
        categories = left.drop_duplicates("task").set_index("task").loc[table.index, "category"]
        sizes = categories.map(categories.value_counts())
        parts = ((table["GROVER"] - table["DeepGene"]) / sizes / 13).to_numpy()
        signs = np.random.default_rng(1).choice([-1.0, 1.0], (20_000, len(parts)))
        p = (np.abs(signs @ parts) >= abs(parts.sum())).mean()
        found = published.loc["GROVER minus DeepGene (architecture)", column]
        assert found == pytest.approx(p, abs=0.012)
    assert published["tasks"].unique().tolist() == [100]
    assert published["without leaky tasks"].unique().tolist() == [98]
    assert published.loc["rho(size, macro), all models", ["p", "without leaky p"]].isna().all()


def test_a_pair_that_a_clean_benchmark_turns_round_is_gone():
    labels = model_labels()
    results = published_results()
    pair = results[results["model"].isin(["GROVER", "DeepGene"]) & (results["regime"] == "full")]
    mouse = [task.id for task in GENEB.tasks if task.category == "Mouse Enh."]
    # Only the mouse tasks favour GROVER, and strongly.
    score = np.where(pair["model"] == "GROVER", 0.4, 0.42)
    score = np.where(pair["task"].isin(mouse), np.where(pair["model"] == "GROVER", 0.9, 0), score)
    noise = np.random.default_rng(0).normal(0, 0.01, len(pair))
    table = claims_table(
        pair.assign(MCC=score + noise), labels, dict.fromkeys(mouse, Verdict("leaky"))
    ).set_index("statement")
    row = table.loc["GROVER minus DeepGene (architecture)"]
    assert row["ours"] > 0 > row["without leaky"]
    assert row["word"] in ("weak", "stands") and row["without leaky word"] == "gone"


def test_a_run_has_the_statements_whose_models_it_has():
    results = published_results()
    few = results[results["model"].isin(["DNABERT-2", "GROVER"])]
    table = claims_table(few[few["regime"] == "full"], model_labels())
    assert table["statement"].tolist() == ["DNABERT-2 minus GROVER (pretraining data)"]
    assert "without leaky" not in table
    with_kmers = pd.concat([few, few[few["model"] == "GROVER"].assign(model="kmer-4")])
    again = claims_table(with_kmers, model_labels())
    # Of three regimes, but of two of the paper's models: nothing of models in general.
    assert again["statement"].tolist() == ["DNABERT-2 minus GROVER (pretraining data)"]
    none = results[results["model"] == "GROVER"]
    assert claims_table(none[none["regime"] == "10shot"], model_labels()).empty


def test_neither_names_of_tasks_nor_models_of_a_run_change_a_number(published):
    results = published_results()
    best = results.groupby(["task", "category", "regime"], as_index=False)["MCC"].max()
    beside = pd.concat([results, best.assign(model="mine")])
    table = claims_table(
        beside.assign(task=lambda table: "mine_" + table["task"]), model_labels(), None
    ).set_index("statement")
    np.testing.assert_allclose(table["ours"], published["ours"], rtol=1e-9)


def test_without_a_category_there_are_no_statements(monkeypatch):
    monkeypatch.setattr(claims, "REPLICATES", 20)
    monkeypatch.setattr(claims, "FLIPS", 100)
    results = published_results()
    model = "BioFM-265M"
    category = paper()["specialisation"][model][0]
    of_category = [task.id for task in GENEB.tasks if task.category == category]
    assert claims_table(results[results["category"] != category], model_labels()).empty
    some = claims_table(results[~results["task"].isin(of_category[1:])], model_labels())
    assert set(some["tasks"]) == {100 - len(of_category) + 1}
    # A category that is leaky as a whole is missing in the numbers without it alone.
    leaky = dict.fromkeys(of_category, Verdict("leaky"))
    table = claims_table(results, model_labels(), leaky).set_index("statement")
    counted = table[table.index.str.contains("slots|winner changes")]
    assert len(counted) == 6 and counted["without leaky"].notna().all()
    row = table.loc[f"specialisation, {model} on {category}"]
    assert row["word"] == "stands" and row["without leaky word"] == ""
    assert (
        row.filter(like="without leaky")
        .drop(["without leaky word", "without leaky tasks"])
        .isna()
        .all()
    )
