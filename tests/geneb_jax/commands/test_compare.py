import pandas as pd
from run_folders import scores_of, write_run

from geneb_jax.benchmark import GENEB


def test_it_ends_with_0_where_runs_are_equal_and_with_1_where_not(tmp_path, command):
    scores = scores_of("kmer-4", tasks=GENEB.tasks[:5])
    write_run(tmp_path / "a", scores)
    done = command("compare", tmp_path / "a", tmp_path / "a", "--out", tmp_path / "0.csv")
    assert done.returncode == 0 and done.stdout.startswith("equal: 75 rows of scores")
    assert len(pd.read_csv(tmp_path / "0.csv")) == 0
    write_run(tmp_path / "b", scores.assign(MCC=scores["MCC"] + 0.25))
    words = ("compare", tmp_path / "a", tmp_path / "b")
    done = command(*words, "--out", tmp_path / "new" / "d.csv")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "they differ: 15 scores"
    assert "... and 5 more" in done.stdout and GENEB.tasks[0].label in done.stdout
    table = pd.read_csv(tmp_path / "new" / "d.csv")
    assert len(table) == 15 and table["difference"].round(9).eq(0.25).all()
    assert command(*words, "--tolerance", "0.3").returncode == 0
    write_run(tmp_path / "c", scores, solver="converged")
    done = command("compare", tmp_path / "a", tmp_path / "c")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "they differ: 1 config"
    assert "converged" in done.stdout and not {"None", "nan"} & set(done.stdout.split())


def test_wrong_calls_are_answered_in_a_line(tmp_path, command):
    done = command("compare", tmp_path, tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"{tmp_path}: no scores.csv; give workdirs" in done.stderr


def test_a_tolerance_is_a_number(tmp_path, command, capsys):
    import pytest

    for wrong in ("x", "nan", "inf"):
        with pytest.raises(SystemExit) as end:
            command("compare", tmp_path, tmp_path, "--tolerance", wrong)
        assert end.value.code == 2
        assert f"'{wrong}' is not a number of at least 0" in capsys.readouterr().err
