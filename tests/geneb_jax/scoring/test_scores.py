import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.scoring.scores import (
    arrange,
    category_means,
    macro_micro,
    merge,
    read_scores,
    represented,
    write_scores,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.floats(-1, 1), finite, finite)
def test_numbers_read_back_exactly(tmp_path_factory, mcc, objective, norm):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    scores = table({"MCC": mcc, "objective": objective, "gradient_norm": norm})
    write_scores(scores, path)
    pd.testing.assert_frame_equal(read_scores(path), scores, check_exact=True)


def test_merge_replaces_rows_with_the_same_key():
    old = table({"C": 0.1, "MCC": 0.1}, {"C": 1.0, "MCC": 0.2})
    both = merge(old, table({"C": 1.0, "MCC": 0.9}, {"C": 10.0, "MCC": 0.3}))
    assert both.set_index("C")["MCC"].to_dict() == {0.1: 0.1, 1.0: 0.9, 10.0: 0.3}


def test_rows_of_the_representations_that_are_asked_for():
    scores = table(
        {"model": "A", "preset": "corrected", "dtype": "bfloat16", "tap": "-1", "pooling": "mean"},
        {"model": "A", "preset": "corrected", "dtype": "float32", "tap": "-1", "pooling": "mean"},
        {"model": "A", "preset": "corrected", "dtype": "bfloat16", "tap": "3", "pooling": "mean"},
        {"model": "B", "preset": "corrected", "dtype": "bfloat16", "tap": "-1", "pooling": "mean"},
        {"model": "kmer-4"},
    )
    columns = {
        "A": [{"preset": "corrected", "dtype": "bfloat16", "tap": "-1", "pooling": "mean"}],
        "kmer-4": [{"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}],
    }
    assert list(represented(scores, columns).index) == [0, 4]


def test_rows_stand_in_the_benchmarks_order():
    first, second = GENEB.tasks[0].id, GENEB.tasks[60].id
    scores = table(
        {"model": "z", "task": second},
        {"model": "a", "regime": "1shot"},
        {"model": "z", "task": "mine"},
        {"model": "z", "regime": "10shot", "task": first},
        {"model": "z", "regime": "5shot", "task": first},
        {"model": "z", "task": first},
    )
    found = arrange(scores, ["z"])
    assert list(zip(found["model"], found["task"], found["regime"], strict=True)) == [
        ("z", first, "full"), ("z", first, "10shot"), ("z", first, "5shot"),
        ("z", second, "full"), ("z", "mine", "full"), ("a", first, "1shot"),
    ]  # fmt: skip


def test_macro_is_the_mean_of_category_means_without_custom_tasks():
    histone = [task.id for task in GENEB.tasks if task.category == "Histone Mod."][:2]
    rows = [
        {"task": histone[0], "MCC": 0.2, "seed": 13},
        {"task": histone[0], "MCC": 0.4, "seed": 17},
        {"task": histone[1], "MCC": 0.5},
        {"task": GENEB.tasks[30].id, "category": "Promoters", "MCC": 0.8},
        {"task": "mine", "category": CUSTOM, "MCC": -1.0},
    ]
    (found,) = macro_micro(table(*rows)).to_dict("records")
    assert found["macro"] == pytest.approx((0.4 + 0.8) / 2)
    assert found["micro"] == pytest.approx((0.3 + 0.5 + 0.8) / 3)
    assert found["tasks"] == 3
    means = category_means(table(*rows))
    assert list(means.columns) == ["Histone Mod.", "Promoters", CUSTOM]
