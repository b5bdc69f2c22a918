import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from score_rows import table

from geneb_jax.benchmark import select_tasks
from geneb_jax.presentation.intervals import interval_tables
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.tables import (
    TABLES,
    paper_statistics,
    without_rows,
    write_table,
    write_tables,
)


@pytest.fixture(scope="module")
def published():
    return published_results()


def few_models(published):
    """Three models on every tenth task: quick to draw."""
    tasks = published["task"].unique()[::10]
    models = ["LucaOne", "SPACE", "GROVER"]
    return published[published["model"].isin(models) & published["task"].isin(tasks)]


@pytest.fixture(scope="module")
def statistics(published):
    return paper_statistics(published).set_index("statistic")


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("rho(size, macro), 40 models", 0.565),
        ("rho(size, macro) without Evo-1-131k", 0.685),
        ("small-beats-large pairs, in-domain models", 31),
        ("small-beats-large pairs, all models", 74),
        ("mean macro MCC, full", 0.488),
        ("mean macro MCC, 10shot", 0.253),
        ("mean macro MCC, 1shot", 0.106),
        ("rank correlation of macro and micro", 0.988),
        ("high-variance tasks (SD > 0.12)", 13),
        ("hard tasks (mean MCC < 0.35)", 28),
        ("categories whose winner changes at 10-shot", 8),
        ("tasks won by the best winner", 20),
        ("models that win a task", 16),
    ],
)
def test_published_scores_give_the_papers_statistics(statistics, name, printed):
    assert statistics.loc[name, "paper"] == printed
    assert statistics.loc[name, "ours"] == pytest.approx(printed, abs=5.01e-4)


def test_differences_beyond_rounding_are_explained(statistics):
    known = statistics[statistics["ours"].notna()]
    assert len(known) > 110
    noted = known[known["note"] != ""]
    # 0.4335 by the published scores, printed 0.434.
    assert list(noted.index) == ["rho(size, MCC), Virus/Phage"]
    assert known["difference"].abs().max() < 0.03


def test_the_thirty_pairs_are_those_of_the_paper(statistics):
    pairs = statistics.filter(regex=r" minus .*\)$", axis=0)
    assert len(pairs) == 30
    assert pairs["difference"].abs().max() < 5.01e-4


def test_labels_of_the_fourth_version_give_other_pairs(published):
    found = paper_statistics(published, version="v4").set_index("statistic")
    assert found.loc["small-beats-large pairs, in-domain models", "ours"] == 25
    assert found.loc["small-beats-large pairs, all models", "ours"] == 67
    assert "fourth" in found.loc["small-beats-large pairs, all models", "note"]


def test_probe_stability_comes_from_a_run_on_its_tasks(published):
    rows = [
        {"model": m, "MCC": v + lift, "probe": probe, "task": task.id, "category": task.category}
        for m, v in zip("abc", (0.1, 0.2, 0.3), strict=True)
        for probe, lift in (("logistic", 0), ("mlp", 0.1))
        for task in select_tasks("stability")
    ]
    found = paper_statistics(published, table(*rows)).set_index("statistic")["ours"]
    assert found["linear versus MLP, rho over models"] == pytest.approx(1)
    assert found["MLP minus linear, mean MCC"] == pytest.approx(0.1)
    assert np.isnan(found["C sweep, mean pairwise rank correlation, full"])
    some = [row for row in rows if row["task"] != rows[0]["task"]]
    found = paper_statistics(published, table(*some)).set_index("statistic")
    assert np.isnan(found.loc["MLP minus linear, mean MCC", "ours"])
    assert "stability" in found.loc["MLP minus linear, mean MCC", "note"]


