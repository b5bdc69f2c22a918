"""What a model refuses is known without tokenizing most records."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from golden_ports import GOLDEN, golden_port
from hypothesis import given, settings
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.loading.ports import random_reader
from model_ports.port import Reader
from model_ports.running.records import refused, tokenize
from model_ports.tokenizers import build_tokenizer

TOKENIZERS = {
    id: build_tokenizer(GOLDEN / id, entry.tokenizer) for id, entry in catalog.entries().items()
}
PIECES = ["A", "C", "G", "T", "N", "n", "acgt", " ", "é", "ﷺ", "R", "<", ">", "<eos>", "<bos>",
          "[MASK]", "</s>", "<|endoftext|>", "X", "-", "1", "\t"]  # fmt: skip
RECORDS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join)


@given(st.text("ACGTNacgtnRUX", min_size=1, max_size=60))
@settings(max_examples=150)
def test_letters_give_no_more_tokens_or_larger_ids_than_a_tokenizer_says(record):
    for name, tokenizer in TOKENIZERS.items():
        (ids,) = tokenizer.encode([record], None)
        assert len(ids) <= len(record) + tokenizer.specials, name
        assert ids.max(initial=0) < tokenizer.vocab_size, name


def tokens_one_by_one(reader, records):
    """Independent of `refused`: every record is tokenized."""
    found = []
    for i, record in enumerate(records):
        try:
            tokenize(reader, [record])
        except ValueError as error:
            found.append((i, str(error).partition("record 0 ")[2]))
    return found


@given(
    name=st.sampled_from(sorted(TOKENIZERS)),
    records=st.lists(RECORDS, min_size=1, max_size=6),
    positions=st.none() | st.integers(4, 40),
    cut=st.none() | st.integers(4, 40),
    fewer_rows=st.integers(0, 3),
)
@settings(max_examples=200)
def test_refused_are_those_that_tokenizing_refuses(name, records, positions, cut, fewer_rows):
    entry, tokenizer = catalog.get(name), TOKENIZERS[name]
    config = SimpleNamespace(max_tokens=positions, vocab_size=tokenizer.vocab_size - fewer_rows)
    preset = replace(entry.preset("corrected"), max_tokens=cut)
    reader = Reader(entry, preset, config, tokenizer, unknown_fields=())
    assert refused(reader, records) == tokens_one_by_one(reader, records)


def test_special_tokens_beyond_the_rows_are_named():
    # Its published vocabulary has two tokens more than its embedding has rows.
    reader = random_reader(catalog.get("nucleotide-transformer-2.5b-multi-species"))
    ((index, reason),) = refused(reader, ["ACGTAC", "ACGTAC<bos>", "GGN"])
    assert index == 1
    assert "token id 4106, but the model has 4105 rows; remove special tokens" in reason


def test_records_of_ordinary_length_are_not_tokenized(monkeypatch):
    class NeverTokenizer:
        vocab_size, specials = 4096, 3

        def encode(self, sequences, max_tokens):
            assert not sequences
            return []

    config = SimpleNamespace(max_tokens=512, vocab_size=4096)
    entry = catalog.get("gena-lm-bert-base")
    preset = replace(entry.preset("corrected"), max_tokens=None)
    reader = Reader(entry, preset, config, NeverTokenizer(), unknown_fields=())
    assert refused(reader, ["A" * 509] * 100) == []
    with pytest.raises(AssertionError):
        refused(reader, ["A" * 510])


def test_a_token_without_an_embedding_row_is_named():
    name = "nucleotide-transformer-v2-50m-3mer-multi-species"
    port = golden_port(name)
    limited = type(port)(**{**vars(port), "config": type(port.config)(
        **{**vars(port.config), "vocab_size": 5})})  # fmt: skip
    with pytest.raises(ValueError, match="but the model has 5 rows"):
        tokenize(limited, ["ACGTTAGCC"])
