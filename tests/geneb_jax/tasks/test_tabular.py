import csv
import gzip
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.tasks.tabular import TableError, read_table


def read(folder, content, name="x.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_end_in_any_way(folder, end, mark):
    table = read(folder, mark + end.join(["id,seq", "a,AC", "", "b,GT", ""]))
    assert table.header == ["id", "seq"]
    assert table.column("seq") == ["AC", "GT"]
    assert table.lines == [2, 4]
    assert table.where(0) == "row 1 of x.csv"
    assert table.where(1) == "row 2 (line 4) of x.csv"


def test_blank_lines_between_rows_are_said(folder, caplog):
    read(folder, "\nid,seq\na,AC\n\n \nb,GT\n\nc,T\n\n\n")
    assert caplog.messages == [
        "x.csv: 3 blank lines between its rows, first line 4: no row is read there; remove it, or "
        "give it the fields that are missing"
    ]
    caplog.clear()
    read(folder, 'id,seq\n"a\n\nb",AC\nb,GT\n\n')  # inside a quoted field, and at the end
    assert not caplog.messages


def test_a_blank_line_of_one_column_is_an_empty_field(folder, caplog):
    table = read(folder, 'seq\nAC\n\nGT\n""\n\n')
    assert table.column("seq") == ["AC", "", "GT", ""]
    assert table.lines == [2, 3, 4, 5]
    assert not caplog.messages


def test_lines_are_counted_through_quoted_newlines(folder):
    table = read(folder, 'note,seq,n\n"two\nlines, and ""quotes""",AC,1\nplain,GT,2\n')
    assert table.column("note") == ['two\nlines, and "quotes"', "plain"]
    assert table.where(1) == "row 2 (line 4) of x.csv"


@pytest.mark.parametrize("name", ["x.tsv", "x.TSV", "x.tsv.gz", "x.csv.gz", "X.CSV.GZ", "x.CSV"])
def test_endings(folder, name):
    delimiter = "\t" if "tsv" in name.lower() else ","
    content = f"id{delimiter}seq\na{delimiter}AC\n".encode()
    table = read(
        folder, gzip.compress(content, mtime=0) if name.lower().endswith("gz") else content, name
    )
    assert table.column("seq") == ["AC"]


def test_columns_go_by_name_in_any_case(folder):
    table = read(folder, "Sequence , LABEL\n AC , 1\n")
    assert table.column("text", "sequence") == ["AC"]
    assert table.column("label") == ["1"]
    assert table.has("label")
    assert not table.has("split")
    with pytest.raises(TableError, match=r"x\.csv has no column split; it has Sequence"):
        table.column("split")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('"a\nb",c', "no column sequence or text; it has a b, c"),
        ("text,label,text", "2 columns for one thing: text, text; rename"),
        ("text,label,Text", "2 columns for one thing: text, Text"),
        ("sequence,label,text", "2 columns for one thing: sequence, text"),
        (
            "text;label;split",
            "it has text;label;split; its fields seem to stand between semicolons",
        ),
        ("ACGT" * 100 + ",0,train", "ACGT... (410 letters)"),
    ],
)
def test_columns_that_are_not_to_be_told(folder, header, words):
    table = read(folder, f"{header}\n{','.join('A' * len(header.split(',')))}\n")
    with pytest.raises(TableError) as error:
        table.column("sequence", "text")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name,text\nchr1:1,000,AC\nx,GT\n",
            ["line 2 (row 1) of x.csv has 3 fields, but the header has 2: quote a field"],
        ),
        (
            "a,b,c\n1,2,3\n\n1,2\n",
            ["line 4 (row 2) of x.csv has 2 fields, but the header has 3: add the fields"],
        ),
        # R: write.table(frame, sep = ",")
        (
            '"text","label"\n"1","AC",0\n"2","GT",1\n',
            ["line 2 (row 1) of x.csv has 3 fields, but the header has 2", "row.names = FALSE"],
        ),
        ("a,b\n" + "1\n" * 9, ["line 4 (row 3)", "... and 6 more such rows in x.csv"]),
        ('a,b\n1,2\n3,"4\n5,6\n', ["not a CSV file: a quote that opens in the row of line 3"]),
        ('a,b\n"1"x,2\n', ["in the row of line 2 text follows a closing quote"]),
        # Two stray quotes make one row of three, with the fields of the header.
        (
            'text,name,label\nAC,"odd,0\nGT,x,1\nTT,y",0\nAA,z,1\n',
            ["lines 2 to 4 of x.csv are one row because of a quote"],
        ),
        ('seq\n"AC\nGT"\n', ["lines 2 to 3 of x.csv are one row"]),
        (b"a,b\n1,\x00\n", ["a NUL byte in line 2"]),
        ("a,b\n1,2\n".encode("utf-16"), ["not UTF-8 in its header"]),
        ("a,b\n1,2\n".encode("utf-16-le"), ["a NUL byte in line 1"]),
        (b"a,b\r1,2\r\xff,3\r", ["not UTF-8 in row 2 (line 3)"]),
        (" \n\n", ["x.csv is empty"]),
        ("\n a,b\n\n", ["a header and no rows"]),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), ["x.csv is gzipped; let its name end with .gz"]),
    ],
)
def test_what_is_no_table_is_refused(folder, text, words):
    with pytest.raises(TableError) as error:
        read(folder, text)
    for word in words:
        assert word in str(error.value)


