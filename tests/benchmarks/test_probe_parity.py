"""Six small real tasks beside scikit-learn run as GENEB's harness runs it."""

import numpy as np
import pandas as pd
import pytest
from shared_data import need

from benchmarks import probe_parity
from benchmarks.rows import read_rows
from geneb_jax.tasks.reading import find_tasks

SMALL = (
    "InstaDeepAI_nucleotide_transformer_downstream_tasks_revised_enhancers_types",
    "InstaDeepAI_nucleotide_transformer_downstream_tasks_revised_splice_sites_all",
    "iDHS-EL_DNase_I",
    "katarinagresova_Genomic_Benchmarks_human_ensembl_regulatory",
    "leannmlindsey_GUE_emp_H4",
    "iPro-WAEL_Promoter_NHEK",
)


@pytest.mark.slow
@pytest.mark.parametrize("solver", probe_parity.SOLVERS)
def test_scores_are_the_harness_scores_and_a_table_goes_on_where_it_was(
    solver, tmp_path, monkeypatch, capsys
):
    folder = need("tasks")
    assert set(SMALL) <= set(find_tasks(folder))
    out = tmp_path / "cells.jsonl"
    arguments = ["--tasks_dir", str(folder), "--out", str(out), "--features", "kmer-4"]
    arguments += ["--solver", solver]

    def run(tasks):
        own = [*arguments, "--tasks", ",".join(tasks), "--C", "1"]
        monkeypatch.setattr("sys.argv", ["probe_parity", *own])
        probe_parity.main()
        return pd.DataFrame(read_rows(out))

    first = run(SMALL[:1])
    assert len(first) == 3
    cells = run(SMALL)
    assert len(cells) == 6 * 3
    pd.testing.assert_frame_equal(cells.head(3), first)
    assert not cells.duplicated(probe_parity.KEY).any()
    difference = (cells["MCC"] - cells["MCC_float64"]).abs()
    assert difference.mean() <= probe_parity.LARGEST_MEAN
    assert (cells["iterations"] - cells["iterations_float64"]).abs().max() <= 2
    assert "18 cells of 6 tasks" in capsys.readouterr().out.replace("\n", " ")


def test_a_clear_decision_is_more_than_rounding():
    assert probe_parity.clear(np.array([1.0, -1e-12, 0.0, -0.5])).tolist() == [1, 0, 0, 1]
    values = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    assert probe_parity.clear(values).tolist() == [True, False]
