"""Runs in which something fails, or that are ended: exit statuses, words, and what is kept."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN
from safetensors.numpy import load_file, save_file

import geneb_jax.run
from geneb_jax.embedding import engine
from geneb_jax.embedding.ports import PortSource
from geneb_jax.files import atomic
from geneb_jax.scoring import probing
from geneb_jax.scoring.scores import COLUMNS, OPTIONAL, read_scores
from model_ports.exits import DONE, FAILED, INTERRUPTED, SOME_FAILED, WRONG

ROOT = Path(__file__).parents[3]
GOOD = "nucleotide-transformer-v2-50m-multi-species"
NAN = "nucleotide-transformer-v2-100m-multi-species"
TRUNCATED = "nucleotide-transformer-v2-250m-multi-species"
SHORT = "gena-lm-bert-base"  # its fixture has 24 positions
TINY = f"{GOOD}:random:tiny"
TASKS = {"iDHS-EL_DNase_I": 0, "leannmlindsey_GUE_mouse_3": 1}  # with records of their own
LONG = "ACGGTCAATCG" * 30


def write_tasks(folder, long=()):
    folder.mkdir()
    for name, seed in TASKS.items():
        rng = np.random.default_rng(seed)
        rows = [
            f"{''.join(rng.choice(list('ACGT'), 24 + i % 3))},{i % 2},{split}"
            for i in range(16)
            for split in ("train", "test")
        ]
        rows += [f"{LONG},1,train"] * (name in long)
        (folder / f"{name}.csv").write_text("\n".join(["text,label,split", *rows]) + "\n")


@pytest.fixture
def call(tmp_path):
    """Words of a run of two small tasks in the workdir `run`, one seed, full and one-shot."""
    write_tasks(tmp_path / "tasks")
    return (
        "run", "--config=full", f"--workdir={tmp_path / 'run'}",
        f"--config.tasks_dir={tmp_path / 'tasks'}", "--config.regimes=full,1shot",
        "--config.seeds=13", "--config.report=False",
    )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Four checkpoints: one has a NaN weight, and one a truncated file."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in (GOOD, NAN, TRUNCATED, SHORT):
        shutil.copytree(GOLDEN / name, folder / name)
        (folder / name / "meta.json").unlink()  # the limits of its own that a fixture states
    tensors = load_file(folder / NAN / "model.safetensors")
    bad = tensors["esm.encoder.layer.1.attention.self.key.weight"].copy()
    bad[3, 2] = np.nan
    tensors["esm.encoder.layer.1.attention.self.key.weight"] = bad
    save_file(tensors, folder / NAN / "model.safetensors", metadata={"format": "pt"})
    cut = folder / TRUNCATED / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1000])
    return folder


def failures(workdir):
    """What run.json lists as failed, without the reasons."""
    found = json.loads((workdir / "run.json").read_text())["failures"]
    return [(each["model"], each["task"], each["stage"]) for each in found]


@pytest.mark.slow
def test_five_models_of_which_three_fail(command, tmp_path, checkpoints):
    first, second = TASKS
    write_tasks(tmp_path / "tasks", long=(first,))
    words = (
        "run", "--config=full", f"--config.tasks_dir={tmp_path / 'tasks'}", "--config.report=True",
        f"--config.checkpoints_dir={checkpoints}",
    )  # fmt: skip
    models = f"kmer-4,{NAN},{TRUNCATED},{SHORT},{GOOD}"
    run = tmp_path / "run"
    done = command(*words, f"--config.models={models}", f"--workdir={run}")
    assert done.returncode == SOME_FAILED
    assert "Traceback" not in done.stderr + done.stdout
    expected = {
        (TRUNCATED, "", "check"): "model.safetensors: not a readable safetensors file",
        (SHORT, first, "check"): f"train record '{LONG[:40]}...' (330 letters) in row 33 has",
        (NAN, "", "load"): "tensor 'esm.encoder.layer.1.attention.self.key.weight' holds a NaN",
    }
    assert failures(run) == list(expected)
    record = json.loads((run / "run.json").read_text())
    for failure in record["failures"]:
        words_of = expected[failure["model"], failure["task"], failure["stage"]]
        assert words_of in failure["reason"]
        assert failure["reason"] in (run / "log.txt").read_text()
    assert "the same command tries these again" in done.stdout
    for name in (TRUNCATED, SHORT, NAN):
        assert name in done.stdout.partition(" failed ")[2]

    # The rest is what a run without the failed ones gives.
    scores = read_scores(run / "scores.csv")
    tasks = {model: set(rows["task"]) for model, rows in scores.groupby("model")}
    assert tasks == {"kmer-4": {first, second}, SHORT: {second}, GOOD: {first, second}}
    others = tmp_path / "others"
    call = (*words, f"--config.models=kmer-4,{GOOD}", f"--workdir={others}")
    assert command(*call).returncode == DONE
    kept = scores[scores["model"] != SHORT].reset_index(drop=True)
    assert kept.equals(read_scores(others / "scores.csv"))
    for file in ("submissions/kmer-4.json", "tables/leaderboard.csv", "report/index.html"):
        assert (run / file).stat().st_size > 100
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["failures"]) == ("done", 3)

    # Mended, the failed ones are computed, and nothing else again.
    cells = {path: path.stat().st_mtime_ns for path in (run / "cells").rglob("*.json")}
    mended = tmp_path / "mended"
    shutil.copytree(checkpoints, mended)
    for name in (NAN, TRUNCATED):
        shutil.copy(GOLDEN / name / "model.safetensors", mended / name)
    words = (*words, f"--config.models={models}", f"--workdir={run}")
    done = command(*words, f"--config.checkpoints_dir={mended}")
    assert done.returncode == SOME_FAILED
    assert failures(run) == [(SHORT, first, "check")]
    assert set(read_scores(run / "scores.csv")["model"]) == set(models.split(","))
    assert {path: path.stat().st_mtime_ns for path in cells} == cells


def test_fail_fast_starts_nothing_or_ends_at_the_first_failure(
    command, tmp_path, call, checkpoints
):
    call = (*call, "--config.fail_fast", f"--config.checkpoints_dir={checkpoints}")
    done = command(*call, f"--config.models=kmer-1,{TRUNCATED}")
    assert done.returncode == WRONG
    assert done.stderr.startswith(f"nothing was started:\nconfig.models: '{TRUNCATED}': ")
    assert not (tmp_path / "run").exists()
    done = command(*call, f"--config.models={NAN},kmer-1")
    assert done.returncode == FAILED
    assert "holds a NaN" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run" / "scores.csv").exists()
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "failed"


def test_where_every_model_fails_under_way_the_rest_is_empty(command, tmp_path, call, checkpoints):
    call = (*call, "--config.report=True", f"--config.checkpoints_dir={checkpoints}")
    done = command(*call, f"--config.models={NAN}")
    assert done.returncode == SOME_FAILED
    assert failures(tmp_path / "run") == [(NAN, "", "load")]
    assert len((tmp_path / "run" / "scores.csv").read_text().splitlines()) == 1  # the header


def test_tasks_that_cannot_be_read_leave_the_others_alone(command, tmp_path, call):
    (tmp_path / "tasks" / "broken.csv").write_text("text,label,split\nACGT,x,train\nA,1,test\n")
    (tmp_path / "tasks" / "single.csv").write_text("text,label,split\nACGT,1,train\nA,1,test\n")
    done = command(*call, "--config.models=kmer-1")
    assert done.returncode == SOME_FAILED
    assert failures(tmp_path / "run") == [("", "broken", "read"), ("", "single", "read")]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    reason = "every train row has label 1; a probe needs two classes"
    assert record["failures"][1]["reason"] == reason
    assert set(read_scores(tmp_path / "run" / "scores.csv")["task"]) == set(TASKS)
    for name in TASKS:
        (tmp_path / "tasks" / f"{name}.csv").unlink()
    done = command(*call, "--config.models=kmer-1", f"--workdir={tmp_path / 'none'}")
    assert done.returncode == WRONG
    assert "task 'broken': label 'x' in row 1" in done.stderr
    assert "task 'single': every train row" in done.stderr


def test_an_embedding_that_is_no_number_is_named_by_task_and_row(
    command, tmp_path, call, monkeypatch
):
    real = engine._finite
    rows = (tmp_path / "tasks" / "leannmlindsey_GUE_mouse_3.csv").read_text().splitlines()
    bad = rows[6].split(",")[0]  # the sixth row below the header, a test row

    def finite(machine, batch, vectors, sequences):
        spoiled = np.array(vectors)
        spoiled[[i for i, row in enumerate(batch.rows) if sequences[row] == bad]] = np.nan
        return real(machine, batch, jax.numpy.asarray(spoiled), sequences)

    monkeypatch.setattr(engine, "_finite", finite)
    done = command(*call, f"--config.models={TINY},kmer-1")
    assert done.returncode == SOME_FAILED
    (failure,) = json.loads((tmp_path / "run" / "run.json").read_text())["failures"]
    assert failure == {
        "model": TINY, "task": "", "stage": "embed",
        "reason": "task 'leannmlindsey_GUE_mouse_3': the embedding of test row 6 is not finite in "
        "float32",
    }  # fmt: skip
    assert set(read_scores(tmp_path / "run" / "scores.csv")["model"]) == {"kmer-1"}


def test_a_task_whose_probes_fail_leaves_the_others_alone(command, tmp_path, call, monkeypatch):
    real, calls = probing.evaluate_task, []

    def fails_once(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("of no reason")
        return real(*arguments, **options)

    monkeypatch.setattr(probing, "evaluate_task", fails_once)
    done = command(*call, "--config.models=kmer-1")
    assert done.returncode == SOME_FAILED
    assert "Traceback" not in done.stderr + done.stdout
    ((_, task, stage),) = failures(tmp_path / "run")
    assert stage == "probe" and len(calls) == 2
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"'{task}' failed (probe): ZeroDivisionError: of no reason (traceback in log" in log
    assert "in fails_once" in log and "Traceback (most recent call last)" in log
    assert command(*call, "--config.models=kmer-1").returncode == DONE
    assert len(calls) == 3  # the failed one alone
    assert "kmer-1: 1 of 2 tasks are finished" in (tmp_path / "run" / "log.txt").read_text()
    assert set(read_scores(tmp_path / "run" / "scores.csv")["task"]) == set(TASKS)
    assert failures(tmp_path / "run") == []


def test_what_was_computed_and_cannot_be_read_fails(command, tmp_path, call, monkeypatch):
    call = (*call, "--config.models=kmer-1")
    whole = tmp_path / "whole"
    assert command(*call, f"--workdir={whole}").returncode == DONE
    scores = read_scores(whole / "scores.csv")
    lowest = scores.groupby("task")["MCC"].min()
    assert lowest.min() < 0  # a metric below 0, whose column is said to begin there
    monkeypatch.setattr("geneb_jax.scoring.scores._LOWEST", {})
    done = command(*call)
    assert done.returncode == SOME_FAILED
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    reasons = {each["task"]: each["reason"] for each in record["failures"]}
    assert set(reasons) == set(lowest.index[lowest < 0])
    for reason in reasons.values():
        assert re.search("it could not be read: MCC -0[.][0-9]+ is not in 0 .. 1$", reason)
    assert all(task in done.stdout.partition(" failed ")[2] for task in reasons)
    left = {path.stem for path in (tmp_path / "run" / "cells").rglob("*.json")}
    assert left == set(TASKS) - set(reasons)
    monkeypatch.undo()
    assert command(*call).returncode == DONE
    assert read_scores(tmp_path / "run" / "scores.csv").equals(scores)


def test_where_every_task_fails_the_failures_are_shown(command, tmp_path, call, monkeypatch):
    def fails(*_, **__):
        raise ValueError("of no reason")

    monkeypatch.setattr(probing, "evaluate_task", fails)
    call = (*call, "--config.models=kmer-1", "--config.report=True")
    done = command(*call)
    assert done.returncode == SOME_FAILED
    assert "Traceback" not in done.stderr + done.stdout
    assert set(failures(tmp_path / "run")) == {("kmer-1", task, "probe") for task in TASKS}
    assert all(task in done.stdout.partition(" failed ")[2] for task in TASKS)
    scores = (tmp_path / "run" / "scores.csv").read_text()
    assert scores == ",".join(name for name in COLUMNS if name not in OPTIONAL) + "\n"


def test_a_disk_that_is_full_at_the_end_is_named_with_the_file(
    command, tmp_path, call, monkeypatch
):
    real, run = atomic._sync, tmp_path / "run"

    def full(path, flags):
        if path.parent.name in ("tables", "figures"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags)

    monkeypatch.setattr(atomic, "_sync", full)
    done = command(*call, "--config.models=kmer-1", "--config.report=True")
    assert done.returncode == FAILED
    line, kept, disk, mend, tables = done.stderr.splitlines()[-5:]
    assert line == f"{run / 'figures' / 'scores.svg'}: cannot be written: No space left on device"
    assert kept == f"kept: scores of 2 of 2 pairs of model and task in {run}"
    assert disk.startswith(f"disk of {run}: ~5.0 MiB of tables, figures and report will be written")
    assert mend.endswith(" --config.regimes=full,1shot --config.seeds=13")
    _, _, shown = tables.partition(": geneb-jax ")
    assert shown == f"tables --scores={run} --out=FOLDER"
    assert "Traceback" not in done.stderr + done.stdout
    assert json.loads((run / "status.json").read_text())["state"] == "failed"
    assert not list(run.rglob("*.tmp"))
    monkeypatch.undo()
    words = shown.replace("FOLDER", str(tmp_path / "of another disk")).split(maxsplit=2)
    assert command(*words).returncode == DONE
    assert command(*call, "--config.models=kmer-1", "--config.report=True").returncode == DONE


@pytest.mark.parametrize("when", ["probing", "the end"])
def test_a_run_whose_workdir_is_removed_has_failed(command, tmp_path, call, monkeypatch, when):
    run = tmp_path / "run"
    kind, name = (probing, "evaluate_task") if when == "probing" else (geneb_jax.run, "close_run")
    real = getattr(kind, name)

    def removes(*arguments, **options):
        result = real(*arguments, **options)
        if run.is_dir():
            shutil.rmtree(run)
        return result

    monkeypatch.setattr(kind, name, removes)
    done = command(*call, "--config.models=kmer-1")
    assert done.returncode == FAILED
    assert done.stderr.splitlines()[-1] == (
        f"{run}: was removed, or moved away, while the run was going on; what this run had written "
        "there is no result of it; the same command computes what is not there"
    )
    assert "Traceback" not in done.stderr
    assert not (run / "scores.csv").exists()
    monkeypatch.undo()
    assert command(*call, "--config.models=kmer-1").returncode == DONE
    assert set(read_scores(run / "scores.csv")["task"]) == set(TASKS)


def test_a_run_whose_scores_are_removed_has_failed(command, tmp_path, call, monkeypatch):
    cells, real, calls = tmp_path / "run" / "cells", probing.evaluate_task, []

    def removes(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:  # the first task's are there
            shutil.rmtree(cells)
        return real(*arguments, **options)

    monkeypatch.setattr(probing, "evaluate_task", removes)
    done = command(*call, "--config.models=kmer-1")
    assert done.returncode == FAILED
    path, _, words = done.stderr.splitlines()[-1].partition(": ")
    assert Path(path).is_relative_to(cells)
    assert words == (
        "was removed while the run was going on; gone are 1 of 2 files of scores of 'kmer-1', and "
        "the same command computes what is not there"
    )
    assert command(*call, "--config.models=kmer-1").returncode == DONE
    assert len(calls) == 3


def test_a_run_that_is_not_started_leaves_no_folder(command, tmp_path, call, checkpoints):
    call = (*call, f"--config.checkpoints_dir={checkpoints}", f"--config.models={TRUNCATED}")
    before = set(tmp_path.rglob("*"))
    new = (f"--workdir={tmp_path / 'deep' / 'run'}", "--config.peer_seconds=1")
    elsewhere = f"--config.embeddings_dir={tmp_path / 'embeddings' / 'mine'}"
    assert command(*call, *new, elsewhere).returncode == WRONG
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = f"--config.processes=0/2@127.0.0.1:{port}"
    assert command(*call, *new, elsewhere, alone).returncode == WRONG
    assert set(tmp_path.rglob("*")) == before


def test_a_damaged_cell_is_named_once(command, tmp_path, call, capsys):
    call = (*call, "--config.models=kmer-1,kmer-2")
    assert command(*call).returncode == DONE
    cell = next((tmp_path / "run" / "cells" / "kmer-2").rglob("*.json"))
    whole = cell.read_bytes()
    cell.write_bytes(b"{")
    done = command(*call)
    assert done.returncode == DONE and cell.read_bytes() == whole
    assert done.stderr.count(f"{cell}: not JSON") == 1
    assert (tmp_path / "run" / "log.txt").read_text().count(f"{cell}: not JSON") == 1


def test_host_memory_that_runs_out_in_loading_fails_the_model(command, call, tmp_path, monkeypatch):
    def load(source, mesh):
        raise MemoryError("Unable to allocate 28. GiB")

    monkeypatch.setattr(PortSource, "_load", load)
    assert command(*call, f"--config.models={TINY},kmer-1").returncode == SOME_FAILED
    (failure,) = json.loads((tmp_path / "run" / "run.json").read_text())["failures"]
    assert (failure["stage"], failure["reason"]) == ("load", "Unable to allocate 28. GiB")


def limit_device(monkeypatch, tokens):
    """Makes the device run out of memory, in its words, with batches of more tokens."""
    real = engine.Engine.compiled

    def compiled(machine, batch):
        if batch.size * batch.length > tokens:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4.3G")
        return real(machine, batch)

    monkeypatch.setattr(engine.Engine, "compiled", compiled)


def test_batches_that_do_not_fit_are_halved_and_the_bytes_are_those_of_small_ones(
    command, tmp_path, call, monkeypatch, caplog
):
    call = (*call, f"--config.models={TINY}")
    small = (*call, "--config.batch_tokens=64", f"--workdir={tmp_path / 'small'}")
    assert command(*small).returncode == DONE
    limit_device(monkeypatch, 100)
    caplog.clear()
    assert command(*call).returncode == DONE
    said = [line for line in caplog.messages if "does not hold" in line]
    assert [line.rpartition("at most ")[2] for line in said] == [
        "256 tokens a device", "128 tokens a device", "64 tokens a device",
    ]  # fmt: skip
    bytes_of = [(tmp_path / name / "scores.csv").read_bytes() for name in ("small", "run")]
    assert bytes_of[0] == bytes_of[1]
    caplog.clear()
    shutil.rmtree(tmp_path / "run" / "embeddings")
    shutil.rmtree(tmp_path / "run" / "cells")
    assert command(*call).returncode == DONE  # it is remembered
    assert not [line for line in caplog.messages if "does not hold" in line]
    assert (tmp_path / "run" / "scores.csv").read_bytes() == bytes_of[0]


def test_a_record_that_does_not_fit_fails_the_model(command, tmp_path, call, monkeypatch):
    limit_device(monkeypatch, 1)
    assert command(*call, f"--config.models={TINY},kmer-1").returncode == SOME_FAILED
    (failure,) = json.loads((tmp_path / "run" / "run.json").read_text())["failures"]
    assert failure["stage"] == "embed"
    assert failure["reason"].startswith("the device's memory does not hold a batch of 1 x ")


# A run that tells that it is in some stage, and stays there.
STAY = """
import sys, time
from pathlib import Path
from geneb_jax.commands import main
from geneb_jax.embedding import engine
from geneb_jax.scoring import probing

