"""What a person reads at the end of a run."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from score_rows import table

from geneb_jax.failures import Failure
from geneb_jax.presentation.summary import (
    headline,
    print_claims,
    print_failures,
    print_intervals,
    print_layers,
    print_problems,
    print_speeds,
    print_statistics,
    print_table,
    print_unfinished_fits,
    unfinished_fits,
)

SPEED = {
    "records_per_second": 1234.5, "tokens_per_second": 67890.1, "padding_share": 0.042,
    "flop_per_second": 2.5e11, "compile_seconds": 3.4, "peak_bytes": None,
    "program_bytes": 1_500_000_000,
}  # fmt: skip


def printed(show, *arguments):
    console = Console(file=io.StringIO(), width=160)
    show(*arguments, console)
    return console.file.getvalue()


def cells(text, first):
    (line,) = (line for line in text.splitlines() if first in line)
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_speeds_say_what_is_known_and_what_is_not():
    fast = SPEED | {"share_of_matmul_rate": 0.61, "peak_bytes": 70_000_000_000}
    unknown = SPEED | {"program_bytes": None}
    text = printed(print_speeds, {"slow": SPEED, "fast": fast, "bare": unknown})
    assert cells(text, "slow")[1:] == [
        "1,234", "67,890", "4%", "0.250", "not known", "3 s", "1.4 GiB",
    ]  # fmt: skip
    assert cells(text, "fast")[5:] == ["61%", "3 s", "65.2 GiB"]
    assert cells(text, "bare")[5:] == ["not known", "3 s", "not known"]
    assert printed(print_speeds, {}) == ""


def test_what_other_processes_could_not_do_is_listed():
    name = "process 1 of 3 (number 7 on host b)"
    able = {"process": 2, "name": "process 2 of 3", "lost": "", "problems": []}
    problems = ["model 'm' failed (check): damaged"]
    bad = {"process": 1, "name": name, "lost": f"{name} is lost: killed", "problems": problems}
    text = printed(print_problems, [bad, able])
    assert cells(text, "damaged") == [name, *problems]
    assert cells(text, "is lost") == [name, "is lost: killed"]
    assert printed(print_problems, [able]) == ""


def test_the_legend_of_intervals_is_of_the_questions_that_were_asked():
    row = {"regime": "full", "model": "x", "macro": 0.5, "low": 0.4, "high": 0.6, "rank": 1,
           "rank low": 1, "rank high": 2, "group": "a", "tasks": 7}  # fmt: skip
    text = printed(print_intervals, pd.DataFrame([{"question": "tasks", **row}]))
    assert "tasks: had other tasks of each category been chosen; of the 7 tasks that all of" in text
    assert "records" not in text and "shots" not in text
    assert text.rstrip().endswith("and none where they can")  # no group is a run of letters
    text = printed(print_intervals, pd.DataFrame([{"question": "tasks", **row, "group": "abc"}]))
    assert text.rstrip().endswith("and none where they can; a-d is a, b, c and d")
    text = printed(print_intervals, pd.DataFrame([{"question": "records", **row}]))
    assert "records: had other test records been drawn; of the 7 tasks" in text


def test_intervals_of_custom_tasks_are_printed_by_task():
    facts = {"rank low": 1, "rank high": 2, "rank": 1, "better": 0, "worse": 0, "group": "a"}
    rows = [
        {"task": task, "question": question, "regime": regime, "model": model, "MCC": mcc,
         "low": mcc - 0.1, "high": mcc + 0.1, **facts}
        for task in ("zeta", "alpha")
        for question, regime in (("records", "full"), ("shots", "10shot"))
        for model, mcc in (("worse", 0.3), ("better", 0.5))
    ]  # fmt: skip
    text = printed(print_intervals, pd.DataFrame(rows))
    assert "how sure is MCC on custom tasks? 95 % intervals over other records, shots" in text
    assert "each task by itself; rank: of the models that have it; group" in text
    found = [line.split()[:4] for line in text.splitlines() if "0.400" in line or "0.200" in line]
    assert found == [
        ["alpha", "better", "0.500", "0.400..0.600"], ["alpha", "worse", "0.300", "0.200..0.400"],
        ["zeta", "better", "0.500", "0.400..0.600"], ["zeta", "worse", "0.300", "0.200..0.400"],
    ]  # fmt: skip


@pytest.mark.parametrize("score", ["MCC", "macro"])
def test_an_interval_of_a_head_of_one_class_is_explained(score):
    facts = {"rank low": 1, "rank high": 2, "rank": 1, "group": "a", "tasks": 1}
    facts |= {"task": "my_dhs"} if score == "MCC" else {}
    row = {"question": "records", "regime": "full", "model": "kmer-4", **facts}
    alone = {**row, score: 0.0, "low": -0.135, "high": 0.144}
    words = "a score of exactly 0 is that of heads that predict one class alone"
    text = " ".join(printed(print_intervals, pd.DataFrame([alone])).split())
    assert "0.000 -0.135..0.144" in text and words in text
    assert "(docs/protocol.md, One class alone)" in text
    for other in (
        {**alone, score: 0.01},
        {**alone, "question": "tasks"},
        {**alone, "question": "shots"},
        {**alone, "low": 0.0, "high": 0.0},
    ):
        assert words not in printed(print_intervals, pd.DataFrame([other]))
    # of few-shot regimes, the screen has no intervals over other records
    both = pd.DataFrame([{**alone, score: 0.01}, {**alone, "regime": "10shot"}])
    assert words not in printed(print_intervals, both)


def test_a_score_stands_before_its_interval_and_groups_are_runs():
    """The 40 published models are in up to fifteen groups."""
    shots = [("tasks", "full", 0.6, "abcdefghijklmno"), ("shots", "10shot", 0.3, "abceg")]
    rows = [
        {"question": question, "regime": regime, "model": "x", "macro": macro, "low": macro - 0.1,
         "high": macro + 0.1, "rank": 1, "rank low": 1, "rank high": 2, "group": group, "tasks": 7}
        for question, regime, macro, group in shots
    ]  # fmt: skip
    lines = printed(print_intervals, pd.DataFrame(rows)).splitlines()
    (head,) = (line.split() for line in lines if line.split()[:1] == ["model"])
    assert head == ["model", *("macro", "tasks", "rank", "group"),
                    *("macro", "shots", "rank", "group")]  # fmt: skip
    (row,) = (re.split(r"\s{2,}", line.strip()) for line in lines if line.split()[:1] == ["x"])
    assert row == ["x", "0.600", "0.500..0.700", "1-2", "a-o",
                   "0.300", "0.200..0.400", "1-2", "a-c, e, g"]  # fmt: skip


def test_statements_are_printed_in_their_units():
    claims = pd.DataFrame(
        [{"statement": "small-beats-large pairs, all models", "paper": 74.0, "ours": 73.0,
          "low": 70.0, "high": 85.5, "models low": np.nan, "models high": np.nan, "null": np.nan,
          "by chance": np.nan, "word": "estimate"}]
    )  # fmt: skip
    line = next(line for line in printed(print_claims, claims).splitlines() if "pairs, all" in line)
    assert re.split(r"\s{2,}", line.strip()) == [
        "small-beats-large pairs, all models", "74", "73", "70.0..85.5", "estimate"
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 120, 160])
def test_statements_and_what_they_come_to_are_shown_on_any_screen(width):
    claims = pd.DataFrame(
        [{"statement": "high-variance top-3 slots, eukaryotic-genes, beside its share of models",
          "paper": 20, "ours": 19, "low": 10.0, "high": 30.5, "models low": 12, "models high": 33,
          "null": 12, "by chance": 21, "without leaky": 17, "without leaky low": 8.0,
          "without leaky high": 25, "without leaky models low": 9, "without leaky models high": 30,
          "without leaky null": 11.5, "without leaky by chance": 18, "without leaky tasks": 81,
          "tasks": 100, "audited tasks": 52,
          "word": "weak", "without leaky word": "gone"}]
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=width)
    print_claims(claims, console)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    line = next(line for line in lines if "statement " in line)
    head = line.replace("without holds", "without_holds").split()
    assert head[0] == "statement" and head[-1] == "without_holds" and {"ours", "holds"} < {*head}
    (row,) = (line.split() for line in lines if "weak" in line and "high-variance" in line)
    assert len(row) - len(head) == len(row[: row.index("20")]) - 1  # the words of the statement
    words = [row[i] for i in (head.index("holds") - len(head), -1)]
    assert words == ["weak", "gone"]
    legend = " ".join(" ".join(lines).split())
    assert ("in tables/claims alone, as they are too wide: " in legend) == (width < 160)


def test_the_best_hidden_state_is_named_beside_the_final_one():
    mcc = {"0": 0.1, "1": 0.4, "-1": 0.3}
    rows = [{"model": "x", "tap": tap, "pooling": "mean", "MCC": m} for tap, m in mcc.items()]
    text = printed(print_layers, table(*rows, {"model": "kmer-4"}))
    assert cells(text, "│ x ") == ["x", "mean", "1", "0.400", "0.300"]
    assert "kmer-4" not in text
    assert printed(print_layers, table({"model": "kmer-4"})) == ""


def test_the_table_is_of_the_preset_and_without_it_of_the_first_hidden_state():
    rows = [
        {"model": "x", "tap": tap, "pooling": "mean", "MCC": mcc}
        for tap, mcc in {"0": 0.1, "1": 0.4}.items()
    ]
    own = {"model": "x", "tap": "-1", "pooling": "mean", "MCC": 0.3}
    assert headline(table(*rows, own))["MCC"].tolist() == [0.3]
    assert headline(table(*rows))["MCC"].tolist() == [0.1]
    off = [row | {"solver": "converged"} for row in (*rows, own)]
    assert headline(table(*off))["MCC"].tolist() == [0.3]
    assert "0.300" in cells(printed(print_table, table(*rows, own)), "│ x ")


def test_averages_of_fewer_tasks_stand_below():
    rows = [{"model": "all", "task": task, "MCC": 0.2} for task in ("x", "y")]
    text = printed(print_table, table(*rows, {"model": "one", "task": "x", "MCC": 0.9}))
    body = [line for line in text.splitlines() if line.startswith("│")]
    found = [[cell.strip() for cell in line.split("│")[1:-1]] for line in body]
    assert found == [["all", "0.200", "0.200", "2"], ["one", "0.900", "0.900", "1"]]


def test_custom_tasks_are_a_table_with_the_metric_and_a_column_a_regime():
    mine = {"category": "custom", "task": "mine"}
    rows = [
        mine | {"model": model, "regime": regime, "seed": seed, "MCC": MCC}
        for model, regime, MCCs in (
            ("low", "full", (0.1, 0.2)), ("low", "10shot", (0.5, 0.5)), ("high", "full", (0.3, 0.4))
        )
        for seed, MCC in zip((13, 17), MCCs, strict=True)
    ]  # fmt: skip
    text = printed(print_table, table(*rows, mine | {"task": "other", "model": "low"}))
    title = "custom tasks, in no average: MCC, mean over seeds (logistic, solver geneb, C=1)"
    assert text.startswith(f"{title}\n")
    body = [line for line in text.splitlines() if line.startswith("│")]
    found = [[cell.strip() for cell in line.split("│")[1:-1]] for line in body]
    assert found[:2] == [["mine", "high", "0.350", ""], ["mine", "low", "0.150", "0.500"]]


def test_without_the_protocol_the_strength_closest_to_its_own_is_shown():
    swept = [{"probe": "mlp", "C": C, "MCC": MCC} for C, MCC in ((0.01, 0.1), (2.0, 0.2))]
    assert headline(table(*swept))["MCC"].tolist() == [0.2]


def test_heads_that_are_not_in_the_table_are_named():
    swept = [
        {"C": C, "class_weight": weight}
        for C in (0.001, 1.0, 10.0)
        for weight in ("none", "balanced")
    ]
    ridge = {"probe": "ridge", "solver": "closed form", "C": 100.0}
    named = "not in this table, but in scores.csv: "
    for rows, others in (
        ((*swept, ridge), "probe=ridge; class_weight=balanced; C=0.001, 10\n"),
        (({}, {"C": 0.001}), "C=0.001\n"),
    ):
        assert printed(print_table, table(*rows)).endswith(named + others)
    # What was selected on train stands in the table, whatever its C.
    selected = [{"selection": "folds", "C": C, "seed": seed} for C, seed in ((0.1, 13), (10.0, 17))]
    for rows in (({},), selected):
        assert named not in printed(print_table, table(*rows))


def test_fits_that_did_not_end_are_counted_once_a_model():
    scores = table(
        {"converged": False, "seed": 13, "objective": 0.5},
        {"converged": False, "seed": 17, "objective": 0.5},  # the same full fit
        {"converged": False, "seed": 13, "regime": "10shot", "objective": 0.4},
        {"converged": True},
        {"model": "kmer-2", "converged": False},
    )
    assert unfinished_fits(scores) == {"kmer-4": 2, "kmer-2": 1}
    console = Console(record=True, width=200)
    print_unfinished_fits(scores, console)
    assert "2 of kmer-4, 1 of kmer-2" in console.export_text()
    print_unfinished_fits(scores[scores["converged"]], quiet := Console(record=True))
    assert not quiet.export_text()


def test_what_failed_is_a_table_whose_length_is_bounded():
    console = Console(width=100, record=True)
    print_failures([], console)
    assert console.export_text() == ""
    one = Failure("some", "", "load", "x.bin: is damaged")
    print_failures([one, *[Failure("", f"task {i}", "read", "no row") for i in range(50)]], console)
    rows = [re.split(r"\s*│\s*", line)[1:5] for line in console.export_text().splitlines()]
    cells = [row for row in rows if len(row) == 4]
    assert cells[0] == ["some", "all", "load", "x.bin: is damaged"]
    assert cells[1] == ["all", "task 0", "read", "no row"]
    assert cells[-1] == ["and 11 more", "", "", "in run.json"]
    assert len(cells) == 41


def test_of_the_papers_statistics_those_that_differ_are_listed():
    statistics = pd.DataFrame(
        {
            "statistic": ["same", "other", "lacking"], "ours": [0.5, 0.4, np.nan],
            "paper": [0.5, 0.434, 1.0], "difference": [0.0, -0.034, np.nan],
            "note": ["", "a later version", "needs a run"],
        }
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=120)
    print_statistics(statistics, console)
    text = console.file.getvalue()
    assert "1 of 2 statistics agree" in text and "later version" in text
    assert "same" not in text and "lacking" not in text
