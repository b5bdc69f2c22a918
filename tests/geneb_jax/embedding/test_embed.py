import numpy as np
import pandas as pd
import pytest

from geneb_jax.embedding.embed import embed

ROWS = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]], np.float32)  # shares of A, C, G, T
TEXTS = ["AC", "GTTT"]


@pytest.mark.parametrize(
    "sequences",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, index=[7, 3]),
        pd.Series(TEXTS, dtype="string"),
        pd.Index(TEXTS),
        iter(TEXTS),
        (text for text in TEXTS),
    ],
    ids=lambda sequences: type(sequences).__name__,
)
def test_any_iterable_of_texts_is_embedded(sequences):
    np.testing.assert_array_equal(embed("kmer-1", sequences), ROWS)


@pytest.mark.parametrize("model", ["kmer-3", "kmer-3:both"])
@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"tap": 3}, "taps=3: '{}' has no hidden states to choose among; leave taps out, or name"),
        ({"pooling": "max"}, "poolings=max: '{}' has no hidden states to pool"),
        ({"window": "8/4"}, "window=8/4: '{}' reads records whole"),
        ({"dtype": "bfloat16"}, "dtype=bfloat16: '{}' is computed in float32 alone"),
    ],
)
def test_what_a_model_without_hidden_states_would_ignore_is_refused(model, field, words):
    with pytest.raises(ValueError) as error:
        embed(model, TEXTS, **field)
    assert str(error.value).startswith(words.format(model))


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ("ACGT", "sequences is a single str; give a list"),
        (b"ACGT", "sequences is a single bytes"),
        (["AC", None], "sequences[1] is None of type NoneType; a sequence is a str"),
        (["AC", float("nan")], "sequences[1] is nan of type float"),
        (pd.Series(["AC", None], index=[5, 6]), "sequences[1] is "),
        (pd.Series(["AC", pd.NA], dtype="string"), "sequences[1] is <NA>"),
        ([b"AC"], "sequences[0] is b'AC' of type bytes"),
        (np.array([b"AC"]), "of type bytes_"),
        ([3], "sequences[0] is 3 of type int"),
        (np.arange(3), "sequences[0] is "),
        ([["A", "C"]], "sequences[0] is ['A', 'C'] of type list"),
        ({"id": "AC"}, "sequences is a dict"),
        ({"AC"}, "sequences is a set"),
        (pd.DataFrame({"ACGT": ["AC"]}), "sequences is a DataFrame; give a list, or one column"),
        (np.array([["A"]]), "sequences is a ndarray"),
        (np.array("A"), "sequences is a ndarray"),
        (None, "sequences is a NoneType"),
        ([], "there is no sequence"),
        (pd.Series([], dtype=object), "there is no sequence"),
        (["AC", ""], "sequences[1] is empty"),
        (["AC", " \n"], "sequences[1] is empty"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(sequences, words):
    with pytest.raises(ValueError) as error:
        embed("kmer-1", sequences)
    assert words in str(error.value)
