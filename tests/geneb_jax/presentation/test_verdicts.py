import csv
import re

import pandas as pd
import pytest

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.verdicts import (
    SHIPPED,
    SHIPPED_AUDIT,
    Verdict,
    audited_words,
    counted_words,
    leaky_table,
    leaky_tasks,
    order_words,
    read_verdicts,
    sentences,
)

MICE = [task.id for task in GENEB.tasks if task.label in ("GUE mouse 0", "GUE mouse 4")]


def test_an_audit_is_read(tmp_path):
    path = tmp_path / "audit.csv"
    rows = ["task,n_test,verdict", "GUE mouse 0,810,leaky", "NT H3,5,passed", f"{MICE[1]},1,leaky"]
    path.write_text("\n".join(rows))
    verdicts = read_verdicts(str(path))
    words = {task: verdict.word for task, verdict in verdicts.items()}
    assert words == {MICE[0]: "leaky", GENEB.tasks[0].id: "passed", MICE[1]: "leaky"}
    assert set(verdicts.values()) == {Verdict("leaky"), Verdict("passed")}
    assert leaky_tasks(verdicts) == MICE
    path.write_text("task,category,verdict\nmine,custom,leaky\nNT H3,Histone Mod.,leaky\n")
    assert leaky_tasks(read_verdicts(str(path))) == [GENEB.tasks[0].id]  # custom ones do not count
    path.write_text("task,n_test\nNT H3,5\n")
    with pytest.raises(ValueError, match="no column 'verdict'"):
        read_verdicts(str(path))
    path.write_text("task,verdict\nNT H33,leaky\n")
    with pytest.raises(ValueError, match="'NT H33' is no task of the benchmark"):
        read_verdicts(str(path))
    with pytest.raises(
        ValueError, match=r"'nothing\.csv' is no file; name the CSV of an audit, or"
    ):
        read_verdicts("nothing.csv")


def test_reasons_of_a_verdict_are_one_by_one():
    verdicts = read_verdicts(SHIPPED)
    assert sentences(verdicts["iPro-WAEL_Promoter_R_capsulatus"].reasons) == [
        "515 of 2,116 test records are copies (17) or near copies (498) of train records.",
        "Without a model, 'nearest' (the label of the nearest train record) reaches an MCC of "
        "0.481 on the test records.",
        "It answers 32% of them; all others are given one class.",
        "Depending on that class, its MCC lies between 0.15 and 0.48.",
        "89% of its answers are right.",
        "The median of the published models is 0.272.",
    ]
    for verdict in verdicts.values():
        assert " ".join(sentences(verdict.reasons)) == verdict.reasons
        assert all(". " not in each and each[-1] == "." for each in sentences(verdict.reasons))
    assert sentences("") == []
    assert sentences("its copies, e.g. those of mice") == ["its copies, e.g. those of mice"]


@pytest.mark.parametrize("word", ["Leaky", "leakey", "clean", ""])
def test_a_verdict_that_is_not_known_is_refused(word, tmp_path):
    path = tmp_path / "audit.csv"
    path.write_text(f"task,verdict\nNT H3,passed\nGUE mouse 0,{word}\n")
    said = f"row 2 of {path}: the verdict on 'GUE mouse 0' is '{word}'; write one of leaky, caution"
    with pytest.raises(ValueError, match=re.escape(said)):
        read_verdicts(str(path))
    path.write_text(f"task,verdict\n\nsomebody's,{word}\n")
    with pytest.raises(ValueError, match=r"row 1 \(line 3\) of .*: the verdict on 'somebody's'"):
        read_verdicts(str(path))


def test_the_shipped_audit_says_what_it_is_of():
    with SHIPPED_AUDIT.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    verdicts = read_verdicts(SHIPPED)
    said = {row["task"]: (row["verdict"], row["reasons"], row["files"]) for row in rows}
    assert said == verdicts and len(rows) == 52
    medians = published_results().query("regime == 'full'").groupby("task")["MCC"].median()
    for row in rows:
        assert row["files"]
        assert all(len(bytes.fromhex(row[f"{split}_sha256"])) == 32 for split in ("train", "test"))
        assert float(row["published_median"]) == pytest.approx(medians[row["task"]], abs=5e-4)
        share = (int(row["copies"]) + int(row["near"])) / int(row["n_test"]) / 0.1
        reached = float(row["best_rule_MCC"]) / float(row["published_median"])
        if min(abs(reached - 1), abs(reached - 0.5)) > 0.02:  # beside rounding
            worst = max(share, reached)
            word = "leaky" if worst >= 1 else "caution" if worst >= 0.5 else "passed"
            assert row["verdict"] == word


