"""Windows by their definition, and averages by hand."""

from dataclasses import replace

import numpy as np
import pytest
from golden_ports import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.port import Reader
from model_ports.running.records import refused
from model_ports.running.unseen import unseen
from model_ports.running.windows import (
    average_windows,
    cut_into_windows,
    telling_of_records,
    windows_of,
)
from model_ports.tokenizers import build_tokenizer

NT = "nucleotide-transformer-v2-50m-multi-species"


def reader(window, stride, **fields):
    entry = catalog.get(NT)
    tokenizer = build_tokenizer(GOLDEN / NT, entry.tokenizer)
    preset = replace(entry.preset("corrected"), window=window, stride=stride, **fields)
    return Reader(entry, preset, None, tokenizer, ())


@given(length=st.integers(0, 60), window=st.integers(1, 20), stride=st.integers(1, 20))
def test_windows_cover_a_record_and_the_last_one_ends_with_it(length, window, stride):
    stride = min(stride, window)
    record = "".join(chr(200 + i) for i in range(length))  # every letter tells where it stood
    windows = windows_of(record, window, stride)
    if length <= window:
        assert windows == [record]
        return
    assert {len(each) for each in windows} == {window}
    starts = [record.index(each[0]) for each in windows]
    assert all(
        record[start : start + window] == each for start, each in zip(starts, windows, strict=True)
    )
    assert starts[:-1] == list(range(0, length - window, stride))
    assert starts[-1] == length - window
    assert set("".join(windows)) == set(record)


@pytest.mark.parametrize(("length", "starts"), [(1024, [0]), (1025, [0, 1]), (1536, [0, 512])])
def test_starts_of_the_submission_of_splicebert(length, starts):
    record = "".join(chr(200 + i) for i in range(length))
    windows = windows_of(record, 1024, 512)
    assert [record.index(each[0]) for each in windows] == starts


def test_averages_are_weighted_by_tokens():
    records = ["ACGTAC" * 2 + "ACG", "ACGTAC"]  # windows of 12, 12 and 6 letters
    cut = cut_into_windows(reader(12, 12), records)
    assert cut.windows == ["ACGTACACGTAC", "TACACGTACACG", "ACGTAC"]
    assert cut.counts == [2, 1]
    # An N costs two tokens more than the 6-mer that it breaks: <cls>, 5 letters, N, a 6-mer.
    cut = cut._replace(windows=["ACGTACACGTAC", "ACGTANACGTAC", "ACGTAC"])
    vectors = np.array([[1, 0], [0, 1], [5, 7]], np.float32)
    tokens = np.array([3, 8])
    found = average_windows(reader(12, 12), vectors, cut)
    np.testing.assert_allclose(found, [tokens / tokens.sum(), [5, 7]], rtol=1e-6)


def test_progress_is_told_of_records():
    told = []
    tell = telling_of_records(told.append, records=3, parts=25)
    for _ in range(25):
        tell(1)
    assert sum(told) == 3
    assert max(told) == 1


def test_records_in_windows_are_neither_cut_nor_too_long():
    long = "ACGTAC" * 40
    limited = reader(None, None, max_tokens=8)
    assert [each.kind for each in unseen(limited, [long])] == ["cut"]
    assert unseen(reader(42, 42, max_tokens=8), [long]) == []  # 7 tokens and <cls>
    assert [each.kind for each in unseen(reader(48, 48, max_tokens=8), [long])] == ["cut"]

    class Config:
        vocab_size, max_tokens = 5000, 8

    without = replace(reader(None, None, max_tokens=None), config=Config)
    assert [i for i, _ in refused(without, ["ACGT", long])] == [1]
    within = replace(reader(42, 21, max_tokens=None), config=Config)
    assert refused(within, ["ACGT", long]) == []
    # The last window: <cls>, 34 letters as five 6-mers and four letters, eight N.
    assert refused(within, ["ACGT", long + "N" * 8]) == [
        (1, "has 18 tokens, but the model has 8 positions; cut it")
    ]
