import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from absl import logging
from rich.console import Console

from geneb_jax.audit import audit
from geneb_jax.config import ConfigError, default_config, parse_config
from geneb_jax.embedding import ports
from geneb_jax.embedding.kmers import kmer_frequencies
from geneb_jax.failures import Failures
from geneb_jax.files.atomic import temporary_name
from geneb_jax.ownership import OWNER
from geneb_jax.run import check, run
from geneb_jax.scoring import probing
from geneb_jax.scoring.scores import read_scores
from geneb_jax.tasks.synthetic import synthetic_tasks
from geneb_jax.tasks.task import fingerprint
from probes import metrics

ROOT = Path(__file__).parents[2]
NT = "nucleotide-transformer-v2-50m-3mer-multi-species"
HYENA = "hyenadna-medium-160k-seqlen-hf"
TASKS = {  # file name -> rows of a synthetic task
    "leannmlindsey_GUE_mouse_3": synthetic_tasks()[6],
    "iDHS-EL_DNase_I": synthetic_tasks()[12],
    "mine": synthetic_tasks()[2],
}


@pytest.fixture(scope="module")
def tasks_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    for name, task in TASKS.items():
        rows = [
            (sequence, label, split)
            for split, part in (("train", task.train), ("test", task.test))
            for sequence, label in zip(part.sequences[:80], part.labels[:80], strict=True)
        ]
        table = pd.DataFrame(rows, columns=["text", "label", "split"])
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def config(tasks_dir, **fields):
    made = default_config()
    made.update(
        {
            "models": f"kmer-3,{NT}:random:tiny",
            "tasks_dir": str(tasks_dir),
            "seeds": "13,17",
            "report": False,
            "audit": False,
        }
        | fields
    )
    return made


def quiet(made, workdir):
    return run(made, workdir, Console(quiet=True)).scores


@pytest.fixture(scope="module")
def finished(tasks_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished")
    seeds = ",".join(map(str, default_config().seeds.split(",")))
    quiet(config(tasks_dir, save_predictions=True, seeds=seeds, report=True, audit=True), workdir)
    return workdir


def test_a_run_writes_what_it_promises(finished, tasks_dir):
    scores = read_scores(finished / "scores.csv")
    assert len(scores) == 2 * 3 * 3 * 5
    assert scores["MCC"].between(-1, 1).all()
    assert list(scores.columns[:5]) == ["model", "preset", "dtype", "tap", "pooling"]
    assert set(scores["category"]) == {"Mouse Enh.", "Chromatin Acc.", "custom"}

    submission = json.loads((finished / "submissions" / "kmer-3.json").read_text())
    assert set(submission["results"]) == {"full", "10shot", "1shot"}
    assert set(submission["results"]["full"]) == set(TASKS) - {"mine"}
    rows = scores.query("model == 'kmer-3' and regime == '1shot' and task == 'iDHS-EL_DNase_I'")
    cell = submission["results"]["1shot"]["iDHS-EL_DNase_I"]
    assert cell["MCC"] == round(rows["MCC"].mean(), 4)

    record = json.loads((finished / "run.json").read_text())
    assert record["engines"]["logistic"].startswith("SciPy on the host below 8,388,608 numbers")
    assert record["config"]["tasks_dir"] == str(tasks_dir)
    assert record["models"][f"{NT}:random:tiny"]["weights"] == "random:tiny:0"
    assert len(record["tasks"]["mine"]["train"]["sha256"]) == 64
    assert record["seconds"]["total"] > 0
    stages = [f"{stage} {model}" for model in ("kmer-3", f"{NT}:random:tiny")
              for stage in ("load", "embed", "probe")]  # fmt: skip
    hosts = [record["memory"][stage]["host"] for stage in ("read and check", *stages, "total")]
    assert 2**26 < hosts[0] and hosts == sorted(hosts)
    for kind in ("png", "svg"):
        assert (finished / "figures" / f"scores.{kind}").stat().st_size > 1000
        assert (finished / "figures" / f"tasks_mouse_enh.{kind}").stat().st_size > 1000
    board = pd.read_csv(finished / "tables" / "leaderboard.csv", index_col="model")
    own = scores.query("model == 'kmer-3' and regime == 'full' and category != 'custom'")
    assert board.loc["kmer-3", "macro full"] == pytest.approx(own["MCC"].mean())
    report = (finished / "report" / "index.html").read_text(encoding="utf-8")
    assert '"mine"' in report
    assert "GENERator-Eukaryote-3B" in report
    assert record["tasks"]["mine"]["train"]["sha256"] in report


def test_a_finished_workdir_is_presented_without_computing(finished, tmp_path, monkeypatch):
    made = default_config()
    made.scores = str(finished)
    console = Console(record=True, width=140)
    results = run(made, tmp_path, console).scores
    assert set(results["model"]) == {"kmer-3", f"{NT}:random:tiny"}
    for name in ("tables/leaderboard.csv", "report/index.html"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
    assert "no number of the paper's is compared" in console.export_text()  # on other tasks
    assert not (tmp_path / "cells").exists()


def test_scores_are_not_presented_in_a_workdir_of_a_run_that_goes_on(tmp_path):
    made = default_config()
    made.scores = "published"
    (tmp_path / OWNER).write_text(json.dumps({"host": "elsewhere", "process": 1}))
    with pytest.raises(ConfigError, match="--workdir=") as error:
        quiet(made, tmp_path)
    assert "elsewhere" in str(error.value)
    assert not (tmp_path / "tables").exists()


def test_scores_that_are_not_there_are_named(tmp_path):
    made = default_config()
    made.scores = str(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"config\.scores: .*nothing. is neither .published. nor"):
        quiet(made, tmp_path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def zero_tailed(path):
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))


@pytest.mark.parametrize("damage", [Path.unlink, cut, zero_tailed])
def test_predictions_that_are_lost_are_written_again(damage, tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-2", save_predictions=True)
    quiet(made, tmp_path)
    files = sorted((tmp_path / "predictions" / "kmer-2").iterdir())
    scores = (tmp_path / "scores.csv").read_bytes()
    with np.load(files[0]) as arrays:
        before = {name: arrays[name] for name in arrays}
    damage(files[0])
    others = [path.stat().st_mtime_ns for path in files[1:]]
    quiet(made, tmp_path)
    with np.load(files[0]) as arrays:
        assert set(arrays) == set(before)
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], before[name])
    assert [path.stat().st_mtime_ns for path in files[1:]] == others
    assert (tmp_path / "scores.csv").read_bytes() == scores


