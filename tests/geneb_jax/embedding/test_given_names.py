import pytest

from geneb_jax.embedding.given_names import split_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf:some/folder", ("", "some/folder")),
        ("mine=hf:some/folder", ("mine", "some/folder")),
        ("my.model_2-b=hf:a=b", ("my.model_2-b", "a=b")),
        ("hf:a=hf:b", ("", "a=hf:b")),
        ("kmer-4", None),
        ("mine=embeddings:x", None),
    ],
)
def test_a_name_is_what_stands_before_the_kind(name, expected):
    assert split_name(name, "hf:") == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "is no name of a model"),
        ("my model", "is no name of a model"),
        ("a/b", "is no name of a model"),
        ("..", "is no name of a model"),
        ("kmer-4", "name of another model"),
        ("all", "name of another model"),
        ("grover", "name of another model"),
        ("InstaDeepAI", None),
        ("NT-v2-50M-MS", "name of another model"),
    ],
)
def test_names_are_those_of_no_other_model(given, words):
    if words is None:
        assert split_name(f"{given}=hf:x", "hf:") == (given, "x")
        return
    with pytest.raises(ValueError, match=words) as error:
        split_name(f"{given}=hf:x", "hf:")
    assert "as in NAME=hf:x" in str(error.value)
