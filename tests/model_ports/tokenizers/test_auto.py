"""Tokenizers of folders, against what transformers' AutoTokenizer gives for the same text."""

import numpy as np
import pytest
import saved_models
import transformers

from model_ports.tokenizers import TokenizerError, build_tokenizer
from model_ports.tokenizers.spaced import spaced

# By kind of file: who writes it, the model_type that config.json states, and the options.
KINDS = {
    "json-bpe": (saved_models.write_json_bpe, "bert", {"kind": "json"}),
    "json-characters": (saved_models.write_characters, "bert", {"kind": "json"}),
    "kmers": (
        lambda folder: saved_models.write_wordpiece(
            folder, saved_models.kmer_words(3), do_lower_case=False
        ),
        "bert",
        {"kind": "auto", "spaced": 3},
    ),
    "esm": (saved_models.write_esm_vocabulary, "esm", {"kind": "auto"}),
    "gpt2": (saved_models.write_bpe, "gpt2", {"kind": "auto"}),
}


@pytest.fixture
def made(request, tmp_path):
    """The folder and the tokenizer of a kind of file."""
    write, model_type, options = KINDS[request.param]
    write(tmp_path)
    (tmp_path / "config.json").write_text(f'{{"model_type": "{model_type}"}}')
    return tmp_path, build_tokenizer(tmp_path, options), options.get("spaced")


every_kind = pytest.mark.parametrize("made", KINDS, indirect=True)


@every_kind
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [None, 17])
def test_ids_are_those_of_transformers(made, limit, side):
    folder, tokenizer, k = made
    theirs = transformers.AutoTokenizer.from_pretrained(folder, truncation_side=side)
    if side == "left":
        kind = "json" if (folder / "tokenizer.json").is_file() else "auto"
        options = {"kind": kind, "spaced": k, "truncation": side}
        tokenizer = build_tokenizer(folder, options)
    records = [*"ACGT", *saved_models.random_records(60, 300), "ACGNNTTA", "acgtACGT"]
    found = tokenizer.encode(records, limit)
    for record, ids in zip(records, found, strict=True):
        text = spaced(record, k)
        expected = theirs(text, truncation=limit is not None, max_length=limit)["input_ids"]
        assert ids.dtype == np.int32
        assert ids.tolist() == expected


@every_kind
def test_the_protocol_holds(made):
    _, tokenizer, k = made
    records = [*"ACGT", *saved_models.random_records(60, 300)]
    encoded = tokenizer.encode(records, None)
    assert max(ids.max() for ids in encoded) < tokenizer.vocab_size
    assert all(
        len(ids) <= len(record) + tokenizer.specials
        for ids, record in zip(encoded, records, strict=True)
    )
    assert set("ACGT") <= set(tokenizer.known_letters)
    assert tokenizer.pad_id < tokenizer.vocab_size
    known = {letter: tokenizer.encode([letter * (k or 1)], None)[0].tolist() for letter in "ACGT"}
    assert len({tuple(ids) for ids in known.values()}) == 4


@pytest.mark.parametrize(
    ("made", "known", "unknown"),
    [("kmers", "ACGT", "acgtNn"), ("esm", "ACGT", "acgtJ"), ("json-characters", "ACGTN", "acgtR")],
    indirect=["made"],
)
def test_letters_without_a_token_are_not_known(made, known, unknown):
    letters = made[1].known_letters
    assert set(known) <= set(letters)
    assert not set(unknown) & set(letters)


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    with pytest.raises(TokenizerError, match="put the model's tokenizer files into its folder"):
        build_tokenizer(None, {"kind": "auto"})
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json and no vocabulary \(vocab\.txt"):
        build_tokenizer(tmp_path, {"kind": "auto"})
    (tmp_path / "tokenizer.model").write_bytes(b"\0damaged")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(TokenizerError, match=r"bring the model's tokenizer\.json"):
        build_tokenizer(tmp_path, {"kind": "auto"})
    (tmp_path / "vocab.json").write_text("[damaged")
    with pytest.raises(TokenizerError, match=r"cannot read.*bring the model's tokenizer\.json"):
        build_tokenizer(tmp_path, {"kind": "auto"})
