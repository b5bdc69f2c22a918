"""Evaluating from Python: the same scores as the command's, kept under the name that was given."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geneb_jax
from geneb_jax.config import ConfigError
from geneb_jax.embedding.functions import FunctionError
from geneb_jax.embedding.kmers import kmer_frequencies

RECORDS = ["ACGTTGCA", "GGGTACCA", "TTTACGAA", "CCGGTTAA", "ACACACGT", "TGCATGCC"]


@pytest.fixture
def tasks_dir(tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [f"{s * 3},{i % 2},{'test' if i > 3 else 'train'}" for i, s in enumerate(RECORDS)]
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("\n".join(["text,label,split", *rows]) + "\n")
    return str(folder)


@pytest.fixture
def evaluate(tmp_path, tasks_dir):
    def call(model, **options):
        given = {"workdir": tmp_path / "run", "tasks_dir": tasks_dir, "progress": False}
        return geneb_jax.evaluate(model, **given | options)

    return call


def shares(sequences):
    return kmer_frequencies(sequences, 2).astype(np.float64).tolist()


def test_a_function_has_the_scores_of_the_same_features_by_name(evaluate):
    by_name = evaluate("kmer-2")
    by_function = evaluate(shares, name="mine")
    assert set(by_function["model"]) == {"mine"}  # the workdir has the other rows too
    assert len(by_name) == 2 * 3 * 5
    pd.testing.assert_frame_equal(by_name.drop(columns="model"), by_function.drop(columns="model"))


def test_the_rows_are_those_that_were_asked_for(evaluate):
    evaluate("kmer-2,kmer-1")
    few = evaluate("kmer-1", tasks="two", regimes="1shot", seeds="13,17")
    assert few[["model", "task", "regime", "seed"]].to_numpy().tolist() == [
        ["kmer-1", "two", "1shot", 13],
        ["kmer-1", "two", "1shot", 17],
    ]


def test_a_function_is_called_once_a_record_in_batches_of_like_length(evaluate):
    sizes, seen = [], []

    def counted(sequences):
        sizes.append(len(sequences))
        seen.extend(sequences)
        return shares(sequences)

    first = evaluate(counted, name="mine", batch_size=4, tasks="one")
    assert sorted(sizes) == [2, 4]
    assert sorted(seen) == sorted(s * 3 for s in RECORDS)
    seen.clear()
    again = evaluate(counted, name="mine", tasks="one,two")  # two has the same records
    assert len(seen) == 4  # computed again, to see that the function is the same
    pd.testing.assert_frame_equal(first, again[again["task"] == "one"].reset_index(drop=True))


def test_another_function_needs_another_name(evaluate):
    evaluate(shares, name="mine")
    evaluate(lambda s: np.array(shares(s)) * 1.001, name="mine")  # rounding of another batch
    with pytest.raises(ConfigError, match=r"'mine': its embedding of '\w+' differs by .* name"):
        evaluate(lambda s: np.array(shares(s))[:, ::-1], name="mine")

    def wrong_once(sequences):
        vectors = np.array(shares(sequences))
        return vectors * np.where([s == RECORDS[2] * 3 for s in sequences], 2, 1)[:, None]

    with pytest.raises(ConfigError, match=r"its embedding of 'TTTACGAAT.* differs by 1 of its"):
        evaluate(wrong_once, name="mine")
    with pytest.raises(ConfigError, match="has 1 values, not 16"):
        evaluate(lambda s: np.ones((len(s), 1)), name="mine")


def test_another_function_is_found_on_other_tasks_too(evaluate, tasks_dir):
    rows = [f"{s * 2},{i % 2},{'test' if i > 3 else 'train'}" for i, s in enumerate(RECORDS)]
    (Path(tasks_dir) / "three.csv").write_text("\n".join(["text,label,split", *rows]) + "\n")
    evaluate(shares, name="mine", tasks="one")
    with pytest.raises(ConfigError, match=r"differs by .* give another function another name"):
        evaluate(lambda s: np.array(shares(s))[:, ::-1], name="mine", tasks="three")


def test_what_is_embedded_before_an_interruption_is_kept(evaluate):
    seen = []

    def interrupted(sequences):
        if seen:
            raise KeyboardInterrupt
        seen.extend(sequences)
        return shares(sequences)

    with pytest.raises(KeyboardInterrupt):
        evaluate(interrupted, name="mine", batch_size=4, tasks="one")
    first = list(seen)
    seen.clear()

    def counted(sequences):
        seen.extend(sequences)
        return shares(sequences)

    evaluate(counted, name="mine", batch_size=4, tasks="one")
    assert sorted(seen) == sorted([*first, *(s * 3 for s in RECORDS if s * 3 not in first)])


def test_a_folder_may_be_a_path_and_models_a_list(evaluate, tasks_dir):
    scores = evaluate(["kmer-1", "kmer-2"], tasks_dir=Path(tasks_dir), tasks="one")
    assert set(scores["model"]) == {"kmer-1", "kmer-2"}


def test_scores_of_embeddings_that_were_removed_are_not_taken(evaluate, tmp_path):
    def reversed_shares(sequences):
        return np.array(shares(sequences))[:, ::-1] * [*range(16)]

    first = evaluate(shares, name="mine")
    shutil.rmtree(tmp_path / "run" / "embeddings")
    found = evaluate(reversed_shares, name="mine")
    fresh = evaluate(reversed_shares, name="mine", workdir=tmp_path / "fresh")
    pd.testing.assert_frame_equal(found, fresh)
    assert not found.equals(first)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s: np.zeros((1, 3)), r"'mine' returned 1 embeddings of 6 sequences"),
        (lambda s: np.zeros(len(s)), r"shape \[6\] and dtype float64; numbers \[6, D\]"),
        (lambda s: [["a"]] * len(s), r"dtype <U1; numbers"),
        (lambda s: [[1.0], [1.0, 2.0]], "of which NumPy makes no array"),
        (lambda s: np.full((len(s), 2), np.nan), "not finite in float32 for '"),
        (lambda s: np.full((len(s), 2), 1e300), "not finite in float32 for '"),
    ],
)
def test_what_is_no_embedding_is_named(evaluate, function, message):
    with pytest.raises(FunctionError, match=message):
        evaluate(function, name="mine")


def test_batches_of_several_widths_are_refused(evaluate):
    with pytest.raises(FunctionError, match="of 3 and of 2 values; all need the same number"):
        evaluate(lambda s: np.ones((len(s), 3 if len(s) == 4 else 2)), name="mine", batch_size=4)


def test_an_error_of_the_function_comes_through(evaluate):
    def broken(sequences):
        raise KeyError(sequences[0][:4])

    with pytest.raises(KeyError):
        evaluate(broken, name="mine")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (shares, {}, "name is needed with a function"),
        (shares, {"name": "kmer-4"}, "'kmer-4' is the name of another model"),
        (shares, {"name": "a b"}, "'a b' is no name of a model"),
        (shares, {"name": "mine", "batch_size": 0}, "batch_size=0"),
        ("kmer-2", {"name": "mine"}, "model 'kmer-2' has a name"),
        ("kmer-2", {"models": "kmer-1"}, "models: the first argument says which model"),
        (shares, {"name": "mine", "taps": "all"}, "taps: a function decides itself"),
        (7, {"name": "mine"}, "model is 7; give a model's name, or a function"),
        ("kmer-2", {"seed": 3}, "config.seed: no such field; did you mean seeds"),
        ("kmer-2", {"tasks": "three"}, "'three' is no task"),
    ],
)
def test_wrong_calls_are_answered_in_a_line(evaluate, model, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(model, **options)
