import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from rich.console import Console

from geneb_jax import workdir as workdirs
from geneb_jax.config import default_config
from geneb_jax.files import atomic
from geneb_jax.run import run
from geneb_jax.scoring.scores import read_scores

TINY = "nucleotide-transformer-v2-50m-multi-species:random:tiny"
FOLDER = "nucleotide-transformer-v2-50m-multi-species_random_tiny"


def compute(workdir, tasks_dir, models):
    config = default_config()
    config.update(
        models=models, tasks_dir=str(tasks_dir), report=False, regimes="full", seeds="13",
        save_predictions=True, batch_tokens=256,
    )  # fmt: skip
    run(config, workdir, Console(quiet=True))


@pytest.fixture(scope="module")
def tasks_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    rows = [f"{'ACGT' * i}AC{'GT'[i % 2]},{i % 2},{split}" for i in range(6)
            for split in ("train", "test")]  # fmt: skip
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("\n".join(["text,label,split", *rows]))
    return folder


@pytest.fixture(scope="module")
def finished(tasks_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished")
    compute(workdir, tasks_dir, f"kmer-1,{TINY}")
    return workdir


@pytest.fixture
def copied(finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished, workdir)
    return workdir


def paths_of(workdir):
    return {path.relative_to(workdir).as_posix() for path in workdir.rglob("*") if path.is_file()}


def test_a_workdir_holds_its_models(finished):
    contents = workdirs.look(finished)
    kmer, tiny = contents.models
    assert (kmer.name, tiny.name) == ("kmer-1", TINY)
    assert {cell.task for cell in tiny.cells} == {"one", "two"}
    assert len(tiny.stores) == 1 and tiny.stores[0].belongs and not kmer.stores
    assert tiny.weights and tiny.weights["weights"] == "random:tiny:0"
    assert [path.name for path in tiny.others] == [FOLDER]
    assert not workdirs.belongs_to_nothing(contents) and not contents.failures


@pytest.mark.parametrize("name", ["empty", "file", "gone"])
def test_other_folders_are_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=f"{name}.*(is no workdir|no such folder)"):
        workdirs.look(tmp_path / name)


def test_a_model_is_removed_and_nothing_else(copied, tasks_dir):
    before = paths_of(copied)
    paths = workdirs.files_of(workdirs.look(copied), TINY)
    workdirs.remove(copied, paths, TINY)
    assert before - paths_of(copied) == {p for p in before if f"/{FOLDER}" in p}
    assert set(read_scores(copied / "scores.csv")["model"]) == {"kmer-1"}
    workdirs.remove(copied, workdirs.files_of(workdirs.look(copied), "kmer-1"), "kmer-1")
    assert not (copied / "scores.csv").exists()
    compute(copied, tasks_dir, f"kmer-1,{TINY}")
    assert paths_of(copied) >= before - {"run.json"}


def test_an_unknown_model_is_answered_with_the_nearest(finished):
    with pytest.raises(ValueError, match="holds nothing of 'kmer-2'; did you mean kmer-1"):
        workdirs.files_of(workdirs.look(finished), "kmer-2")


def of_other_weights(workdir):
    """Makes one of the tiny model's cells, and a copy of its store, those of older weights."""
    (store,) = (workdir / "embeddings" / FOLDER).iterdir()
    other = store.with_name("other")
    shutil.copytree(store, other)
    (cell,) = (workdir / "cells" / FOLDER).rglob("one.json")
    for path, fields in ((other / "store.json", ()), (cell, ("identity", "model"))):
        content = json.loads(path.read_text())
        identity = content
        for field in fields:
            identity = identity[field]
        identity["weights"] = "random:tiny:7"
        content.pop("sha256", None)  # of what a cell held before
        path.write_text(json.dumps(content))
    for path in (*other.rglob("*"), cell):
        os.utime(path, (1e9, 1e9))
    return cell, other


