import json

import pandas as pd
import pytest
from run_folders import change_record, scores_of, write_cells, write_run

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.comparison import COLUMNS, as_table, compare, read_side
from geneb_jax.scoring.scores import write_scores

TASKS = GENEB.tasks[:3]
FIRST = TASKS[0].id


def folder_of(path, scores=None, **config):
    return write_run(path, scores_of("kmer-4", tasks=TASKS) if scores is None else scores, **config)


def differences(first, second, tolerance=0.0):
    return compare(read_side(first), read_side(second), tolerance)


@pytest.fixture
def run(tmp_path):
    return folder_of(tmp_path / "run")


def test_the_same_run_differs_in_nothing(run, tmp_path):
    assert differences(run, run) == []
    other = folder_of(tmp_path / "other", tasks_dir="elsewhere", report=False, models="kmer-4,x")
    assert differences(run, other) == []  # where files are, and what is shown, moves no score
    table = as_table([])
    assert list(table) == list(COLUMNS) and table.empty


def test_scores_are_compared_by_head_and_the_largest_come_first(run, tmp_path):
    scores = scores_of("kmer-4", tasks=TASKS)
    one = (scores["task"] == FIRST) & (scores["regime"] == "full") & (scores["seed"] == 13)
    scores.loc[one, "MCC"] += 0.5
    other = (scores["task"] == TASKS[1].id) & (scores["regime"] == "1shot")
    scores.loc[other, "accuracy"] = 0.35
    found = differences(run, folder_of(tmp_path / "other", scores))
    # the MCC of the five seeds is 0, -0.001 .. -0.004, of mean -0.002; 0.5 more in one is 0.1 more
    assert [(d.what, d.task, d.regime) for d in found] == [
        ("accuracy", TASKS[1].id, "1shot"), ("MCC", FIRST, "full"),
    ]  # fmt: skip
    assert [d.difference for d in found] == pytest.approx([-0.4, 0.1])
    assert (found[1].first, found[1].second) == pytest.approx((-0.002, 0.098))
    assert len(differences(run, tmp_path / "other", tolerance=0.45)) == 1
    assert differences(run, tmp_path / "other", tolerance=0.51) == []


def test_missing_metrics_are_equal_to_each_other_alone(run, tmp_path):
    scores = scores_of("kmer-4", tasks=TASKS).assign(AUROC=float("nan"))
    other = folder_of(tmp_path / "other", scores)
    assert {d.what for d in differences(run, other, tolerance=1.0)} == {"AUROC"}
    assert differences(other, other) == []


def test_what_one_run_alone_scored_is_counted(run, tmp_path):
    more = scores_of("kmer-2", tasks=TASKS)
    fewer = scores_of("kmer-4", tasks=TASKS[:2])
    other = folder_of(tmp_path / "other", fewer)
    write_scores(pd.concat([fewer, more], ignore_index=True), other / "scores.csv")
    found = [d for d in differences(run, other) if d.kind == "scores"]
    assert [(d.model, d.task, d.first, d.second) for d in found] == [
        ("kmer-4", TASKS[2].id, "15", ""), ("kmer-2", "", "", "45"),
    ]  # fmt: skip


def test_other_heads_are_named_by_what_sets_them_apart(run, tmp_path):
    both = [scores_of("kmer-4", tasks=TASKS), scores_of("kmer-4", tasks=TASKS[:1], C=10.0)]
    first = folder_of(tmp_path / "a", pd.concat(both, ignore_index=True))
    both[1]["MCC"] = both[1]["MCC"] + 0.25
    second = folder_of(tmp_path / "b", pd.concat(both, ignore_index=True))
    found = differences(first, second)
    assert {d.what for d in found} == {"MCC (C=10.0)"} and len(found) == 3


def test_causes_are_named(run, tmp_path):
    scores = scores_of("kmer-4", tasks=TASKS)
    other = folder_of(tmp_path / "other", scores, solver="converged")
    write_cells(other, scores, {"model": "kmer-4", "numerics": 2}, digest="changed {}")
    record = json.loads((other / "run.json").read_text())
    record["tasks"][FIRST]["train"] = {"rows": 9, "sha256": "0" * 64}
    change_record(other, geneb_jax="0.2.0", tasks=record["tasks"],
                  benchmark={**record["benchmark"], "data": "abc"})  # fmt: skip
    found = differences(run, other)
    assert [(d.kind, d.what, d.second) for d in found] == [
        ("data", "benchmark.data", "abc"),
        *[("data", "records", f"changed {task.id}"[:16]) for task in TASKS],
        ("data", "fingerprint of train", "0" * 16),
        ("weights", "numerics", "2"),
        ("config", "solver", "converged"),
        ("versions", "geneb_jax", "0.2.0"),
    ]  # fmt: skip


def test_ranks_change_where_the_order_of_models_does(tmp_path):
    def pair(path, better):
        models = [scores_of(m, tasks=TASKS, MCC=0.5 + 0.1 * (m == better)) for m in ("a", "b")]
        folder = folder_of(path, models[0])
        write_cells(folder, models[1], {"model": "b", "numerics": 1})
        write_scores(pd.concat(models, ignore_index=True), folder / "scores.csv")
        return folder

    found = differences(pair(tmp_path / "1", "a"), pair(tmp_path / "2", "b"))
    ranks = {(d.model, d.regime): (d.first, d.second, d.difference)
             for d in found if d.kind == "ranks"}  # fmt: skip
    assert ranks == {
        (model, regime): change
        for model, change in (("a", (1, 2, 1)), ("b", (2, 1, -1)))
        for regime in GENEB.regimes
    }


def test_scores_without_run_json_are_compared_alone(run, tmp_path):
    (run / "run.json").unlink()
    other = folder_of(tmp_path / "other", C="10")
    assert differences(run, other) == []
    with pytest.raises(ValueError, match=r"no scores\.csv; give workdirs"):
        read_side(tmp_path)
    (run / "run.json").write_text("[")
    with pytest.raises(ValueError, match=r"run\.json: not JSON"):
        read_side(run)


def test_random_weights_are_told_from_the_files_of_their_tokenizer(tmp_path):
    sides = []
    for i, weights in enumerate(("random:tiny:0", f"random:tiny:0:sha256:{'a' * 64}")):
        folder = folder_of(tmp_path / str(i), scores_of("a", tasks=TASKS))
        write_cells(folder, scores_of("a", tasks=TASKS), {"model": "a", "weights": weights})
        sides.append(folder)
    found = [d for d in differences(*sides) if d.kind == "weights"]
    assert [(d.what, d.first, d.second) for d in found] == [
        ("tokenizer files", "none", f"sha256:{'a' * 64}")
    ]
