"""What a page takes; the tables of the published scores and of two runs also went through pdflatex,
whose text of 17 cm held them all."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.presentation.latex import latex_table


def parsed(latex):
    """The rows of a table: of each its cells, one that spans several columns once for each."""
    assert latex.count(r"\begin{") == latex.count(r"\end{")
    plain = re.sub(r"\\[{}]", "", latex)
    assert plain.count("{") == plain.count("}")
    columns = re.search(r"\\begin\{(?:tabular|longtable)\}\{(.*)\}\n", latex)[1]
    count = len(re.sub(r">\{.*?\}p\{.*?\}", "p", columns))
    rows = []
    for line in latex.splitlines():
        if not line.endswith(r" \\"):
            continue
        cells = []
        for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\")):
            span = re.match(r" ?\\multicolumn\{(\d+)\}\{c\}\{(.*)\}", cell)
            cells += [span[2]] * int(span[1]) if span else [cell.strip()]
        assert len(cells) == count, line
        assert not re.search(r"(?<!\\)[#%_]", line), line
        rows.append(cells)
    return rows


def test_the_head_is_one_row_and_numbers_are_set_to_the_right():
    table = pd.DataFrame({"model": ["a_b", "c"], "MCC": ["0.500", "−0.010"], "share": ["48 %", ""]})
    latex = latex_table(table)
    assert r"\begin{tabular}{lrr}" in latex
    assert parsed(latex) == [
        ["model", "MCC", "share"], [r"a\_b", "0.500", r"48 \%"], ["c", "$-$0.010", "--"]
    ]  # fmt: skip


def test_a_name_above_several_columns_stands_above_them():
    table = pd.DataFrame(
        {("", "rank"): ["1"], ("macro", "full"): ["0.5"], ("macro", "1-shot"): ["0.1"]}
    )
    latex = latex_table(table)
    assert parsed(latex)[:2] == [["", "macro", "macro"], ["rank", "full", "1-shot"]]
    assert r"\cmidrule(lr){2-3}" in latex and latex.count("cmidrule") == 1


def test_long_tables_break_and_wide_ones_are_small():
    long = latex_table(pd.DataFrame({"x": ["1"] * 51}))
    assert r"\begin{longtable}{r}" in long and r"\endhead" in long
    assert "longtable}{" not in latex_table(pd.DataFrame({"x": ["1"] * 50}))
    ten, twelve, thirteen, eighteen = (  # columns of eight digits
        latex_table(pd.DataFrame({f"x{i}": ["12345678"] for i in range(count)}))
        for count in (10, 12, 13, 18)
    )
    assert r"\begingroup\footnotesize" in ten and ten.rstrip().endswith(r"\endgroup")
    assert r"\begingroup\scriptsize" in twelve
    lines = thirteen.splitlines()
    assert (lines[1], lines[-1]) == (r"\begin{landscape}", r"\end{landscape}")
    assert "landscape}" not in twelve and eighteen == ""
    numbers = latex_table(pd.DataFrame({f"name of model {i}": ["1"] for i in range(12)}))
    assert r"\scriptsize" in numbers and numbers.count(r"\rotatebox{90}{name of model") == 12
    sentences = latex_table(pd.DataFrame({"note": ["word " * 20], "x": ["1"]}))
    assert r"p{0.36\linewidth}r}" in sentences
    name = latex_table(pd.DataFrame({"task": ["GB_human:of" + "x" * 30], "x": ["1"]}))
    assert r"GB\_\allowbreak{}human:\allowbreak{}ofx" in name
    wrapped = latex_table(pd.DataFrame({"note": ["word " * 20] * 20}))
    assert r"\begin{longtable}" in wrapped
    upright = latex_table(pd.DataFrame({"model": ["a"], "Promoters": ["0.5"]}))
    assert r"\rotatebox{90}{Promoters}" in upright


@pytest.mark.slow
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4), st.text())
def test_no_text_of_others_breaks_a_table(rows, head):
    table = pd.DataFrame(rows, columns=["model", "x" + head])
    found = parsed(latex_table(table))
    assert len(found) == len(rows) + 1
