import pandas as pd
import pytest

from geneb_jax.presentation.numbers import (
    column_texts,
    group_text,
    interval_text,
    number_text,
    size_text,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5649, "score", "0.565"),
        (-0.0004, "score", "0.000"),
        (1.0, "score", "1.000"),
        (74.0, "count", "74"),
        (5.801, "count", "5.8"),
        (26.288, "rank", "26.3"),
        (19.0, "rank", "19.0"),
        (0.4803, "share", "48 %"),
        (-0.004, "share", "0 %"),
        (0.0301, "p", "0.030"),
        (9.99e-6, "p", "<0.001"),
        (float("nan"), "count", ""),
    ],
)
def test_numbers_have_the_form_of_their_unit(value, unit, text):
    assert number_text(value, unit) == text


def test_only_numbers_that_do_not_round_to_zero_have_a_sign():
    assert number_text(0.0123, sign="+") == "+0.012"
    assert number_text(0.0004, sign="+") == number_text(-0.0004, sign="+") == "0.000"
    assert number_text(0.031, "share", "+") == "+3 %"


def test_an_interval_without_ends_is_nothing():
    assert interval_text(4, 65.025, "count") == "4.0 to 65.0"
    assert interval_text(4, 65, "count") == "4 to 65"
    assert interval_text(float("nan"), 1) == ""


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("rank", [1.0, 2.5, 2.5], ["1", "2.5", "2.5"]),
        ("wins, paper", [1.0, 0.0, None], ["1", "0", ""]),
        ("MCC", [1.0, 0.0, 0.4567], ["1.000", "0.000", "0.457"]),
        ("mean rank", [4.78, 6.875], ["4.8", "6.9"]),
        ("p, Holm", [1.0, 0.0001], ["1.000", "<0.001"]),
        ("p, paper", ["<0.001", "0.140"], ["<0.001", "0.140"]),
        ("relative drop to 10shot", [0.46164, 0.5], ["46 %", "50 %"]),
        ("told apart", [True, False], ["yes", "no"]),
        ("params", [5e7, 1e9], ["50,000,000", "1,000,000,000"]),
        ("A - B", [-0.0312, 0.1], ["−0.031", "0.100"]),
    ],
)
def test_columns_are_written_by_their_names_and_values(name, values, texts):
    assert column_texts(name, pd.Series(values), "−") == texts


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("", ""),
        ("a", "a"),
        ("ab", "ab"),
        ("abcdefghijklmno", "a-o"),
        ("abdf", "abdf"),
        ("abcegh", "a-c, e, gh"),
        ("xyzABC", "x-z, A-C"),
        ("ab(53)(54)", "ab(53)(54)"),
        ("XYZ(53)", "X-Z, (53)"),
    ],
)
def test_groups_that_follow_each_other_are_written_as_runs(letters, text):
    assert group_text(letters) == text


def test_sizes_have_three_digits():
    assert [size_text(size) for size in (87312, 1.93e6, 5e7, 1.2e9)] == [
        "87.3K",
        "1.93M",
        "50M",
        "1.2B",
    ]
