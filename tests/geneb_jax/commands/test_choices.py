import pandas as pd
from score_rows import row

from geneb_jax.benchmark import GENEB


def test_choices_of_two_workdirs_are_compared(tmp_path, command):
    for folder, C in (("a", 1.0), ("b", 10.0)):
        (tmp_path / folder).mkdir()
        rows = [
            row(task=task.id, category=task.category, model=model, C=C, MCC=mcc)
            for task in GENEB.tasks[:2]
            for model, mcc in (("kmer-3", 0.2 * C / 10), ("kmer-4", 0.1))
        ]
        pd.DataFrame(rows).to_csv(tmp_path / folder / "scores.csv", index=False)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("choices_layers.csv", "mine.csv"):
        (out / name).write_text("of other runs")
    done = command("choices", "--scores", tmp_path / "a", tmp_path / "b", "--out", out)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(out / "choices.csv")
    assert found["choice"].tolist() == ["C = 10"]
    assert found["who"].tolist() == ["kmer-3 2 to 1; kmer-4 1 to 2"]
    assert "C = 10" in done.stdout
    left = {path.name for path in out.glob("*.csv")}
    assert left == {"choices.csv", "choices_leaderboard.csv", "mine.csv"}
    done = command("choices", "--scores", tmp_path / "a", "--out", out)
    assert done.returncode != 0 and "one choice of everything" in done.stdout