def test_predictions_give_the_scores_again(finished):
    scores = read_scores(finished / "scores.csv").query("model == 'kmer-3' and task == 'mine'")
    with np.load(finished / "predictions" / "kmer-3" / "mine.npz") as arrays:
        classes = np.unique(arrays["labels"])
        confusion = metrics.confusion_matrix(
            np.searchsorted(classes, arrays["labels"]),
            np.searchsorted(classes, arrays["predictions"]),
            len(classes),
        )
        with jax.enable_x64(True):
            scores_again = metrics.mcc(confusion).tolist()
        places = zip(arrays["regime"], arrays["seed"], strict=True)
        found = dict(zip(places, scores_again, strict=True))
        assert arrays["scores"].shape == (*arrays["predictions"].shape, 3)
    for row in scores.to_dict("records"):
        assert found[row["regime"], row["seed"]] == pytest.approx(row["MCC"], abs=1e-12)


def test_the_same_run_gives_the_same_bytes(finished, tasks_dir, tmp_path):
    seeds = default_config().seeds
    quiet(config(tasks_dir, seeds=seeds), tmp_path)
    assert (tmp_path / "scores.csv").read_bytes() == (finished / "scores.csv").read_bytes()


class KilledError(BaseException):
    pass


@pytest.mark.slow  # test_engine kills the embedding, test_cells holds what resumes
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(tasks_dir, tmp_path, monkeypatch):
    made = config(tasks_dir)
    quiet(made, tmp_path / "whole")

    def dies_after(count):
        calls = iter(range(count))
        real = probing.evaluate_task

        def evaluate_task(*arguments, **options):
            if next(calls, None) is None:
                raise KilledError
            return real(*arguments, **options)

        return evaluate_task

    for count in (2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(probing, "evaluate_task", dies_after(count))
            with pytest.raises(KilledError):
                quiet(made, tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(probing, "evaluate_task", dies_after(1))
        quiet(made, tmp_path / "killed")  # five of six pairs were finished
        patch.setattr(probing, "evaluate_task", dies_after(0))
        quiet(made, tmp_path / "killed")  # nothing is left to do
    whole, killed = (tmp_path / name / "scores.csv" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


@pytest.mark.slow
def test_layers_and_poolings_are_scored_from_one_pass(finished, tasks_dir, tmp_path):
    name = f"{NT}:random:tiny"  # of two blocks
    made = config(tasks_dir, models=f"kmer-3,{name}", seeds=default_config().seeds, report=True)
    made.taps, made.poolings, made.save_predictions = "all", "preset,max", True
    console = Console(record=True, width=140)
    scores = run(made, tmp_path, console).scores
    own = scores[scores["model"] == name]
    assert list(own.drop_duplicates("tap")["tap"]) == ["0", "1", "2", "-1"]
    assert own.groupby(["tap", "pooling"]).size().tolist() == [3 * 3 * 5] * 8
    assert own.drop_duplicates(["tap", "pooling", "objective"])["objective"].nunique() > 8
    records = len({s for t in TASKS.values() for p in (t.train, t.test) for s in p.sequences[:80]})
    assert embedded(tmp_path) == {name: records}  # one pass for all

    # What a run of the preset alone writes stays; other hidden states stand beside it.
    alone = read_scores(finished / "scores.csv")
    same = own[(own["tap"] == "-1") & (own["pooling"] == "mean")]
    expected = alone[alone["model"] == name]
    pd.testing.assert_frame_equal(
        same.reset_index(drop=True), expected.reset_index(drop=True), rtol=1e-3
    )
    for file in ("submissions/kmer-3.json", "tables/leaderboard.csv"):
        assert (tmp_path / file).exists()
    board = pd.read_csv(tmp_path / "tables" / "leaderboard.csv", index_col="model")
    assert set(board.index) == {"kmer-3", name}
    submitted = json.loads((tmp_path / "submissions" / f"{NT}_random_tiny.json").read_text())
    mean = same.query("regime == 'full' and task == 'iDHS-EL_DNase_I'")["MCC"].mean()
    assert submitted["results"]["full"]["iDHS-EL_DNase_I"]["MCC"] == round(mean, 4)
    predictions = sorted(p.name for p in (tmp_path / "predictions" / f"{NT}_random_tiny").iterdir())
    assert "mine.npz" in predictions
    assert "corrected-float32-0-max" in predictions

    layers = pd.read_csv(tmp_path / "tables" / "layer_scores.csv", dtype={"tap": str})
    assert set(layers["model"]) == {name}
    first = layers.iloc[0]
    rows = own[(own["tap"] == first["tap"]) & (own["pooling"] == first["pooling"])]
    assert first["full"] == pytest.approx(rows[rows["regime"] == "full"]["MCC"].mean())
    assert (tmp_path / "figures" / "layers.svg").stat().st_size > 1000
    assert "best hidden state" in console.export_text()

    again = default_config()
    again.scores = str(tmp_path)
    quiet(again, tmp_path / "shown")
    for file in ("tables/layer_scores.csv", "tables/leaderboard.csv"):
        assert (tmp_path / "shown" / file).read_bytes() == (tmp_path / file).read_bytes()
    made.taps, made.fail_fast = "0,5", True
    with pytest.raises(ConfigError, match=rf"'{name}': .*no hidden state 5; valid: 0"):
        quiet(made, tmp_path / "bad")


def test_a_run_without_the_presets_own_is_no_submission(tasks_dir, tmp_path):
    made = config(
        tasks_dir, models=f"{NT}:random:tiny", taps="1", tasks="iDHS", regimes="full",
        seeds=default_config().seeds, report=True,
    )  # fmt: skip
    console = Console(record=True, width=120)
    scores = run(made, tmp_path, console).scores
    assert set(scores["tap"]) == {"1"}
    assert not (tmp_path / "submissions").exists()
    assert "MCC, mean over seeds" in console.export_text()


def embedded(workdir):
    """Records that a run embedded, by model."""
    record = json.loads((workdir / "run.json").read_text())
    return {name: speed["records"] for name, speed in record["embedding"].items()}


def test_runs_share_embeddings_and_a_damaged_chunk_is_computed_anew(tasks_dir, tmp_path, caplog):
    name = f"{NT}:random:tiny"
    made = config(tasks_dir, models=name, regimes="full", embeddings_dir=str(tmp_path / "kept"))
    made.tasks = "iDHS"
    quiet(made, tmp_path / "one")
    made.tasks = "all"
    quiet(made, tmp_path / "two")
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / "kept" / temporary_name("0" * 32).replace(f".{os.getpid()}.", f".{dead.pid}.")
    left.touch()
    quiet(made, tmp_path / "three")
    assert not left.exists()  # of a run that was killed
    distinct = {
        task: {sequence for part in (rows.train, rows.test) for sequence in part.sequences[:80]}
        for task, rows in TASKS.items()
    }
    first = len(distinct["iDHS-EL_DNase_I"])
    every = len(set().union(*distinct.values()))
    assert embedded(tmp_path / "one") == {name: first}
    assert embedded(tmp_path / "two") == {name: every - first}  # only what is new
    assert embedded(tmp_path / "three") == {}
    assert not list((tmp_path / "two").rglob("values-*"))

    damaged = max((tmp_path / "kept").rglob("values-*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    quiet(made, tmp_path / "four")
    assert f"{damaged}: its checksum is not that of its name" in caplog.text
    assert embedded(tmp_path / "four") == {name: every - first}
    whole = (tmp_path / "two" / "scores.csv").read_bytes()
    for other in ("three", "four"):
        assert (tmp_path / other / "scores.csv").read_bytes() == whole


def test_embeddings_and_scores_of_other_numerics_are_not_taken(tasks_dir, tmp_path, monkeypatch):
    name = f"{NT}:random:tiny"
    made = config(tasks_dir, models=name, regimes="full", tasks="iDHS")
    quiet(made, tmp_path)
    first = embedded(tmp_path)
    monkeypatch.setattr(ports, "NUMERICS", ports.NUMERICS + 1)
    quiet(made, tmp_path)
    assert embedded(tmp_path) == first
    assert first[name] > 0


@pytest.mark.slow  # test_cells adds heads to a cell
def test_more_heads_in_the_same_workdir_are_added(tasks_dir, tmp_path):
    one = quiet(config(tasks_dir, models="kmer-3", C="1"), tmp_path)
    both = quiet(config(tasks_dir, models="kmer-3", C="0.1,1", regimes="full"), tmp_path)
    kept = both[both["C"] == 1.0].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, one)
    assert set(both[both["C"] == 0.1]["regime"]) == {"full"}


def test_changed_rows_are_scored_anew(tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-3", regimes="full", tasks="iDHS")
    before = quiet(made, tmp_path)
    made.max_train = 40
    after = quiet(made, tmp_path)
    assert len(before) == len(after)
    assert (before["objective"] != after["objective"]).all()


def test_embeddings_of_somebody_else_are_probed_alike(tasks_dir, tmp_path):
    for name in TASKS:
        table = pd.read_csv(tasks_dir / f"{name}.csv")
        splits = {
            split: kmer_frequencies(rows["text"].tolist(), 3)
            for split, rows in table.groupby("split")
        }
        np.savez(tmp_path / f"{name}.npz", **splits)
    models = f"kmer-3,embeddings:{tmp_path}"
    scores = quiet(config(tasks_dir, models=models, regimes="full,1shot"), tmp_path / "run")
    ours, theirs = (group for _, group in scores.groupby("model", sort=False))
    columns = ["task", "regime", "seed", "MCC", "objective"]
    np.testing.assert_array_equal(ours[columns].to_numpy(), theirs[columns].to_numpy())


def test_a_fixture_is_a_checkpoint(tasks_dir, tmp_path):
    made = config(
        tasks_dir, models=NT, regimes="full", checkpoints_dir=str(ROOT / "tests" / "golden")
    )
    scores = quiet(made, tmp_path)
    assert set(scores["model"]) == {NT}
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["models"][NT]["weights"].startswith("sha256:")
    assert record["models"][NT]["preset"]["max_tokens"] == 24


def test_tasks_are_those_of_the_folder_and_the_selection(tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-1", regimes="full", tasks="Mouse Enh.,mine,Promoters")
    scores = quiet(made, tmp_path)
    assert set(scores["task"]) == {"leannmlindsey_GUE_mouse_3", "mine"}


def test_everything_wrong_is_reported_before_anything_starts(tasks_dir, tmp_path):
    (tasks_dir / "broken.csv").write_text("text,label,split\nA,x,train\n")
    models = "kmer-9,kmer-2,embeddings:/nowhere"
    made = config(tasks_dir, models=models, embeddings_dir=__file__, fail_fast=True)
    try:
        with pytest.raises(ConfigError) as error:
            quiet(made, tmp_path / "run")
    finally:
        (tasks_dir / "broken.csv").unlink()
    text = str(error.value)
    words = "kmer-9", "/nowhere", "task 'broken'", "label 'x'", f"embeddings_dir: {__file__}"
    assert all(word in text for word in words)
    assert not (tmp_path / "run").exists()


def test_what_would_only_be_left_out_stands_apart_from_what_keeps_a_run(tasks_dir, tmp_path):
    def refused(**fields):
        with pytest.raises(ConfigError) as error:
            made = config(tasks_dir, models="kmer-1,deepgene")
            made.update(fields)
            quiet(made, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        return error.value

    (tasks_dir / "broken.csv").write_text("text,label,split\nA,x,train\n")
    try:
        found = refused(embeddings_dir=__file__)
        (problem,) = found.problems
        task, model = found.left_out  # kmer-1 and the other tasks would be run
        assert problem.startswith("config.embeddings_dir: ")
        assert task.startswith("task 'broken': ") and model.startswith("config.models: 'deepgene'")
        assert str(found).splitlines() == [
            problem,
            "these would only be left out, while the others run:",
            *(f"  {line}" for line in task.splitlines()),
            f"  {model}",
        ]
        for fields in ({"fail_fast": True}, {"models": "deepgene"}, {"tasks": "broken"}):
            found = refused(embeddings_dir=__file__, **fields)
            assert not found.left_out and len(found.problems) > 1
    finally:
        (tasks_dir / "broken.csv").unlink()
    # Tasks that are not there leave no model out but those that have no checkpoint.
    found = refused(tasks="none of these")
    assert "none of these" in found.problems[0] and len(found.problems) == 1
    assert [line.partition(": ")[2][:10] for line in found.left_out] == ["'deepgene'"]


def test_a_model_without_a_checkpoint_leaves_the_others_alone(tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-1,deepgene", regimes="full")  # not on the hub
    done = run(made, tmp_path / "run", Console(quiet=True))
    assert set(done.scores["model"]) == {"kmer-1"}
    (failure,) = done.failures
    assert (failure.model, failure.task, failure.stage) == ("deepgene", "", "check")
    assert "geneb-jax models fetch deepgene" in failure.reason or "hub" in failure.reason
    made.fail_fast = True
    with pytest.raises(ConfigError, match="deepgene"):
        quiet(made, tmp_path / "strict")
    made.fail_fast, made.models = False, "deepgene"  # nothing can be run
    with pytest.raises(ConfigError, match="deepgene"):
        quiet(made, tmp_path / "nothing")
    made.models = "kmer-1,kmer-9"  # no such k-mers: a mistake in the config
    with pytest.raises(ConfigError, match=r"k-mers have k = 1 \.\. 6"):
        quiet(made, tmp_path / "nothing")
    made.leaky = str(tmp_path / "audit.csv")  # is not there; the other mistake is said, too
    with pytest.raises(ConfigError, match=r"(?s)k = 1.*config\.leaky: .*audit\.csv"):
        quiet(made, tmp_path / "nothing")
    made.update({"leaky": str(tasks_dir), "scores": "published"})
    with pytest.raises(ConfigError, match=r"config\.leaky: .*"):
        quiet(made, tmp_path / "nothing")
    assert not (tmp_path / "strict").exists() and not (tmp_path / "nothing").exists()


def test_presets_and_dtypes_stand_beside_each_other(tasks_dir, tmp_path):
    made = config(
        tasks_dir, models=f"{HYENA},kmer-1", regimes="full", tasks="iDHS",
        checkpoints_dir=str(ROOT / "tests" / "golden"),
    )  # fmt: skip
    made.preset = "published"
    quiet(made, tmp_path)
    made.preset = "corrected"
    quiet(made, tmp_path)
    made.dtype = "bfloat16"
    scores = quiet(made, tmp_path)
    kinds = scores[["model", "preset", "dtype"]].drop_duplicates()
    assert sorted(kinds.itertuples(index=False, name=None)) == [
        (HYENA, "corrected", "bfloat16"),
        (HYENA, "corrected", "float32"),
        (HYENA, "published", "float32"),
        ("kmer-1", "none", "float32"),
    ]
    own = scores[(scores["model"] == HYENA) & (scores["preset"] == "corrected")]
    assert own.groupby("dtype")["objective"].first().nunique() == 2


def test_a_trace_for_the_profiler_is_written_where_asked(tasks_dir, tmp_path):
    made = config(
        tasks_dir, models="kmer-1", regimes="1shot", seeds="13", tasks="iDHS", profile=True
    )
    quiet(made, tmp_path)
    (trace,) = (tmp_path / "profile" / "kmer-1").rglob("*.xplane.pb")
    assert trace.stat().st_size > 1000


def test_shots_beyond_the_rows_of_a_class_are_said(tasks_dir, caplog):
    made = config(tasks_dir, models="kmer-1", regimes="full,1shot,1000shot", tasks="mine,iDHS")
    _, tasks = check(parse_config(made), Failures())
    fewest = {task.info.id: np.bincount(task.train.labels).min() for task in tasks}
    assert max(fewest.values()) < 1000
    name = min(fewest, key=lambda task: fewest[task])
    (said,) = [line for line in caplog.messages if "fewer train rows" in line]
    assert said == (
        "1000shot: in 2 of 2 tasks a class has fewer train rows, and gives all it has; the fewest "
        f"are {fewest[name]}, in '{name}'"
    )


def test_custom_tasks_alone_are_shown(tasks_dir, tmp_path):
    console = Console(record=True, width=120)
    run(config(tasks_dir, models="kmer-1", regimes="full", tasks="mine"), tmp_path, console)
    text = console.export_text()
    assert "custom tasks, in no average: MCC, mean over seeds (logistic, solver geneb" in text
    assert re.search(r"mine +│ kmer-1 +│ +-?\d\.\d{3} │", text)


def test_a_run_without_the_protocol_says_first_what_it_will_not_write(tasks_dir, tmp_path, caplog):
    made = config(tasks_dir, models="kmer-1", regimes="full", tasks="mine", report=True)
    made.update(solver="converged", C="0.1,1")
    console = Console(record=True, width=120)
    run(made, tmp_path, console)
    (said,) = [line for line in caplog.messages if "intervals or report" in line]
    assert "no row follows (config.solver=converged); scores.csv and figures/scores will" in said
    assert (tmp_path / "figures" / "scores.svg").exists()
    assert not (tmp_path / "tables").exists() and not (tmp_path / "report").exists()
    assert "not in this table, but in scores.csv: C=0.1\n" in console.export_text()


def test_a_run_that_only_resumes_draws_what_its_models_took(tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-1", regimes="full,10shot", tasks="mine", report=True)
    quiet(made, tmp_path)
    first = json.loads((tmp_path / "run.json").read_text())["taken"]
    assert first["kmer-1"]["probe"] > 0
    (tmp_path / "figures" / "throughput.svg").unlink()
    quiet(made, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["taken"] == first and "probe kmer-1" not in record["seconds"]
    assert (tmp_path / "figures" / "throughput.svg").stat().st_size > 1000
    own = pd.read_csv(tmp_path / "tables" / "intervals_custom.csv")
    assert set(own["task"]) == {"mine"} and set(own["question"]) == {"records", "shots"}


def command(*arguments):
    return subprocess.run(
        [sys.executable, "run.py", "--config=configs/full.py", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_command_line_answers_an_unknown_field_with_the_nearest(tmp_path):
    done = command(f"--workdir={tmp_path}", "--config.sedes=1", "--config.modls=x")
    assert done.returncode == 2
    assert "config.sedes: no such field; did you mean seeds" in done.stderr
    assert "config.modls" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow  # test_config parses the lists
def test_command_line_takes_comma_lists(tasks_dir, tmp_path):
    done = command(
        f"--workdir={tmp_path}", f"--config.tasks_dir={tasks_dir}", "--config.tasks=iDHS",
        "--config.models=kmer-1,kmer-2", "--config.regimes=full,10shot", "--config.C=0.1,1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = read_scores(tmp_path / "scores.csv")
    assert len(scores) == 2 * 2 * 2 * 5
    assert "kmer-2" in done.stdout


def test_fingerprints_in_run_json_are_the_tasks(finished):
    record = json.loads((finished / "run.json").read_text())
    task = TASKS["mine"]
    part = type(task.train)(task.train.sequences[:80], task.train.labels[:80])
    assert record["tasks"]["mine"]["train"]["sha256"] == fingerprint(part)


@pytest.fixture(scope="module")
def masked_dir(tmp_path_factory):
    """A task of which the first 30 train rows are soft-masked, and one without such a row."""
    folder = tmp_path_factory.mktemp("masked")
    task = TASKS["iDHS-EL_DNase_I"]
    rows = [
        (sequence, label, name)
        for name, part in (("train", task.train), ("test", task.test))
        for sequence, label in zip(part.sequences[:60], part.labels[:60], strict=True)
    ]
    for name, masked in (("iDHS-EL_DNase_I", 30), ("upper", 0)):
        lines = [(s.lower() if i < masked else s, *rest) for i, (s, *rest) in enumerate(rows)]
        table = pd.DataFrame(lines, columns=["text", "label", "split"])
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.slow
def test_letters_that_a_model_does_not_know_are_said_and_can_be_prepared(
    masked_dir, tmp_path, caplog
):
    name = f"{NT}:random:tiny"
    kept = str(tmp_path / "kept")
    made = config(
        masked_dir, models=name, regimes="full", embeddings_dir=kept, report=True,
        seeds=default_config().seeds,
    )  # fmt: skip
    as_is = quiet(made, tmp_path / "run")
    warning = (
        f"model '{name}', task 'iDHS-EL_DNase_I': 30 of 120 records (25 %) hold letters that the "
        "tokenizer does not know (a, c, g, t; first: train row 1); see --config.letters"
    )
    assert [line for line in caplog.messages if "does not know" in line] == [warning]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["unseen"] == {
        name: {
            "iDHS-EL_DNase_I": {
                "unknown letters": {
                    "records": 30, "of": 120, "first": "train row 1", "letters": "acgt",
                }
            }
        }
    }  # fmt: skip
    assert "unknown letters" in (tmp_path / "run" / "report" / "index.html").read_text()
    assert (tmp_path / "run" / "submissions").is_dir()

    # The same workdir and kept embeddings: the changed task is scored anew, and submitted no more.
    caplog.clear()
    (tmp_path / "run" / "submissions" / f"{NT}_random_tiny.json").unlink()
    made.letters = "upper"
    prepared = quiet(made, tmp_path / "run")
    assert not [line for line in caplog.messages if "does not know" in line]
    found = {
        letters: {task: rows["objective"].iloc[0] for task, rows in scores.groupby("task")}
        for letters, scores in (("as-is", as_is), ("upper", prepared))
    }
    assert found["upper"]["iDHS-EL_DNase_I"] == found["upper"]["upper"] == found["as-is"]["upper"]
    assert found["as-is"]["iDHS-EL_DNase_I"] != found["as-is"]["upper"]
    assert embedded(tmp_path / "run") == {}  # the upper-case records were embedded already
    again = json.loads((tmp_path / "run" / "run.json").read_text())
    facts = {
        task: (record["tasks"][task]["train"]["sha256"], again["tasks"][task]["train"]["sha256"])
        for task in record["tasks"]
    }
    assert facts["upper"] == (facts["upper"][0],) * 2
    assert facts["iDHS-EL_DNase_I"] == (facts["iDHS-EL_DNase_I"][0], facts["upper"][0])
    assert facts["iDHS-EL_DNase_I"][0] != facts["upper"][0]
    letters = {task: facts["letters"] for task, facts in again["tasks"].items()}
    assert letters == {"iDHS-EL_DNase_I": "upper", "upper": "as-is"}
    assert not list((tmp_path / "run" / "submissions").iterdir())

    # Back to the records as they are: nothing of the prepared ones is taken.
    made.letters = "as-is"
    pd.testing.assert_frame_equal(quiet(made, tmp_path / "run"), as_is)


def test_embeddings_of_some_tasks_are_run_on_those(tasks_dir, tmp_path, caplog):
    table = pd.read_csv(tasks_dir / "mine.csv")
    splits = {
        split: kmer_frequencies(rows["text"].tolist(), 2) for split, rows in table.groupby("split")
    }
    folder = tmp_path / "theirs"
    folder.mkdir()
    np.savez(folder / "mine.npz", **splits)
    made = config(tasks_dir, models=f"kmer-1,embeddings:{folder}", regimes="full", fail_fast=True)
    with pytest.raises(ConfigError, match=r"iDHS-EL_DNase_I\.npz: no such file"):
        quiet(made, tmp_path / "run")
    made.fail_fast = False
    caplog.clear()
    scores, failures, _ = run(made, tmp_path / "run", Console(quiet=True))
    tasks = {model: set(rows["task"]) for model, rows in scores.groupby("model")}
    assert tasks == {"kmer-1": set(TASKS), f"embeddings:{folder}": {"mine"}}
    missing = ("leannmlindsey_GUE_mouse_3", "iDHS-EL_DNase_I")
    assert [str(failure) for failure in failures] == [
        f"model 'embeddings:{folder}', task '{task}' failed (check): "
        f"{folder}/{task}.npz: no such file"
        for task in missing
    ]
    assert caplog.text.count("no such file") == len(missing)


def test_a_claim_of_one_model_is_refused_for_several(tasks_dir, tmp_path):
    made = config(tasks_dir, models="kmer-1,kmer-2", submission_name="Mine", zero_shot=True)
    with pytest.raises(ConfigError) as error:
        quiet(made, tmp_path)
    assert str(error.value).splitlines() == [
        f"config.{field}: says something of one model, but config.models names 2; name one"
        for field in ("submission_name", "zero_shot")
    ]
    made = config(
        tasks_dir, models="kmer-1", regimes="full", tasks="iDHS", submission_name="Mine",
        submitted_by="A. Uthor", seeds=default_config().seeds,
    )  # fmt: skip
    quiet(made, tmp_path)
    (file,) = (tmp_path / "submissions").iterdir()
    meta = json.loads(file.read_text())["meta"]
    assert (meta["display"], meta["submitted_by"], meta["zero_shot"]) == ("Mine", "A. Uthor", False)


def test_tasks_are_audited_once(tasks_dir, tmp_path, monkeypatch):
    made = config(tasks_dir, models="kmer-2", regimes="full", seeds="13", report=True, audit=True,
                  cache_dir=str(tmp_path / "cache"))  # fmt: skip
    said = []
    monkeypatch.setattr(logging, "info", lambda form, *of: said.append(form % of))
    quiet(made, tmp_path)
    words = f"the audit of {len(TASKS)} tasks takes about "
    assert any(line.startswith(words) and "config.audit=False" in line for line in said)
    said.clear()
    table = pd.read_csv(tmp_path / "audit.csv")
    assert table["task"].tolist() == list(TASKS) and (table["n_test"] == 80).all()
    assert set(pd.read_csv(tmp_path / "rules.csv")["task"]) == set(TASKS)
    shown = pd.read_csv(tmp_path / "tables" / "clean_scores.csv")
    rows = shown.query("task == 'iDHS-EL_DNase_I'")
    assert rows["clean"].tolist() == table.query("task == 'iDHS-EL_DNase_I'")["clean"].tolist()
    assert 'id="audit"' in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run.json").read_text())["seconds"]["audit"] > 0
    monkeypatch.setattr(audit, "audit_task", None)
    made.models, made.report = "kmer-2,kmer-1", False
    quiet(made, tmp_path)
    quiet(made, tmp_path / "another")
    same = [(folder / "audit.csv").read_bytes() for folder in (tmp_path, tmp_path / "another")]
    assert same[0] == same[1] and not any("audit" in line for line in said)
    made.audit = False
    quiet(made, tmp_path / "without")
    assert not (tmp_path / "without" / "audit.csv").exists()


def test_a_task_whose_audit_fails_is_scored(tasks_dir, tmp_path, monkeypatch):
    def fail(task):
        raise ValueError(f"no audit of {task.info.id}")

    monkeypatch.setattr(audit, "audit_task", fail)
    made = config(tasks_dir, models="kmer-2", regimes="full", seeds="13", audit=True,
                  cache_dir="none")  # fmt: skip
    outcome = run(made, tmp_path, Console(quiet=True))
    assert {failure.stage for failure in outcome.failures} == {"audit"}
    assert set(outcome.scores["task"]) == set(TASKS)
