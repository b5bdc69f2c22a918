import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.tasks.sequences import read_sequences


def test_fasta_with_wrapped_lines_comments_and_nameless_headers(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text(">chr1 homo sapiens\nACGT\nac\n\n; note\n>\nTT \n")
    assert read_sequences(path) == (["chr1", "1"], ["ACGTac", "TT"])
    packed = tmp_path / "x.fasta.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_sequences(packed) == read_sequences(path)


def test_csv_by_its_columns(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("label,sequence,id\n0, ACG ,first\n1,TT,\n")
    assert read_sequences(path) == (["first", "1"], ["ACG", "TT"])
    path.write_text("text,label,split\nACG,0,train\n")
    assert read_sequences(path) == (["0"], ["ACG"])


def test_lines(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("ACG\n\n  TT\n")
    assert read_sequences(path) == (["0", "1"], ["ACG", "TT"])


@given(st.lists(st.text("ACGTN", min_size=1), min_size=1), st.integers(1, 7))
def test_fasta_lines_may_be_cut_anywhere(tmp_path_factory, sequences, width):
    path = tmp_path_factory.mktemp("fasta") / "x.fna"
    cut = ["\n".join(s[i : i + width] for i in range(0, len(s), width)) for s in sequences]
    path.write_text("".join(f">r{i}\n{lines}\n" for i, lines in enumerate(cut)))
    assert read_sequences(path) == ([f"r{i}" for i in range(len(sequences))], sequences)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.bed", "chr1", "'.bed' is not a known ending; valid: .fa"),
        ("x.fa", "", "holds no record"),
        ("x.fa", "ACGT\n>a\nT\n", "line 1 is a sequence before any '>' header"),
        ("x.fa", ">a\nT\n>b\n>c\n", r"record 'b' is empty \(2 such records\)"),
        ("x.csv", "dna,label\nA,0\n", "no column sequence or text or seq; it has dna, label"),
        ("x.txt.gz", "not gzip", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_sequences(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.fa cannot be read"):
        read_sequences(tmp_path / "x.fa")
