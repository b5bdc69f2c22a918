"""The words of the report."""

import pytest

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.analysis import HIGH_VARIANCE
from geneb_jax.presentation.glossary import GLOSSARY, meanings, words_by_part, words_in
from geneb_jax.presentation.published import model_labels, paper
from geneb_jax.presentation.report_sections import AUDIT
from geneb_jax.scoring.scores import METRIC_COLUMNS


@pytest.mark.parametrize("name", GLOSSARY)
def test_meanings_are_whole_sentences(name):
    meaning = GLOSSARY[name].meaning
    assert meaning[0].isupper() or meaning[0].isdigit()
    assert meaning.endswith(".")
    assert 20 < len(meaning) < 250


def test_metrics_and_the_columns_of_the_audit_are_explained():
    assert {name.replace("_", " ") for name in METRIC_COLUMNS} <= set(GLOSSARY)
    named = {column for _, columns in AUDIT.values() for column in columns}
    assert named - {"model", "task"} <= set(GLOSSARY)


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
