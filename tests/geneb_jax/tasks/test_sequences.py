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
    path.write_text("ACG\r\n  TT\n\n \n")
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
        (
            "x.fa",
            "; made by hand\n>a\nT\n\n # b is gone\n>b\\\u0416\n\n >c d\n>e\nA\n",
            r"x.fa: record 'b\\\u0416' \(line 6\) is empty; give it a sequence or remove it\n"
            r".*x.fa: record 'c' \(line 8\) is empty; give it a sequence or remove it$",
        ),
        (
            "x.fa",
            "".join(f">{i}\n\n" for i in range(5)),
            r"'2' \(line 5\) is empty.*\n... and 2 more such rows in .*x.fa$",
        ),
        ("x.csv", "dna,label\nA,0\n", "no column sequence or text or seq; it has dna, label"),
        ("x.txt.gz", "not gzip", "cannot be read"),
        ("x.csv", "id,sequence\nchr1:1,000,ACGT\n", r"line 2 \(row 1\) of .*x.csv has 3 fields"),
        ("x.csv", "id,seq\na,AC\nb, \n", r"sequence '' of record 'b' in row 2 of .*x.csv is empty"),
        ("x.csv", "seq,n\nAC,1\n\n\n ,2\n", r"sequence '' in row 2 \(line 5\) of .*x.csv is empty"),
        (
            "x.csv",
            "id,seq\na,AC GT\n",
            r"'AC GT' of record 'a' in row 1 of .* holds white space",
        ),
        ("x.csv", "sequence,seq\nA,C\n", "2 columns for one thing: sequence, seq"),
        (
            "x.fa",
            ">a\nAC\0GT\n",
            r"'a' \(line 1\) holds the character '\\x00' at position 3",
        ),
        (
            "x.fa",
            ">a\nAC\u0422\n",
            "line 1. holds the character '\u0422' at position 3",
        ),
        ("x.fa", ">a\nAC>b\nGT\n", r"record 'a' \(line 1\) holds the character '>'"),
        ("x.fa", "<html>\n>a\nAC\n", "line 1 is a sequence before any '>' header"),
        ("x.txt", "ACGT\n>b\n", r"line 2 of .*x.txt, '>b', holds the character '>'"),
        (
            "x.txt",
            "ACG\n\n  TT\n \t\nG\n\n",
            r"line 2 of .*x.txt, '', is empty; give it a sequence or remove it\n"
            r"line 4 of .*x.txt, '', is empty; give it a sequence or remove it$",
        ),
        ("x.txt", "\n \n", "holds no record"),
        ("x.txt", "\nACG\n", "line 1 of .*, '', is empty"),
        ("x.csv", "seq\nAC\n\nGT\n", r"sequence '' in row 2 of .*x.csv is empty"),
        ("x.csv", 'seq\nAC\n""\n', r"sequence '' in row 2 of .*x.csv is empty"),
        ("x.fq", "@a\nACGT\n+\nIII\n", "is not a FASTQ file: .*line 4.*differ"),
        ("x.fq", "@a\nACGT\n+\nIIII\n@b\nAC\n", "is not a FASTQ file: .*Premature end"),
        ("x.fq", ">a\nACGT\n", "is not a FASTQ file"),
        (
            "x.fastq",
            "@a\nAC\n+\nII\n@b x\n\n+\n\n",
            r"'b' \(line 5\) is empty; give",
        ),
        ("x.fa.gz", "", "holds no record"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_sequences(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.fa cannot be read"):
        read_sequences(tmp_path / "x.fa")


def test_fastq_and_endings_in_any_case(tmp_path):
    text = "@r1 first\nACgt\n+r1 first\nII+I\n@\nTT\n+\n+I\n"
    for name, content in (
        ("x.fq", text),
        ("x.FASTQ", text.replace("\n", "\r\n")),
        ("y.fq", text + "\n\n"),
        ("z.fq", text.rstrip("\n")),
    ):
        (tmp_path / name).write_bytes(content.encode())
        assert read_sequences(tmp_path / name) == (["r1", "1"], ["ACgt", "TT"])
    (tmp_path / "X.FQ.GZ").write_bytes(gzip.compress(text.encode()))
    assert read_sequences(tmp_path / "X.FQ.GZ")[1] == ["ACgt", "TT"]
    (tmp_path / "x.FA").write_text(">a\nAC\n")
    assert read_sequences(tmp_path / "x.FA") == (["a"], ["AC"])
    (tmp_path / "x.TSV").write_text("ID\tSequence\na\tAC\n")
    assert read_sequences(tmp_path / "x.TSV") == (["a"], ["AC"])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_fasta_lines_end_in_any_way_and_nothing_else_ends_them(tmp_path, end):
    path = tmp_path / "x.fa"
    signs = "\u2028\x85\x0b\x0c\x1c"
    path.write_bytes(end.join([f">é1\\n{signs}>b", "AC", "GT", ">c", "T"]).encode())
    assert read_sequences(path) == (["é1\\n", "c"], ["ACGT", "T"])


def test_repeated_names_and_unusual_letters_are_said(tmp_path, caplog):
    path = tmp_path / "x.fa"
    path.write_text(">s1 a\nACGT\n>s2\nAC-GT*\n>s1 b\n 1 acgt 4\n>s3\nACU\n>s2\nn\n")
    assert read_sequences(path)[1] == ["ACGT", "AC-GT*", "1acgt4", "ACU", "n"]
    repeated, odd = (record.getMessage() for record in caplog.records)
    assert "2 record names are repeated, first 's1'" in repeated
    assert "3 of 5 records hold letters other than A, C, G, T and N (* - 1 4 U), first 's2'" in odd


def test_a_damaged_gzip_file_is_named(tmp_path):
    packed = gzip.compress(b">a\n" + b"ACGTTGCA" * 500)
    for damaged in (packed[:-9], packed[:12] + b"\xff" * 20 + packed[32:]):
        (tmp_path / "x.fa.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.fa\.gz cannot be read: "):
            read_sequences(tmp_path / "x.fa.gz")


def test_a_sequence_may_be_longer_than_the_csv_modules_limit(tmp_path):
    for name, text in (("x.csv", "id,seq\na,{}\n"), ("x.fa", ">a\n{}\n"), ("x.txt", "{}\n")):
        (tmp_path / name).write_text(text.format("ACGT" * 35_000))
        assert read_sequences(tmp_path / name)[1] == ["ACGT" * 35_000]


@given(
    st.one_of(st.binary(), st.text(">@+ACGT\n\r ;#").map(str.encode)),
    st.sampled_from(["x.fa", "x.fq", "x.txt", "x.csv", "x.fa.gz"]),
)
def test_random_bytes_are_records_or_refused(tmp_path_factory, content, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        names, sequences = read_sequences(path)
    except ValueError as error:
        assert name in str(error)
        return
    assert len(names) == len(sequences) > 0
    assert all(sequences)
