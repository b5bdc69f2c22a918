import pandas as pd
import pytest
from rich.console import Console

from geneb_jax.presentation.auditing import (
    audit_lines,
    print_audit,
    print_hidden,
    published_medians,
)


def test_published_medians_are_of_the_40_models():
    # The 20th and the 21st of the 40 published full-shot scores, looked up in published_mcc.csv.
    assert published_medians()["leannmlindsey_GUE_mouse_0"] == pytest.approx(0.360662, abs=1e-6)
    assert len(published_medians()) == 100


def test_reasons_of_leaky_tasks_come_first():
    rows = [
        {"task": "a", "verdict": "caution", "reasons": "x"},
        {"task": "b", "verdict": "passed", "reasons": ""},
        {"task": "c", "verdict": "leaky", "reasons": "y; z"},
    ]
    assert audit_lines(rows) == ["leaky: c: y; z", "caution: a: x"]


def test_what_scores_hide_is_printed_a_row_a_model():
    console = Console(width=150, record=True, quiet=False)
    nothing = Console(record=True)
    print_hidden({}, nothing)
    assert nothing.export_text() == ""
    clean = {"regime": ["full", "10shot"], "model": ["a", "a"], "macro": [0.5, 0.1], "rank": [1, 1],
             "macro_clean": [0.25, 0.1], "low": [0.125, 0], "high": [0.375, 0],
             "clean rank": [2, 1], "tasks": [4, 4]}  # fmt: skip
    lift = {"regime": ["full"], "model": ["b"], "macro lift": [-0.0625]}
    with console.capture() as shown:
        print_hidden(
            {"clean_leaderboard": pd.DataFrame(clean), "lift": pd.DataFrame(lift)}, console
        )
    lines = [line.split() for line in shown.get().splitlines()]
    assert ["a", "0.500", "1", "0.250", "0.125", "0.375", "2", "4"] in lines
    assert ["b", "-0.062"] in lines


def test_an_audit_of_a_part_of_the_train_records_is_said_to_be_one():
    table = pd.DataFrame({"task": ["a", "b"], "verdict": ["passed", "leaky"], "reasons": ["", "r"]})
    for most, rows in ((0, table), (500, table), (500, table[:1]), (500, table[:0])):
        console = Console(width=300)
        with console.capture() as shown:
            print_audit(rows, console, most)
        lines = shown.get().splitlines()
        assert len(lines) == (len(rows) and 1 + bool(most) + (rows["verdict"] == "leaky").sum())
        assert ("of at most 500 train records of a task" in shown.get()) == bool(most and len(rows))