def test_only_the_papers_models_on_its_tasks_are_compared_with_the_paper(published):
    """Of two models, their differences and drops; of some tasks, nothing."""
    two = published[published["model"].isin(["DNABERT-2", "GROVER"])]
    found = paper_statistics(two).set_index("statistic")
    known = set(found.index[found["ours"].notna()])
    assert "DNABERT-2 minus GROVER (pretraining data)" in known
    assert {name.rpartition(", ")[2] for name in known if "drop" in name} <= {"DNABERT-2", "GROVER"}
    assert all("DNABERT-2" in name or "GROVER" in name for name in known)
    assert found.loc["hard tasks (mean MCC < 0.35)", "note"].startswith("needs the paper's 40")
    some = published[published["task"] != published["task"].iloc[0]]
    assert paper_statistics(some)["ours"].isna().all()
    others = two.replace({"model": {"GROVER": "kmer-4"}})
    found = paper_statistics(others).set_index("statistic")
    assert found.loc["DNABERT-2 minus GROVER (pretraining data)", "note"] == (
        "needs GROVER on all of the paper's 100 tasks"
    )
    # Another model beside the 40 moves nothing.
    beside = pd.concat([published, others[others["model"] == "kmer-4"]])
    pd.testing.assert_series_equal(
        paper_statistics(beside)["ours"], paper_statistics(published)["ours"]
    )


def test_tables_show_the_papers_numbers_beside_what_they_can_be_compared_with(published, tmp_path):
    tables = write_tables(few_models(published), tmp_path)
    for name in ("size_correlation", "size_tiers"):
        assert not [column for column in tables[name] if "paper" in column]
    assert "matched_pairs" not in tables
    two = published[published["model"].isin(["DNABERT-2", "GROVER"])]
    pairs = write_tables(two, tmp_path)["matched_pairs"].dropna(subset="paper")
    assert list(zip(pairs["A"], pairs["B"], strict=True)) == [("DNABERT-2", "GROVER")]
    assert pairs["difference"].abs().max() < 5.01e-4


def test_every_table_is_written_in_three_formats(published, tmp_path):
    tables = write_tables(published, tmp_path)
    assert set(tables) == {*TABLES, "paper_statistics"}
    for name, made in tables.items():
        read = pd.read_csv(tmp_path / f"{name}.csv")
        assert len(read) == len(made)
        if name == "task_scores":  # a row a model, regime and task: too long for a page
            assert len(read) == 40 * 3 * 100
            assert not (tmp_path / f"{name}.md").exists()
            continue
        assert (tmp_path / f"{name}.md").read_text().startswith("| ")
        named = made.index.name is not None or isinstance(made.index, pd.RangeIndex)
        assert named, f"rows of {name} have names that are not written"
        if name == "task_ranks":  # a column a model
            assert not (tmp_path / f"{name}.tex").exists()
            continue
        latex = (tmp_path / f"{name}.tex").read_text()
        assert r"\toprule" in latex
        assert r"\bottomrule" in latex
        assert " - paper" not in latex
        assert " - published" not in latex
    board = tables["leaderboard"]
    assert board["macro full - published"].abs().max() < 1e-6
    assert tables["categories_full"]["largest |ours - published|"].max() < 1e-6


@pytest.mark.parametrize(
    ("models", "tasks", "regimes"),
    [(3, 40, ["full"]), (1, 1, ["full", "10shot", "1shot"]), (2, 5, ["1shot"]), (4, 30, ["full"])],
)
def test_parts_of_a_benchmark_give_tables(published, tmp_path, models, tasks, regimes):
    names = published["model"].unique()[:models]
    some = published[
        published["model"].isin(names)
        & published["task"].isin(published["task"].unique()[:tasks])
        & published["regime"].isin(regimes)
    ].replace({names[0]: "without labels", published["task"].unique()[0]: "synthetic"})
    tables = write_tables(some, tmp_path / "tables")
    for name, made in TABLES.items():
        assert name not in tables or set(regimes).issuperset(made.regimes)
    assert {"leaderboard", "task_scores"} <= set(tables)
    if "full" in regimes:
        assert {"macro_micro", "task_difficulty", "task_ranks", "rank_summary"} <= set(tables)
    for name in tables:
        path = tmp_path / "tables" / f"{name}.csv"
        if name == "paper_statistics" and tables[name]["ours"].isna().all():
            assert not path.exists()
            continue
        numbers = pd.read_csv(path).select_dtypes("number")
        assert numbers.notna().any().any() or not len(numbers.columns), name