def stay(*arguments, **options):
    Path(sys.argv[1]).touch()
    time.sleep(60)

{patch}
sys.exit(main(sys.argv[2:]))
"""
STAGES = {
    "embed": "real, batches = engine.Engine.fetch, iter(range(2))\n"
    "engine.Engine.fetch = lambda *a: stay() if next(batches, None) is None else real(*a)",
    "compile": "import jax; jax.stages.Lowered.compile = stay",
    "probe": "probing.evaluate_task = stay",
}


def started(call, tmp_path, stage):
    """A run that is in a stage."""
    sign = tmp_path / f"sign of {stage}"
    process = subprocess.Popen(
        [sys.executable, "-c", STAY.format(patch=STAGES[stage]), str(sign), *call],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not sign.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    if not sign.exists():
        process.kill()
        pytest.fail(process.communicate()[1])
    return process


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_a_run_within_seconds_and_the_same_command_goes_on(
    command, tmp_path, call, stage
):
    call = (*call, f"--config.models={TINY}", "--config.batch_tokens=64")
    process, began = started(call, tmp_path, stage), time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 8
    assert process.returncode == INTERRUPTED
    assert error.splitlines()[-1] == "interrupted by SIGTERM; the same command goes on from here"
    assert "Traceback" not in error
    run = tmp_path / "run"
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert not (run / "owner.json").exists() and not list(run.rglob("*.tmp"))
    kept = len(list(run.rglob("values-*.npy")))  # two batches, none, all
    assert kept == {"embed": 1, "compile": 0, "probe": 1}[stage]
    last = (run / "log.txt").read_text().splitlines()[-1]
    assert last.endswith("ended: interrupted by SIGTERM; the same command goes on from here")
    assert command(*call).returncode == DONE
    whole = (*call, f"--workdir={tmp_path / 'whole'}")
    assert command(*whole).returncode == DONE
    assert (run / "scores.csv").read_bytes() == (tmp_path / "whole" / "scores.csv").read_bytes()


@pytest.mark.slow
def test_a_second_run_in_a_workdir_is_told_of_the_first(command, tmp_path, call):
    call = (*call, "--config.models=kmer-1")
    process = started(call, tmp_path, "probe")
    try:
        done = command(*call)
        assert done.returncode == WRONG
        first, second = done.stderr.splitlines()
        assert first == "nothing was started:"
        assert second.startswith(f"--workdir={tmp_path / 'run'}: the run of process {process.pid}")
    finally:
        process.kill()
        process.communicate()
    assert command(*call).returncode == DONE