def test_the_tasks_that_are_left_out_are_named_with_reasons():
    verdicts = read_verdicts(SHIPPED)
    tasks = [*MICE, GENEB.tasks[0].id, "elsewhere"]
    table = leaky_table(verdicts, tasks)
    assert list(table) == ["task", "label", "category", "reasons", "files"]
    assert table["task"].tolist() == MICE
    assert table["label"].tolist() == ["GUE mouse 0", "GUE mouse 4"]
    assert set(table["category"]) == {"Mouse Enh."} and set(table["files"]) == {"GUE's files"}
    assert table["reasons"].str.contains("twin").all()
    assert len(leaky_table(verdicts, {task.id for task in GENEB.tasks})) == 19
    assert list(leaky_table({MICE[0]: Verdict("leaky")}, tasks)) == ["task", "label", "category"]
    assert leaky_table(verdicts, ["elsewhere"]).empty
    assert counted_words(verdicts) == (
        "19 of 52 audited tasks are leaky; 48 of the benchmark's were not audited"
    )


@pytest.mark.parametrize(
    ("leaky", "audited", "words"),
    [
        (0, 1, "0 of 1 audited task is leaky; 99 of the benchmark's were not audited"),
        (1, 1, "1 of 1 audited task is leaky; 99 of the benchmark's were not audited"),
        (1, 2, "1 of 2 audited tasks is leaky; 98 of the benchmark's were not audited"),
        (0, 99, "0 of 99 audited tasks are leaky; 1 of the benchmark's was not audited"),
    ],
)
def test_counts_of_leaky_tasks_are_english(leaky, audited, words):
    ids = [task.id for task in GENEB.tasks[:audited]]
    assert words == counted_words(
        {name: Verdict("leaky" if i < leaky else "passed") for i, name in enumerate(ids)}
    )


def test_orders_that_rest_on_leaky_tasks_are_said():
    asked = {"question": "tasks", "regime": "full"}

    def words(*rows):
        """Of A, B, A - B and whether they are told apart, on all tasks and without the leaky."""
        names = ("A", "B", "A - B", "told apart")
        before = [{**asked, **dict(zip(names, row[:4], strict=True))} for row in rows]
        after = [
            {**each, "A - B": row[4], "told apart": row[5],
             "told apart, all tasks": row[3], "left out": row[6], "tasks": 4 - row[6]}
            for each, row in zip(before, rows, strict=True)
        ]  # fmt: skip
        return order_words(
            {"pairs": pd.DataFrame(before), "pairs_without_leaky": pd.DataFrame(after)}
        )

    assert order_words({"pairs": pd.DataFrame([asked])}) == ""
    assert words(("a", "b", 0.1, True, 0.2, True, 2), ("a", "c", 0.1, False, -0.1, True, 2)) == ""
    assert words(("a", "b", 0.1, True, -0.2, True, 1)) == (
        "without the 1 leaky task b comes before a (full, other tasks, over 3 tasks instead of 4); "
        "tables/pairs_without_leaky"
    )
    # A single task may be all that remains of them.
    assert "b comes before a (full, other tasks, over 1 task instead of 4)" in words(
        ("a", "b", 0.1, True, -0.2, True, 3)
    )
    lost = [("a", name, 0.1, True, 0.1, False, 2) for name in "cde"]
    assert words(("a", "b", -0.1, True, 0.2, False, 2), *lost) == (
        "without the 2 leaky tasks a comes before b (full, other tasks, over 2 tasks instead of "
        "4); a and c are no longer told apart (full, other tasks, over 2 tasks instead of 4) (more "
        "such pairs: 2 in full); tables/pairs_without_leaky"
    )
    # A pair that two questions are asked of counts once in a regime.
    before = pd.concat([
        pd.DataFrame({"question": question, "regime": regime, "A": "a", "B": list("cd"),
                      "A - B": 0.1, "tasks": 3, "told apart": False, "told apart, all tasks": True,
                      "left out": 1})
        for question, regime in (("tasks", "10shot"), ("tasks", "full"), ("records", "full"))
    ])  # fmt: skip
    assert "(more such pairs: 1 in full, 2 in 10shot)" in order_words(
        {"pairs": before, "pairs_without_leaky": before}
    )
    assert words(*lost[:1], ("a", "f", 0.1, True, -0.1, False, 3)).startswith("without leaky tasks")


def test_words_say_what_no_audit_saw():
    claims = pd.DataFrame({"tasks": [100]})
    assert "no audit of the tasks was given: --leaky=shipped" in audited_words(claims)
    assert "by the 52 of 100 tasks" in audited_words(claims)
    claims = claims.assign(**{"without leaky": 0.1, "audited tasks": 52, "without leaky tasks": 81})
    assert audited_words(claims) == (
        "19 tasks are left out (tables/leaky_tasks); 52 of the 100 were audited, in files that may "
        "not be those of the scores; the other 48 were not and stay"
    )
    one, all_but_one = (
        audited_words(claims.assign(**{"audited tasks": count})) for count in (1, 99)
    )
    assert "; 1 of the 100 was audited, in files" in one
    assert all_but_one.endswith("the other 1 was not and stays")
    one, none = (
        audited_words(claims.assign(**{"without leaky tasks": left})) for left in (99, 100)
    )
    assert one.startswith("1 task is left out (") and none.startswith("0 tasks are left out; 52")
