"""The words of the report."""

import pandas as pd
import pytest

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import glossary
from geneb_jax.presentation.analysis import HIGH_VARIANCE
from geneb_jax.presentation.glossary import GLOSSARY, meanings, words_by_part, words_in
from geneb_jax.presentation.published import model_labels, paper
from geneb_jax.presentation.report_sections import audit_sections
from geneb_jax.scoring.scores import METRIC_COLUMNS

AUDITED = {
    "task": GENEB.tasks[0].id, "n_train": 1497, "n_test": 150, "copies": 0, "near": 7, "twins": 2,
    "clean": 141, "best_rule": "opposite_twin", "best_rule_train_MCC": 0.5624,
    "best_rule_MCC": -0.1, "published_median": 0.6708, "verdict": "leaky", "reasons": "Why.",
}  # fmt: skip


@pytest.mark.parametrize("name", GLOSSARY)
def test_meanings_are_whole_sentences(name):
    meaning = GLOSSARY[name].meaning
    assert meaning[0].isupper() or meaning[0].isdigit()
    assert meaning.endswith(".")
    assert 20 < len(meaning) < 250


def test_metrics_and_the_columns_of_the_audit_are_explained():
    unexplained = {name.replace("_", " ") for name in METRIC_COLUMNS} - set(GLOSSARY)
    assert not unexplained, f"write what {unexplained} means into GLOSSARY of {glossary.__file__}"
    scored = {"regime": ["full"], "model": ["x"], "macro": [0.5], "low": [0.4], "high": [0.6],
              "rank": [1], "tasks": [3]}  # fmt: skip
    tables = {
        "audit": pd.DataFrame([AUDITED]),
        "intervals_macro": pd.DataFrame(
            scored | {"question": "tasks", "rank low": 1, "rank high": 2, "group": "a"}
        ),
        "clean_leaderboard": pd.DataFrame(
            scored | {"macro_clean": 0.4, "clean rank": 1, "clean rank low": 1,
                      "clean rank high": 2, "left out": 1}
        ),
    }  # fmt: skip
    sections = audit_sections(tables)
    assert [section["name"] for section in sections] == list(tables)
    for section in sections:
        named = {name for name, _ in section["header"]}
        assert named - {"model"} <= set(section["meanings"]), section["name"]
    (audit, intervals, clean) = (
        [cell for row in each["rows"] for cell in row] for each in sections
    )
    assert audit == [
        GENEB.tasks[0].label, "1,497", "150", "0", "7", "2", "141", "opposite twin", "0.562",
        "−0.100", "0.671", "leaky", "Why.",
    ]  # fmt: skip
    assert [kind for _, kind in sections[0]["header"]] == [
        "text", *[""] * 6, "text", *[""] * 3, "text", "sentences"
    ]  # fmt: skip
    assert intervals == ["tasks", "full", "x", "0.500", "0.400 to 0.600", "1", "1 to 2", "a"]
    assert clean == [
        "full", "x", "0.500", "1", "0.400", "0.400 to 0.600", "1", "1 to 2", "3", "1"
    ]  # fmt: skip


def test_the_caption_of_intervals_is_of_the_questions_that_were_asked():
    row = {"regime": "full", "model": "x", "macro": 0.5, "low": 0.4, "high": 0.6, "rank": 1,
           "rank low": 1, "rank high": 2, "group": "a"}  # fmt: skip

    def caption(*questions):
        table = pd.DataFrame([{"question": question, **row} for question in questions])
        return audit_sections({"intervals_macro": table})[0]["caption"]

    assert "had other tasks of each category (tasks) been drawn. Ranks" in caption("tasks")
    assert "shots" not in caption("tasks", "records") and "record" not in caption("tasks")
    assert (
        "other test records (records), few-shot rows (shots; not in full, where all seeds fit the "
        "same rows) or tasks of each category (tasks) been drawn"
    ) in caption("tasks", "shots", "records")


def test_a_tables_columns_are_explained_in_their_order():
    assert list(meanings(["rank", "none of them", "MCC"])) == ["rank", "MCC"]


def test_words_of_statements_are_explained_where_they_stand():
    texts = ["small-beats-large pairs, in-domain models", "rho(size, macro), all models", "rank"]
    assert list(words_in(texts)) == ["rho", "in-domain", "small-beats-large"]
    assert words_in(["mean macro MCC, 10shot"]) == {}
    labels = model_labels()
    outside = [name for name in labels.index if name in GLOSSARY["in-domain"].meaning]
    assert sorted(outside) == sorted(paper()["out_of_domain"])
    assert f"above {HIGH_VARIANCE}" in GLOSSARY["high-variance"].meaning


def test_the_page_lists_every_word_once():
    listed = [name for words in words_by_part().values() for name in words]
    assert sorted(listed) == sorted(GLOSSARY)
    assert f"One of {len(GENEB.categories)} biological groups" in GLOSSARY["category"].meaning