def test_a_long_field_is_read_and_the_limit_of_others_kept(folder):
    limit = csv.field_size_limit()
    assert read(folder, f"id,seq\na,{'ACGT' * 50_000}\n").column("seq") == ["ACGT" * 50_000]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:12] + bytes(byte ^ 0xFF for byte in packed[12:40]) + packed[40:],
        lambda packed: b"",
        lambda packed: packed + b"junk",
    ],
)
def test_damaged_gzip_is_refused(folder, damage):
    lines = "".join(f"r{i},{'ACGT'[i % 4] * (i % 60 + 1)}\n" for i in range(500))
    packed = damage(gzip.compress(f"id,seq\n{lines}".encode()))
    with pytest.raises(TableError, match=r"x\.csv\.gz (cannot be read|is empty)"):
        read(folder, packed, "x.csv.gz")


def test_parquet_is_read_where_it_can_be(folder, monkeypatch):
    frame = pd.DataFrame({"text": ["AC", None], "label": [1, 0]})
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    table = read(folder, b"", "x.parquet")
    assert table.column("text") == ["AC", ""]
    assert table.column("label") == ["1", "0"]

    def absent(path):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(TableError, match="needs the package pyarrow, which is not installed"):
        read(folder, b"", "x.parquet")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.lists(st.tuples(TEXT, st.text("ACGTN", min_size=1), TEXT), min_size=1),
    st.sampled_from([("x.csv", ","), ("x.tsv", "\t")]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_is_read_back(folder, rows, kind, end):
    name, delimiter = kind
    buffer = io.StringIO(newline="")
    # Before Python 3.13 the writer quotes a CR only where lines end with one.
    quoting = csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("before", "sequence", "after"), *rows])
    try:
        table = read(folder, buffer.getvalue(), name)
    except TableError as error:
        # Text that looks like rows of its own, line by line.
        assert "are one row because of a quote" in str(error)
        assert any(delimiter in field and ("\n" in field or "\r" in field)
                   for row in rows for field in row)  # fmt: skip
        return
    assert [tuple(row) for row in table.rows] == rows
    assert table.column("sequence") == [sequence for _, sequence, _ in rows]
    lines = io.StringIO(buffer.getvalue(), newline="").readlines()
    for start, (before, _, _) in zip(table.lines, rows, strict=True):
        beginning = io.StringIO(before, newline="").readline().strip("\r\n").replace('"', '""')
        assert lines[start - 1].lstrip('"').startswith(beginning.lstrip('"'))


@given(
    st.one_of(
        st.binary(),
        st.text('ab,"\n\r\t \0').map(str.encode),
        st.binary().map(lambda tail: b"a,b\n1,2\n" + tail),
    ),
    st.sampled_from(["x.csv", "x.tsv", "x.csv.gz"]),
)
def test_random_bytes_are_a_table_or_refused(folder, content, name):
    try:
        table = read(folder, content, name)
    except TableError as error:
        assert name in str(error)
        return
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert len(table.lines) == len(table.rows)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_of_gzip_is_refused_or_harmless(folder, at, flip):
    good = b"id,seq\n" + b"".join(b"r%d,ACGT\n" % i for i in range(50))
    packed = bytearray(gzip.compress(good, mtime=0))
    packed[at % len(packed)] ^= flip
    try:
        table = read(folder, bytes(packed), "x.csv.gz")
    except TableError:
        return
    assert table.column("seq") == ["ACGT"] * 50
