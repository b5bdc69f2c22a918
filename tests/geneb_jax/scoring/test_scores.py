import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.scoring.scores import (
    METRIC_COLUMNS,
    ScoresError,
    arrange,
    category_means,
    cell_problem,
    macro_micro,
    merge,
    preset_rows,
    read_scores,
    represented,
    tap_position,
    write_scores,
)
from probes.metrics import score

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
    nothing = represented(scores[:0], columns)  # of a run in which everything failed
    assert nothing.empty and list(nothing.columns) == list(scores.columns)


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
    assert list(means.columns) == ["Histone Mod.", "Promoters"]


def scores_file(tmp_path, change=lambda lines: None):
    """The lines of a scores.csv of two rows, written with a change."""
    path = tmp_path / "scores.csv"
    write_scores(table({"seed": 13}, {"seed": 17}), path)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")
    return path


def put(name, value, row=1):
    def change(lines):
        lines[row][lines[0].index(name)] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("C", "one"), "C 'one' in row 1 of {path} is not a number"),
        (put("C", "-1"), "C '-1' in row 1 of {path} is not a positive number"),
        (put("seed", "13.5", 2), "seed '13.5' in row 2 of {path} is not an integer"),
        (put("converged", "yes"), "converged 'yes' in row 1 of {path} is not True or False"),
        (put("MCC", ""), "MCC '' in row 1 of {path} is missing; remove the row"),
        (put("MCC", "1.5"), "MCC '1.5' in row 1 of {path} is not in -1 .. 1"),
        (put("accuracy", "-0.1"), "accuracy '-0.1' in row 1 of {path} is not in 0 .. 1"),
        (put("tap", "last"), "tap 'last' in row 1 of {path} is no hidden state"),
        (put("category", "Promotor"), "category 'Promotor' in row 1 of {path} is no category"),
        (put("model", ""), "model '' in row 1 of {path} is empty"),
        (put("seed", "13", 2), "row 2 of {path} repeats the head of another row"),
        (lambda lines: lines[2].pop(), "line 3 (row 2) of {path} has"),
        (lambda lines: lines[0].__setitem__(1, "prset"), "{path}: no column 'preset'"),
        (lambda lines: lines[0].__setitem__(1, "model"), "{path}: column 'model' is there twice"),
        (lambda lines: lines.__delitem__(slice(1, 3)), "{path} has a header and no rows"),
        (lambda lines: lines.clear(), "{path} is empty"),
    ],
)
def test_a_file_that_is_no_scores_table_is_refused(tmp_path, change, words):
    path = scores_file(tmp_path, change)
    with pytest.raises(ScoresError) as error:
        read_scores(path)
    assert words.format(path=path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_metrics_that_a_file_of_older_code_lacks_are_missing(tmp_path):
    path = scores_file(tmp_path)
    whole = read_scores(path)
    older = whole.drop(columns=["AUROC", "AUPRC"])
    write_scores(older, path)
    found = read_scores(path)
    assert list(found.columns) == list(whole.columns)
    assert found["AUROC"].isna().all()
    pd.testing.assert_frame_equal(found[older.columns], older)


def test_rows_of_the_preset_are_those_of_the_hidden_state_that_it_pools():
    """Of Evo 2 7B an inner one; of a model that is in no catalog the final one, or the named."""

    def taps(model, *there, pooling="mean"):
        rows = table(*({"model": model, "preset": "corrected", "tap": tap, "pooling": pooling}
                       for tap in there))  # fmt: skip
        return list(preset_rows(rows)["tap"])

    assert taps("evo2_7b", "-1", "29", "mlp29", "mlp28") == ["mlp29"]
    assert taps("evo2_7b:random:tiny", "mlp29") == ["mlp29"]
    assert taps("evo2_7b_base", "-1", "mlp29") == ["-1"]  # of which the file states a part
    assert taps("evo2_1b_base", "-1", "mlp5", "3") == ["-1"]
    assert taps("mine", "-1", "mlp5") == ["-1"]
    assert taps("mine", "mlp5", "3") == ["mlp5"]
    assert taps("mine", "3") == []
    assert taps("BioFM-265M", "-1", "0", pooling="penultimate") == ["-1"]
    assert tap_position("29") < tap_position("mlp29") < tap_position("30") < tap_position("-1")


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_range_of_every_metric_holds_what_it_gives(classes):
    rng = np.random.default_rng(classes)
    found = {}
    for rows in (classes, classes + 1, 4 * classes):  # few rows reach the ends of a range
        for true in (np.arange(rows) % classes, rng.integers(0, classes, rows)):
            random = rng.normal(size=(2000, rows, classes if classes > 2 else 1))
            own = np.eye(classes)[true] if classes > 2 else true[:, None] - 0.5
            heads = np.concatenate([random, own[None], -own[None]])  # all right, and all wrong
            for name, values in score(heads.astype(np.float32), true).items():
                found.setdefault(name, []).extend(values.tolist())
    assert tuple(found) == METRIC_COLUMNS
    for name, values in found.items():
        outside = sorted(value for value in set(values) if cell_problem(name, value))
        assert not outside, f"{name} is {outside[0]}: write its lowest value into scores._LOWEST"
    assert min(found["MCC"]) < -0.3
