import pandas as pd

from geneb_jax.presentation.analysis import leaderboard
from geneb_jax.presentation.pages import PAGES, leaderboard_page, page
from geneb_jax.presentation.published import model_labels, published_results


def test_differences_to_the_paper_are_in_the_csv_alone():
    table = pd.DataFrame(
        {"macro": [0.5], "macro, paper": [0.501], "macro - paper": [-0.001]}, index=["<100M"]
    ).rename_axis("tier")
    assert page(table).to_dict("list") == {
        "tier": ["<100M"], "macro": ["0.500"], "macro, paper": ["0.501"]
    }  # fmt: skip


def test_the_leaderboard_has_rank_size_and_macro_by_regime():
    results = published_results()
    models = ["LucaOne", "SPACE", "GROVER", "Enformer"]
    some = results[results["model"].isin(models)]
    lacking = (some["model"] == "LucaOne") & (some["task"] == some["task"].iloc[0])
    some = some[~lacking].replace({"model": {"Enformer": "mine"}})
    intervals = pd.DataFrame(
        [
            {"question": "tasks", "regime": "full", "model": "SPACE", "low": 0.4741, "high": 0.597},
            {"question": "shots", "regime": "full", "model": "GROVER", "low": 0.1, "high": 0.2},
        ]
    ).assign(tasks=100)
    shown = leaderboard_page(leaderboard(some), some, model_labels(), intervals)
    assert list(shown.columns) == [
        ("", "rank"), ("", "model"), ("", "parameters"), ("macro MCC", "full"),
        ("macro MCC", "95 % interval"), ("macro MCC", "10-shot"), ("macro MCC", "1-shot"),
        ("micro MCC", "full"),
    ]  # fmt: skip
    rows = {row[1]: row for row in shown.to_numpy().tolist()}
    # The first of all has no rank, as it lacks a task; published macro MCC are 0.549, 0.539, 0.492.
    assert list(rows) == ["mine", "SPACE", "GROVER", "LucaOne"]
    assert [row[0] for row in rows.values()] == ["1", "2", "3", ""]
    assert [row[2] for row in rows.values()] == ["", "589M", "87.1M", "2B"]
    assert [row[3] for row in rows.values()][:3] == ["0.549", "0.539", "0.492"]
    assert [row[4] for row in rows.values()] == ["", "0.474 to 0.597", "", ""]
    fewer = leaderboard_page(leaderboard(some), some, model_labels(), intervals.assign(tasks=99))
    assert ("macro MCC", "95 % interval") not in fewer  # they are not of the scores beside them
    without = leaderboard_page(leaderboard(some), some, model_labels(), pd.DataFrame())
    assert ("macro MCC", "95 % interval") not in without


def test_a_paper_number_stands_beside_the_computed_one():
    drops = pd.DataFrame(
        {
            "full": [0.6], "10shot": [0.3], "1shot": [0.1], "drop full to 1shot": [0.5],
            "relative drop to 10shot": [0.5], "drop full to 1shot, paper": [0.501],
            "drop full to 1shot - paper": [-0.001], "relative drop to 10shot, paper": [0.51],
        }, index=pd.Index(["a"], name="model"),
    )  # fmt: skip
    shown = PAGES["few_shot_drops"](drops)
    assert list(shown.columns) == [
        ("", "model"), ("macro MCC", "full"), ("macro MCC", "10-shot"), ("macro MCC", "1-shot"),
        ("drop full to 1-shot", "computed"), ("drop full to 1-shot", "paper"),
        ("relative drop to 10-shot", "computed"), ("relative drop to 10-shot", "paper"),
    ]  # fmt: skip
    assert shown.iloc[0].tolist() == [
        "a", "0.600", "0.300", "0.100", "0.500", "0.501", "50 %", "51 %"
    ]  # fmt: skip
    of_run = drops[[name for name in drops if "paper" not in name]]
    assert list(PAGES["few_shot_drops"](of_run).columns)[-2:] == [
        ("", "drop full to 1-shot"), ("", "relative drop to 10-shot")
    ]  # fmt: skip