def test_what_is_of_other_weights_belongs_to_nothing(copied):
    cell, other = of_other_weights(copied)
    found = workdirs.belongs_to_nothing(workdirs.look(copied))
    assert found == [cell, other]
    before = paths_of(copied)
    workdirs.remove(copied, found)
    gone = before - paths_of(copied)
    of_cell = cell.relative_to(copied).as_posix()
    assert gone == {path for path in before if "/other/" in path} | {of_cell}
    assert not workdirs.belongs_to_nothing(workdirs.look(copied))


def test_embeddings_newer_than_the_scores_stay(copied):
    cell, other = of_other_weights(copied)
    for path in other.rglob("keys-*"):
        os.utime(path, (time.time() + 9,) * 2)
    assert workdirs.belongs_to_nothing(workdirs.look(copied)) == [cell]


def test_what_killed_runs_have_left_goes_when_it_is_old(copied):
    (store,) = (copied / "embeddings" / FOLDER).iterdir()
    digest = "0" * 32
    left = [
        copied / f"scores.csv.{digest}.tmp",
        store / f"values-{digest}.npy",
        store / f"values-{digest}.npy.{digest}.tmp",
    ]
    mine = copied / "notes.tmp"
    for path in (*left, mine):
        path.write_text("x")
    assert not workdirs.belongs_to_nothing(workdirs.look(copied))
    for path in (*left, mine):
        os.utime(path, (time.time() - 4000,) * 2)
    assert workdirs.belongs_to_nothing(workdirs.look(copied)) == sorted(left)


def test_what_a_dead_process_of_this_host_has_left_goes_at_once(copied):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host, digits = atomic._HOST, "0" * 32
    left = copied / f"scores.csv.{host}.{dead.pid}.{digits}.tmp"
    for path in (left, copied / f"scores.csv.{host}.{os.getpid()}.{digits}.tmp"):
        path.write_text("x")
    assert workdirs.belongs_to_nothing(workdirs.look(copied)) == [left]


def test_embeddings_without_scores_are_a_model(copied):
    shutil.rmtree(copied / "cells" / FOLDER)
    contents = workdirs.look(copied)
    assert [model.name for model in contents.models] == ["kmer-1", FOLDER]
    assert not workdirs.belongs_to_nothing(contents)
    removed = workdirs.files_of(contents, FOLDER)
    assert copied / "embeddings" / FOLDER in removed


def test_a_store_without_files_is_no_fault(copied):
    (copied / "embeddings" / FOLDER / "empty").mkdir()
    contents = workdirs.look(copied)
    assert not workdirs.belongs_to_nothing(contents)
    assert [s.path.name for s in contents.models[1].stores if s.identity is None] == ["empty"]


def test_failures_are_those_of_run_json(copied):
    record = json.loads((copied / "run.json").read_text())
    failure = {"model": "M", "task": "", "stage": "load", "reason": "a NaN"}
    (copied / "run.json").write_text(json.dumps(record | {"failures": [failure]}))
    assert workdirs.look(copied).failures == [failure]
    (copied / "run.json").write_text("{")
    assert workdirs.look(copied).failures == []


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_failures_of_a_run_that_was_not_done_are_those_of_status_json(copied, state):
    record = json.loads((copied / "run.json").read_text())
    before = {"model": "B", "task": "", "stage": "load", "reason": "of the run before"}
    (copied / "run.json").write_text(json.dumps(record | {"failures": [before]}))
    status = json.loads((copied / "status.json").read_text())
    failed = {"model": "M", "task": "mine", "stage": "probe", "reason": "no class"}
    (copied / "status.json").write_text(json.dumps(status | {"state": state, "failed": [failed]}))
    assert workdirs.look(copied).failures == [failed]
    (copied / "run.json").unlink()  # no run has come to its end
    assert workdirs.look(copied).failures == [failed]
    (copied / "status.json").write_text(json.dumps(status | {"state": state, "failed": 3}))
    contents = workdirs.look(copied)
    assert not contents.failures
    (line,) = contents.unreadable
    assert line.startswith(f"{copied / 'status.json'}: its failures are no list of objects")
