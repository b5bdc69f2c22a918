from pathlib import Path

from rich.console import Console
from score_rows import table

from geneb_jax.presentation.guide import print_guide
from geneb_jax.presentation.published import published_results


def printed(*rows, report=Path("runs/first/report/index.html")):
    console = Console(width=1000, record=True, markup=False)
    print_guide(table(*rows), report, console)
    return console.export_text()


def test_a_run_on_generated_tasks_says_what_its_rows_are_and_what_is_next():
    text = printed(
        {"model": "kmer-4", "task": "synthetic_motif"},
        {"model": "a:random:tiny", "task": "synthetic_motif"},
        {"model": "mine", "task": "synthetic_motif"},
    )
    assert "kmer-4: how often each word of 4 letters occurs" in text
    assert "a:random:tiny: the architecture with random weights" in text
    assert "mine:" not in text
    assert str(Path("runs/first/report/index.html")) in text
    assert "--config.models=kmer-4,mine=hf:FOLDER" in text
    for regime in ("full", "10shot", "1shot"):
        rows = published_results().query(f"regime == '{regime}'")
        macro = rows.pivot_table(index="model", columns="category", values="MCC").mean(axis=1)
        assert f"{macro.median():.2f} and {macro.max():.2f}" in text


def test_a_run_on_real_tasks_prints_nothing_of_it():
    assert printed({"model": "kmer-4"}) == ""


def test_a_run_without_a_report_names_none():
    text = printed({"model": "kmer-4", "task": "synthetic_motif"}, report=None)
    assert "in a browser" not in text and "--config.models=kmer-4,mine=hf:FOLDER" in text