@pytest.mark.parametrize("others", [["5shot"], ["full", "5shot"]])
def test_other_numbers_of_shots_have_a_leaderboard(published, tmp_path, others):
    some = few_models(published)
    some = some.replace({"regime": {"1shot": "5shot"}})
    some = some[some["regime"].isin(others)]
    board = write_tables(some, tmp_path)["leaderboard"].set_index("model")
    of_others = some[some["regime"] == "5shot"].groupby(["model", "category"])["MCC"].mean()
    macro = of_others.groupby("model").mean()
    assert board["macro 5shot"].to_dict() == pytest.approx(macro.to_dict())
    assert set(board["tasks"]) == {some["task"].nunique()}
    assert "5-shot" in (tmp_path / "leaderboard.tex").read_text()


def test_the_paper_beside_some_tasks_is_averaged_over_the_same(published, tmp_path):
    some = few_models(published)
    board = write_tables(some, tmp_path)["leaderboard"]
    assert board["macro full - published"].abs().max() < 1e-12
    assert board["micro 1shot - published"].abs().max() < 1e-12
    assert board["macro full, published"].notna().all()
    # GROVER's published scores, averaged by hand over these tasks.
    of_one = some[(some["model"] == "GROVER") & (some["regime"] == "full")]
    macro = of_one.groupby("category")["MCC"].mean().mean()
    assert board.set_index("model").loc["GROVER", "macro full, published"] == pytest.approx(macro)
    assert not [name for name in board if "paper" in name]


def test_the_leaderboard_says_of_how_many_tasks_its_averages_are(published, tmp_path):
    some = few_models(published)
    lacking = (some["model"] == "GROVER") & (some["task"] == some["task"].iloc[0])
    board = write_tables(some[~lacking | (some["regime"] != "10shot")], tmp_path)["leaderboard"]
    board = board.set_index("model")
    count = some["task"].nunique()
    assert board.loc["GROVER", "tasks"] == count - 1
    assert set(board.drop("GROVER")["tasks"]) == {count}


def test_the_leaderboards_file_has_what_its_page_shows_in_full(published, tmp_path):
    """Without labels, or a task of the first regime, a model lacks what these would say."""
    some = few_models(published).replace({"model": {"GROVER": "mine"}})
    lacking = (some["model"] == "LucaOne") & (some["task"] == some["task"].iloc[0])
    some = some[~lacking | (some["regime"] != "full")]
    ends = {("SPACE", "full"): (0.41, 0.52), ("mine", "10shot"): (0.1, 0.2)}
    columns = ["question", "model", "regime", "low", "high", "tasks"]
    others = {"macro": 0.5, "rank": 1, "rank low": 1, "rank high": 3, "group": "a"}
    rows = [
        *(("tasks", *of, *each, 10) for of, each in ends.items()),
        ("records", "mine", "full", 0.0, 0.9, 10),
        ("tasks", "SPACE", "1shot", 0.0, 0.9, 9),  # the score is of ten
    ]
    intervals = pd.DataFrame(rows, columns=columns).assign(**others)
    write_tables(some, tmp_path, others={"intervals_macro": intervals})
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    averages = [f"{kind} {regime}" for regime in ("full", "10shot", "1shot")
                for kind in ("macro", "micro")]  # fmt: skip
    of_intervals = [f"macro {regime} {end}, other tasks" for regime in ("full", "10shot")
                    for end in ("low", "high")]  # fmt: skip
    theirs = [f"{name}{sign} published" for name in averages for sign in (",", " -")]
    assert list(board) == ["rank", "model", "parameters", *averages, *of_intervals, *theirs,
                           "tasks"]  # fmt: skip
    of_full = some[some["regime"] == "full"]
    macro = of_full.groupby(["model", "category"])["MCC"].mean().groupby("model").mean()
    assert board["model"].tolist()[2] == "LucaOne" and np.isnan(board["rank"][2])
    ranked = sorted(["SPACE", "mine"], key=lambda model: -macro[model])
    assert board["model"].tolist()[:2] == ranked and board["rank"].tolist()[:2] == [1, 2]
    board = board.set_index("model")
    np.testing.assert_array_equal(board["macro full"], macro[board.index])
    assert board.loc["LucaOne", "parameters"] == 2e9 and np.isnan(board.loc["mine", "parameters"])
    for model in board.index:
        for regime in ("full", "10shot"):
            names = [f"macro {regime} {end}, other tasks" for end in ("low", "high")]
            found = tuple(board.loc[model, names])
            expected = ends.get((model, regime), (np.nan, np.nan))
            np.testing.assert_array_equal(found, expected)


