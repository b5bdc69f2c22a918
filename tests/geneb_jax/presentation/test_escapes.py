import io

import pandas as pd
import pytest

from geneb_jax.presentation.escapes import csv_text, escaped, latex_text, markdown_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-1", "-1"),  # hidden states and numbers are no formulas
        ("+1.5e-3", "+1.5e-3"),
        (".5", ".5"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_formulas_get_an_apostrophe(text, shown):
    assert csv_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<script>x</script>", "\\<script>x\\</script>"),
        ("`rm` *x* [a](b)", "\\`rm\\` \\*x\\* \\[a\\](b)"),
        ("two\n lines", "two lines"),
        ("R&amp;D \\", "R\\&amp;D \\\\"),
        ("macro_F1", "macro_F1"),
    ],
)
def test_markdown_is_text_on_one_line(text, shown):
    assert markdown_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50 % & a_b #1 $x$", r"50 \% \& a\_b \#1 \$x\$"),
        ("a~b^c", r"a\textasciitilde{}b\textasciicircum{}c"),
        ("<100M | >1B", r"\textless{}100M \textbar{} \textgreater{}1B"),
        ("two\n\nparagraphs", "two paragraphs"),
    ],
)
def test_latex_is_text(text, shown):
    assert latex_text(text) == shown


def test_cells_index_and_headers_are_escaped_and_numbers_stay():
    table = pd.DataFrame({"=h": ["+a", "b"], "n": [-1.5, 2.0], 3: [1, 2]}, index=["@x", "y"])
    table.index.name = "-name"
    found = escaped(table, csv_text)
    read = pd.read_csv(io.StringIO(found.to_csv()))
    assert list(read) == ["'-name", "'=h", "n", "3"]
    assert read.to_numpy().tolist() == [["'@x", "'+a", -1.5, 1], ["y", "b", 2.0, 2]]
    assert found["n"].dtype == float
    assert list(table.index) == ["@x", "y"]  # the table itself stays
