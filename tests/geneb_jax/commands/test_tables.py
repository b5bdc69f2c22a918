import json
import re

import pandas as pd
import pytest
from run_folders import write_run
from score_rows import table

from geneb_jax.benchmark import GENEB
from geneb_jax.scoring.scores import write_scores


def test_tables_of_the_published_scores_and_of_submissions(tmp_path, command):
    folder = tmp_path / "submissions"
    folder.mkdir()
    cell = {"MCC": 0.99, "Acc": 0.9, "F1": 0.9}
    results = {"full": {task.id: cell for task in GENEB.tasks[:2]}}
    content = {"schema_version": GENEB.schema_version, "model_id": "mine", "results": results}
    (folder / "mine.json").write_text(json.dumps(content))
    done = command("tables", "--submissions", folder, "--published", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    board = pd.read_csv(tmp_path / "out" / "tables" / "leaderboard.csv", index_col="model")
    assert len(board) == 41
    assert board.index[0] == "mine"
    for stage in ("intervals over other", "tables: ", "figures: ", "report: "):
        assert stage in done.stderr
    # Two tasks are not what the paper's numbers are of.
    assert "no number of the paper's is compared" in done.stdout
    (folder / "bad.json").write_text("{}")
    done = command("tables", "--submissions", folder, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("bad.json: schema_version is None")


def test_a_runs_tables_are_not_replaced_by_others(tmp_path, command):
    write_run(tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    for words in ((), ("--scores", write_run(tmp_path / "other"))):
        done = command("tables", *words, "--out", tmp_path / "run")
        assert done.returncode == 2 and not done.stdout
        assert done.stderr.startswith(f"{tmp_path / 'run'} is a run's workdir, whose tables")
        assert sorted((tmp_path / "run").rglob("*")) == before
    words = ("--config=paper", f"--workdir={tmp_path / 'run'}")
    assert "is a run's workdir" in command("run", *words).stderr
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_an_order_that_rests_on_leaky_tasks_is_said(tmp_path, command):
    labels = ("GUE mouse 0", "GUE mouse 4", "NT H3")
    leaky, *others = sorted(
        (task for task in GENEB.tasks if task.label in labels), key=lambda t: labels.index(t.label)
    )
    means = {"kmer-2": (0.1, 0.5), "kmer-4": (0.9, 0.3)}  # on the leaky task and on the others
    scores = table(
        *({"model": model, "task": task.id, "category": task.category, "regime": "10shot",
           "seed": seed, "MCC": means[model][task in others] + seed / 10_000}
          for model in means for task in (leaky, *others) for seed in (13, 17, 42))
    )  # fmt: skip
    write_scores(scores, tmp_path / "scores.csv")
    audit, out = tmp_path / "audit.csv", tmp_path / "out"
    audit.write_text(f"task,verdict\n{leaky.label},leaky\n")
    words = ("--scores", tmp_path / "scores.csv", "--out", out, f"--leaky={audit}")
    done = command("tables", *words)
    assert done.returncode == 0, done.stderr
    line = (
        "without the 1 leaky task kmer-2 comes before kmer-4 (10shot, other shots, over 2 tasks "
        "instead of 3); tables/pairs_without_leaky"
    )
    assert line in done.stdout.splitlines()
    report = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert f"W{line[1:]}.</p>" in report
    pairs = pd.read_csv(out / "tables" / "pairs_without_leaky.csv")
    assert pairs[["question", "A", "B", "left out"]].to_numpy().tolist() == [
        ["shots", "kmer-4", "kmer-2", 1]
    ]
    assert re.search("not written, .*: .*claims$", done.stdout, re.M)
    # ((0.9 + 0.3) / 2 + 0.3) / 2 - ((0.1 + 0.5) / 2 + 0.5) / 2 is 0.05 with the leaky task.
    assert pairs["A - B"].tolist() == pytest.approx([-0.2])
    audit.write_text("\n".join(["task,verdict", *(f"{label},leaky" for label in labels)]))
    done = command("tables", *words[:3], tmp_path / "other", words[-1])
    (lacking,) = re.findall("not written, as these scores have .*: (.*)", done.stdout)
    assert lacking.split(", ")[-3:] == [
        "claims",
        "intervals_macro_without_leaky",
        "pairs_without_leaky",
    ]
    count = len(list((tmp_path / "other" / "tables").glob("*.csv")))
    assert f"{count} tables, the figures" in done.stdout
    assert "comes before" not in done.stdout


def test_custom_tasks_have_tables_of_their_own(tmp_path, command):
    mine = {"task": "mine", "category": "custom", "regime": "10shot"}
    scores = table(
        *({**mine, "model": model, "seed": seed, "MCC": mcc + seed / 1000}
          for model, mcc in (("kmer-3", 0.4), ("kmer-4", 0.1)) for seed in (13, 17, 42))
    )  # fmt: skip
    write_scores(scores, tmp_path / "scores.csv")
    done = command("tables", "--scores", tmp_path / "scores.csv", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    last, out = done.stdout.splitlines()[-1], tmp_path / "out"
    assert last.endswith(f"the figures and report/index.html are in {out}")
    names = ("intervals_custom", "pairs_custom", "task_scores")
    assert {path.name for path in (out / "tables").iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("csv", "md", "tex")
    }
    pairs = pd.read_csv(out / "tables" / "pairs_custom.csv")
    assert pairs[["task", "question", "regime", "A", "B"]].to_numpy().tolist() == [
        ["mine", "shots", "10shot", "kmer-3", "kmer-4"]
    ]
    assert pairs["A - B"].tolist() == pytest.approx([0.3])
    report = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "2 models of scores.csv beside the 40 published; 1 task of scores.csv" in report
    assert "Every two models on each custom task" in report
    assert re.search(r"<th scope=.row.>mine</th><td class=.text.>shots</td>", report)