def numbers_in(cell):
    """The numbers that a cell of a page shows, each with how far from its value it may be."""
    scales = {"%": 0.01, "M": 1e6, "B": 1e9}
    found = []
    for text in cell.replace("−", "-").split(" to "):
        match = re.fullmatch(r"(-?[\d,]+(?:\.(\d+))?)(?: ?([%MB]))?", text.strip())
        if match:
            scale = scales.get(match[3], 1.0)
            value = float(match[1].replace(",", "")) * scale
            # Sizes have three digits.
            off = 0.0051 * abs(value) if match[3] in ("M", "B") else 0.0
            found.append((value, max(off, 0.51 * scale * 10.0 ** -len(match[2] or ""))))
    return found


def test_every_number_of_a_page_is_in_its_csv(published, tmp_path):
    results = published[published["model"].isin(published["model"].unique()[::3])]
    others = interval_tables(results)
    write_tables(results, tmp_path, others=others)
    compared = 0
    for path in sorted(tmp_path.glob("*.md")):
        table = pd.read_csv(path.with_suffix(".csv"))
        if path.stem == "paper_statistics":
            table = table[table["ours"].notna()]
        values = table.select_dtypes("number").to_numpy(float)
        lines = path.read_text().splitlines()[2:]
        assert len(lines) == len(table)
        for line, row in zip(lines, values, strict=True):
            for cell in line.split("|")[1:-1]:
                for value, off in numbers_in(cell):
                    assert (abs(row - value) <= off).any(), (path.name, line, cell)
                    compared += 1
    assert compared > 5000


def test_names_of_other_people_do_nothing_in_tables(published, tmp_path):
    # A submission's model_id may be any text.
    names = {"LucaOne": "=cmd()", "SPACE": "a|b <script>", "GROVER": "c\\input{x}\nd"}
    results = few_models(published).replace({"model": names})
    write_tables(results, tmp_path)
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert set(board["model"]) == {"'=cmd()", "a|b <script>", "c\\input{x}\nd"}
    text = (tmp_path / "leaderboard.md").read_text()
    assert "| a\\|b \\<script> " in text
    assert "| c\\\\input{x} d " in text
    bars = {line.replace("\\|", "").count("|") for line in text.strip().split("\n")}
    assert len(bars) == 1  # every line has as many cells
    assert r"c\textbackslash{}input\{x\} d &" in (tmp_path / "leaderboard.tex").read_text()


def test_scores_of_every_task_are_the_published_ones(published, tmp_path):
    write_tables(few_models(published), tmp_path)
    found = pd.read_csv(tmp_path / "task_scores.csv")
    assert list(found) == ["model", "regime", "category", "task", "label", "MCC"]
    keys = ["model", "regime", "task"]
    theirs = published.set_index(keys)["MCC"].loc[list(found[keys].itertuples(index=False))]
    assert np.array_equal(found["MCC"], theirs)
    assert len(found) == 3 * 3 * 10


def test_tables_of_which_nothing_is_known_are_not_written(published, tmp_path):
    write_tables(few_models(published), tmp_path)
    assert (tmp_path / "size_tiers.md").exists()
    without = few_models(published).replace(
        {"model": {"LucaOne": "a", "SPACE": "b", "GROVER": "c"}}
    )
    tables = write_tables(without, tmp_path)
    lacking = without_rows(tables)
    for name in ("size_tiers", "matched_pairs", "human_versus_multi_species", "corpus_groups"):
        assert name in lacking
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == set(tables) - {"paper_statistics"}


