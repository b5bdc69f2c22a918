import pytest

from geneb_jax.presentation.card_checks import card_problems

OF_RUN = {"model_id": "mine", "display": "mine", "params": 7, "url": "",
          "training_data": "maize"}  # fmt: skip
SAID = {"url": "https://huggingface.co/me/GROVER-maize", "display": "GROVER, maize",
        "submitted_by": "A. Person"}  # fmt: skip
GROVER_AT = "https://huggingface.co/PoetschLab/GROVER"


def found(said, of_run=OF_RUN):
    return list(card_problems("mine", {**of_run, **SAID, **said}, of_run, has_weights=True))


def test_a_card_that_says_all_has_no_problem():
    assert found({}) == []


@pytest.mark.parametrize(
    ("field", "value", "of"),
    [
        ("display", "GROVER", "GROVER"),
        ("display", "grover ", "GROVER"),
        ("display", "DNABERT 2", "dnabert2-no-flashattention"),
        ("display", "Evo 2 7B", "evo2_7b"),
        ("model_id", "GROVER", "GROVER"),
        ("model_id", "grover", "GROVER"),
        ("model_id", "NTv3_8M_pre", "NTv3_8M_pre"),
        ("url", GROVER_AT, "GROVER"),
        ("url", f"{GROVER_AT.lower()}/tree/main", "GROVER"),
        ("url", "http://www.hf.co/PoetschLab%2FGROVER/", "GROVER"),
        ("url", "https://zenodo.org/records/7995778/files/models.tar.gz", "splicebert-1024nt"),
    ],
)
def test_nobody_elses_name_and_address_are_taken(field, value, of):
    (line,) = found({field: value})
    assert f"'{value}' is that of a published model ('{of}'), whose weights were not run" in line


@pytest.mark.parametrize(
    "said",
    [
        {"url": f"{GROVER_AT}-2"},
        {"url": "https://huggingface.co/PoetschLab"},
        {"display": "GROVER 2"},
        {"model_id": "GROVER-maize"},
    ],
)
def test_names_and_addresses_like_anothers_are_free(said):
    assert found(said) == []


def test_authors_keep_their_name_and_address():
    of_run = OF_RUN | {"model_id": "GROVER", "display": "GROVER", "url": GROVER_AT}
    assert found({"url": f"{GROVER_AT}/tree/main", "display": "Grover"}, of_run) == []
    (line,) = found({"display": "Enformer"}, of_run)
    assert line.startswith("meta.display 'Enformer' is that of a published model")


def test_the_repository_that_was_run_keeps_its_name_but_not_the_published_file():
    of_run = OF_RUN | {"url": GROVER_AT}
    assert found({"display": "GROVER", "url": GROVER_AT}, of_run) == []
    (line,) = found({"model_id": "GROVER"}, of_run)
    assert line.startswith("model_id 'GROVER' is that of a published model")


@pytest.mark.parametrize("text", ["", " ", "unknown", "Unknown.", "n/a", "TBD", "not stated", "-"])
def test_words_for_not_knowing_are_no_answer(text):
    lines = found({"submitted_by": text, "training_data": text})
    assert [line.partition(" is ")[0] for line in lines] == [
        "meta.training_data", "meta.submitted_by",
    ]  # fmt: skip
