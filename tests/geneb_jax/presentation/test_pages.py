import numpy as np
import pandas as pd

from geneb_jax.presentation.pages import PAGES, page


def test_differences_to_the_paper_are_in_the_csv_alone():
    table = pd.DataFrame(
        {
            "macro": [0.5], "macro, paper": [0.501], "macro - paper": [-0.001],
            "macro full - published": [0.1], "largest |ours - published|": [0.2],
        }, index=["<100M"],
    ).rename_axis("tier")  # fmt: skip
    assert page(table).to_dict("list") == {
        "tier": ["<100M"], "macro": ["0.500"], "macro, paper": ["0.501"]
    }  # fmt: skip


def test_the_leaderboard_has_rank_size_and_macro_by_regime():
    board = pd.DataFrame(
        {
            "rank": pd.array([1, 2, None], dtype="Int64"), "model": ["SPACE", "mine", "LucaOne"],
            "parameters": pd.array([589_000_000, None, 2_000_000_000], dtype="Int64"),
            "macro full": [0.5391, 0.4921, 0.6], "micro full": [0.5, 0.4, 0.7],
            "macro 10shot": [0.3, -0.0211, 0.2], "micro 10shot": [0.1, 0.1, 0.1],
            "macro full low, other tasks": [0.4741, np.nan, np.nan],
            "macro full high, other tasks": [0.597, np.nan, np.nan],
            "macro full, published": [0.5, np.nan, 0.6],
            "macro full - published": [0.0391, np.nan, 0.0],
            "tasks": [100, 100, 99],
        }
    )  # fmt: skip
    shown = PAGES["leaderboard"](board)
    assert list(shown.columns) == [
        ("", "rank"), ("", "model"), ("", "parameters"), ("macro MCC", "full"),
        ("macro MCC", "95 %, other tasks"), ("macro MCC", "10-shot"), ("micro MCC", "full"),
    ]  # fmt: skip
    assert shown.to_numpy().tolist() == [
        ["1", "SPACE", "589M", "0.539", "0.474 to 0.597", "0.300", "0.500"],
        ["2", "mine", "", "0.492", "", "−0.021", "0.400"],
        ["", "LucaOne", "2B", "0.600", "", "0.200", "0.700"],
    ]
    bare = board[["rank", "model", "macro full", "micro full", "tasks"]]
    assert list(PAGES["leaderboard"](bare).columns) == [
        ("", "rank"), ("", "model"), ("macro MCC", "full"), ("micro MCC", "full")
    ]  # fmt: skip


def test_a_leaky_task_stands_with_what_its_audited_files_are():
    table = pd.DataFrame(
        {"task": ["x_4mC"], "label": ["4mC"], "category": ["DNA Methyl."],
         "reasons": ["Its median is 0.1."], "files": ["another source"]}
    )  # fmt: skip
    assert PAGES["leaky_tasks"](table).to_dict("records") == [
        {"label": "4mC", "category": "DNA Methyl.", "audited files": "another source",
         "reasons": "Its median is 0.1."}
    ]  # fmt: skip
    bare = table[["task", "label", "category"]]
    assert list(PAGES["leaky_tasks"](bare)) == ["label", "category"]


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