def test_tables_of_an_earlier_call_do_not_stay_beside_other_scores(published, tmp_path):
    stale = (
        "audit", "choices_layers", "claims", "clean_scores", "floors", "intervals_custom",
        "intervals_macro", "intervals_macro_without_leaky", "leaky_tasks", "lift", "lite", "pairs",
        "pairs_custom", "pairs_without_leaky", "size_tiers", "strand_tasks", "strength_scores",
        "subsets",
    )  # fmt: skip
    foreign = {"mine.csv", "pairs.txt", "pairs_custom.csv.bak", "task_scores_old.md"}
    for name in (*foreign, *(f"{name}.{ending}" for name in stale for ending in ("csv", "md"))):
        (tmp_path / name).write_text("of other scores")
    alone = few_models(published).replace({"model": {"LucaOne": "a", "SPACE": "b", "GROVER": "c"}})
    pairs = pd.DataFrame({"A": ["a"], "B": ["b"]}).assign(
        **{"question": "tasks", "regime": "full", "A - B": 0.1, "p, Holm": 0.2, "told apart": False,
           "low": 0.0, "high": 0.2}
    )  # fmt: skip
    tables = write_tables(alone, tmp_path, others={"pairs": pairs})
    left = {path.name for path in tmp_path.iterdir()}
    assert foreign <= left
    assert {Path(name).stem for name in left - foreign} == set(tables) - {"paper_statistics"}
    assert not any("of other scores" in (tmp_path / name).read_text() for name in left - foreign)
    with pytest.raises(ValueError, match="no table has the name 'my_own'; known: intervals_macro"):
        write_tables(alone, tmp_path, others={"my_own": pairs})


def test_what_was_asked_for_and_not_written_is_named():
    others = ["paper_statistics", "intervals_macro", "pairs", "claims"]
    assert without_rows(TABLES) == others
    assert without_rows([*TABLES, "pairs"], leaky=True) == [
        "paper_statistics", "intervals_macro", "claims",
        "leaky_tasks", "intervals_macro_without_leaky", "pairs_without_leaky",
    ]  # fmt: skip
    assert without_rows([*others, "task_scores"]) == [n for n in TABLES if n != "task_scores"]


def test_ranks_and_counts_are_written_as_they_are(published, tmp_path):
    tables = write_tables(few_models(published), tmp_path)
    text = (tmp_path / "macro_micro.md").read_text().splitlines()
    ranks = [line.split("|")[-3].strip() for line in text[2:]]
    assert sorted(ranks) == ["1", "2", "3"]
    scores = [line.split("|")[2].strip() for line in text[2:]]
    assert scores == [f"{value:.3f}" for value in tables["macro_micro"]["macro"]]
    latex = (tmp_path / "rank_summary.tex").read_text()
    wins = [line.rstrip("\\ ").split("&")[-1].strip() for line in latex.splitlines() if "&" in line]
    assert wins[1:] == [str(count) for count in tables["rank_summary"]["wins"]]
    path = tmp_path / "ties"
    ties = pd.DataFrame(
        {"rank": [1.0, 2.5, 2.5], "MCC": [1.0, 0.0, 0.0], "params": [5e7, 1e9, 2e9]}
    )
    write_table(ties, path)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in
             path.with_suffix(".md").read_text().splitlines()[2:]]  # fmt: skip
    assert cells == [
        ["1", "1.000", "50,000,000"],
        ["2.5", "0.000", "1,000,000,000"],
        ["2.5", "0.000", "2,000,000,000"],
    ]
    alone = few_models(published)[lambda rows: rows["model"] == "SPACE"]
    write_tables(alone, tmp_path)
    lines = (tmp_path / "task_ranks.md").read_text().splitlines()[2:]
    assert {line.split("|")[2].strip() for line in lines} == {"1"}
