"""Runs of several processes and of several virtual devices beside a run on one device."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import jax
import pandas as pd
import pytest
from etils import epath
from golden_ports import GOLDEN

from geneb_jax.devices import processes
from geneb_jax.devices.processes import Process
from geneb_jax.scoring.scores import read_scores
from geneb_jax.tasks.synthetic import synthetic_tasks

ROOT = Path(__file__).parents[3]
MODELS = (
    "nucleotide-transformer-v2-50m-3mer-multi-species:random:tiny",
    "hyenadna-medium-160k-seqlen-hf:random:tiny",
)


@pytest.fixture(scope="module")
def tasks_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    task = synthetic_tasks()[6]
    for name, some in (("mine", slice(60)), ("yours", slice(60, 120))):  # one to each process
        rows = [
            (sequence, label, split)
            for split, part in (("train", task.train), ("test", task.test))
            for sequence, label in zip(part.sequences[some], part.labels[some], strict=True)
        ]
        table = pd.DataFrame(rows, columns=["text", "label", "split"])
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def start(tasks_dir, workdir, devices, *flags):
    """A run in a process of its own, on virtual devices."""
    return subprocess.Popen(
        [
            sys.executable, "run.py", "--config=configs/full.py", f"--workdir={workdir}",
            f"--config.models={','.join(MODELS)}", f"--config.tasks_dir={tasks_dir}",
            "--config.seeds=13", "--config.regimes=full", "--config.C=0.1",
            "--config.batch_tokens=256", "--noconfig.report", *flags,
        ],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k} | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        },
    )  # fmt: skip


def finish(*runs):
    try:
        for run in runs:
            output, _ = run.communicate(timeout=300)
            assert run.returncode == 0, output[-3000:]
    finally:
        for run in runs:
            run.kill()


@pytest.fixture(scope="module")
def one_device(tasks_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one")
    finish(start(tasks_dir, workdir, 1))
    return read_scores(workdir / "scores.csv")


@pytest.mark.slow
def test_eight_devices_score_as_one_does(tasks_dir, one_device, tmp_path):
    finish(start(tasks_dir, tmp_path, 8))
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.csv"), one_device)


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["workdir", "bucket"])
def test_two_processes_of_two_devices_score_as_one_does(
    tasks_dir, one_device, tmp_path, bucket_folder, kept
):
    address = free_address()
    embeddings = {"workdir": str(tmp_path / "embeddings"), "bucket": bucket_folder}[kept]
    flags = [f"--config.embeddings_dir={embeddings}"]
    finish(
        *(
            start(tasks_dir, tmp_path, 2, *flags, f"--config.processes={i}/2@{address}")
            for i in (0, 1)
        )
    )
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.csv"), one_device)
    # Each process wrote a chunk of its own for each of the two models.
    assert len(list(epath.Path(embeddings).glob("*/*/values-*.npy"))) == 4


# Runs of several processes, of which something becomes of one. ------------------------------------


@pytest.fixture(scope="module")
def six_tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("six")
    for number, task in enumerate(synthetic_tasks()[:6]):
        rows = [
            (sequence, label, split)
            for split, part in (("train", task.train), ("test", task.test))
            for sequence, label in zip(part.sequences[:40], part.labels[:40], strict=True)
        ]
        table = pd.DataFrame(rows, columns=["text", "label", "split"])
        table.to_csv(folder / f"t{number}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def alone(six_tasks, tmp_path_factory):
    """The bytes of scores.csv that one process writes."""
    workdir = tmp_path_factory.mktemp("alone")
    (run,) = group(six_tasks, workdir, 1)
    assert ended(run)[0] == 0
    return (workdir / "scores.csv").read_bytes()


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def group(tasks_dir, workdir, count, *flags, numbers=None, address="", flags_of=None):
    """Processes of one run; `flags_of` has more flags by number."""
    address = address or free_address()
    return [
        start(
            tasks_dir, workdir, 1,
            f"--config.models=kmer-3,{MODELS[0]}", "--config.regimes=full,10shot",
            # Embedding compiles and takes seconds, so that something can happen meanwhile.
            "--config.cache_dir=none", "--config.audit=False", *flags,
            *([f"--config.processes={number}/{count}@{address}"] if count > 1 else []),
            *(flags_of or {}).get(number, []),
        )
        for number in (range(count) if numbers is None else numbers)
    ]  # fmt: skip


def ended(run, since=None):
    """Status, last line but the tables, and the seconds since a time."""
    try:
        output, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    seconds = time.monotonic() - since if since else 0.0
    print(f"status {run.returncode} after {seconds:.1f} s: {output.strip()[-400:]}")
    assert "Traceback" not in output and "Check failed" not in output, output[-3000:]
    return run.returncode, output


def wait_until_embedding(workdir, run):
    """Until the first process embeds the records of the port."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and run.poll() is None:
        with suppress(OSError, ValueError):
            status = json.loads((workdir / "status.json").read_text())
            if status["model"] == MODELS[0] and status["stage"] == "embed":
                return
        time.sleep(0.05)
    raise AssertionError(f"no embedding: {run.communicate(timeout=10)[0][-2000:]}")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_write_the_bytes_of_one(six_tasks, alone, tmp_path, count):
    runs = group(six_tasks, tmp_path, count, "--config.save_predictions=True")
    outputs = [ended(run) for run in runs]
    assert [code for code, _ in outputs] == [0] * count
    assert (tmp_path / "scores.csv").read_bytes() == alone
    assert len(list((tmp_path / "predictions").rglob("*.npz"))) == 12
    probed = [line for _, text in outputs for line in text.splitlines() if "probed here" in line]
    assert len(probed) == 2 * (count - 1)
    assert not all(" 0 tasks" in line for line in probed)
    assert not list(tmp_path.rglob("*.tmp"))
    others = json.loads((tmp_path / "run.json").read_text())["processes"]
    assert [other["process"] for other in others] == list(range(1, count))
    assert all((tmp_path / f"log-{number}.txt").is_file() for number in range(1, count))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_the_work_of_a_killed_process_is_done_by_the_others(six_tasks, alone, tmp_path, count):
    runs = group(six_tasks, tmp_path, count)
    wait_until_embedding(tmp_path, runs[0])
    runs[-1].kill()
    began = time.monotonic()
    outputs = [ended(run, began) for run in runs[:-1]]
    assert [code for code, _ in outputs] == [0] * (count - 1)
    lost = f"process {count - 1} of {count} (number {runs[-1].pid} on host {socket.gethostname()})"
    assert f"{lost} is lost: it was killed, or its host is gone; its work" in outputs[0][1]
    assert (tmp_path / "scores.csv").read_bytes() == alone


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_without_the_first_the_others_end_and_the_command_goes_on(
    six_tasks, alone, tmp_path, count
):
    runs = group(six_tasks, tmp_path, count)
    wait_until_embedding(tmp_path, runs[0])
    runs[0].kill()
    began = time.monotonic()
    for run in runs[1:]:
        code, output = ended(run, began)
        assert code == 4
        first = f"process 0 of {count} (number {runs[0].pid} on host {socket.gethostname()})"
        assert output.splitlines()[-1] == (
            f"the first process, {first}, is lost: it was killed, or its host is gone; the same "
            "command goes on from here"
        )
    assert time.monotonic() - began < 30
    if count == 2:
        assert [ended(run)[0] for run in group(six_tasks, tmp_path, 2)] == [0, 0]
        assert (tmp_path / "scores.csv").read_bytes() == alone


@pytest.mark.slow
def test_a_process_that_is_held_is_not_waited_for(six_tasks, alone, tmp_path):
    runs = group(six_tasks, tmp_path, 2, "--config.peer_seconds=8")
    wait_until_embedding(tmp_path, runs[0])
    runs[1].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    code, output = ended(runs[0], began)
    assert code == 0 and "was not heard of for 8 s; its work is done by the others" in output
    assert (tmp_path / "scores.csv").read_bytes() == alone
    runs[1].send_signal(signal.SIGCONT)
    code, output = ended(runs[1], time.monotonic())
    assert code == 4 and "the same command goes on from here" in output


@pytest.mark.slow
@pytest.mark.parametrize(("count", "signalled"), [(2, [1]), (2, [0]), (4, [2]), (2, [0, 1])])
def test_a_signal_to_some_ends_all(six_tasks, tmp_path, count, signalled):
    runs = group(six_tasks, tmp_path, count)
    wait_until_embedding(tmp_path, runs[0])
    began = time.monotonic()
    for number in signalled:
        runs[number].send_signal(signal.SIGTERM)
    for run in runs:
        code, output = ended(run, began)
        assert code == 4
        assert "interrupted by SIGTERM; the same command goes on from here" in output
    assert time.monotonic() - began < 30


REFUSED = "nothing was started:\nconfig.processes: "


@pytest.mark.slow
def test_a_process_that_is_missing_ends_the_others(six_tasks, tmp_path):
    began = time.monotonic()
    runs = group(six_tasks, tmp_path, 4, "--config.peer_seconds=10", numbers=[0, 1, 3])
    for code, output in [ended(run, began) for run in runs]:
        assert code == 2 and f"{REFUSED}process 2 of 4 did not come to 127.0.0.1:" in output


@pytest.mark.slow
def test_a_process_that_is_late_is_waited_for(six_tasks, alone, tmp_path):
    address = free_address()
    (second,) = group(six_tasks, tmp_path, 2, numbers=[1], address=address)
    time.sleep(8)
    (first,) = group(six_tasks, tmp_path, 2, numbers=[0], address=address)
    code, output = ended(second)
    assert code == 0 and f"waiting for the first process at {address}" in output
    assert ended(first)[0] == 0
    assert (tmp_path / "scores.csv").read_bytes() == alone


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_other_settings_are_named_to_all(six_tasks, tmp_path, count):
    last = count - 1
    runs = group(six_tasks, tmp_path, count, flags_of={last: ["--config.seeds=42"]})
    began = time.monotonic()
    outputs = [ended(run, began) for run in runs]
    assert not list(tmp_path.iterdir())  # nothing was started
    for code, output in outputs:
        assert code == 2
        assert f"{REFUSED}process {last} of {count} (number {runs[last].pid} on host" in output
        assert "config.seeds is (42,), and (13,) in the first process; start all" in output


@pytest.mark.slow
def test_other_tasks_are_named_to_all(six_tasks, tmp_path):
    other = tmp_path / "tasks"
    shutil.copytree(six_tasks, other)
    table = pd.read_csv(other / "t3.csv")
    table.iloc[:-1].to_csv(other / "t3.csv", index=False)
    mine = {1: [f"--config.tasks_dir={other}"]}
    began = time.monotonic()
    runs = group(six_tasks, tmp_path / "work", 2, flags_of=mine)
    for code, output in [ended(run, began) for run in runs]:
        assert code == 2 and "the content of task 't3' is " in output


@pytest.mark.slow
def test_embeddings_that_are_not_shared_are_named_to_all(six_tasks, tmp_path):
    mine = {1: [f"--config.embeddings_dir={tmp_path / 'mine'}"]}
    began = time.monotonic()
    runs = group(six_tasks, tmp_path / "work", 2, flags_of=mine)
    for code, output in [ended(run, began) for run in runs]:
        assert code == 2 and f"is another one, {tmp_path / 'mine'}" in output


@pytest.mark.slow
def test_workdirs_may_be_each_process_s(six_tasks, alone, tmp_path):
    address, shared = free_address(), f"--config.embeddings_dir={tmp_path / 'shared'}"
    runs = [
        *group(six_tasks, tmp_path / "a", 2, shared, numbers=[0], address=address),
        *group(six_tasks, tmp_path / "b", 2, shared, numbers=[1], address=address),
    ]
    outputs = [ended(run) for run in runs]
    assert [code for code, _ in outputs] == [0, 0]
    assert (tmp_path / "a" / "scores.csv").read_bytes() == alone
    assert not (tmp_path / "b" / "cells").exists()


@pytest.mark.slow
def test_a_model_that_one_process_cannot_check_is_the_others_work(six_tasks, tmp_path):
    name = MODELS[0].partition(":")[0]
    for folder in ("whole", "cut"):
        shutil.copytree(GOLDEN / name, tmp_path / folder / name)
    file = tmp_path / "cut" / name / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    flags_of = {
        number: [f"--config.checkpoints_dir={tmp_path / folder}", f"--config.models=kmer-3,{name}"]
        for number, folder in enumerate(("whole", "cut"))
    }
    first, second = map(ended, group(six_tasks, tmp_path / "run", 2, flags_of=flags_of))
    assert (first[0], second[0]) == (0, 0)
    assert set(read_scores(tmp_path / "run" / "scores.csv")["model"]) == {"kmer-3", name}
    (other,) = json.loads((tmp_path / "run" / "run.json").read_text())["processes"]
    (problem,) = other["problems"]
    assert problem.startswith(f"model '{name}' failed (check): {file}: not a readable safetensors")
    assert "not done by other processes" in first[1] and "failed (check)" in first[1]


@pytest.mark.slow
def test_a_port_in_use_is_named_by_both(six_tasks, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:  # takes connections, says nothing
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        flags = ["--config.peer_seconds=3"]
        first, second = group(six_tasks, tmp_path, 2, *flags, address=address)
        code, output = ended(first, began)
        assert code == 2 and f"cannot listen at port {address.partition(':')[2]} of" in output
        code, output = ended(second, began)
        assert code == 2 and f"what answers at {address} is not the first process" in output


@pytest.mark.slow
def test_a_first_process_that_is_not_reached_is_named(six_tasks, tmp_path):
    address, began = free_address(), time.monotonic()
    flags = ["--config.peer_seconds=3"]
    (second,) = group(six_tasks, tmp_path, 2, *flags, numbers=[1], address=address)
    code, output = ended(second, began)
    assert code == 2
    assert f"does not reach the first process at {address} within 3 s: Connection refused" in output


# Which process this one is. -----------------------------------------------------------------------

SLURM = {
    "SLURM_JOB_ID": "5", "SLURM_STEP_NODELIST": "node[001-002]", "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_NODES": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "devices"), [({}, "1"), ({"JAX_LOCAL_DEVICE_IDS": "2,3"}, "2,3")]
)
def test_slurm_says_which_process_and_which_gpu(monkeypatch, variables, devices):
    for name, value in (SLURM | variables).items():
        monkeypatch.setenv(name, value)
    updated = {}
    monkeypatch.setattr(jax.config, "update", updated.__setitem__)
    # JAX's rule: 61440 and the last twelve bits of the job's number.
    assert processes.join("auto") == Process(5, 8, "node001:61445")
    assert updated["jax_cuda_visible_devices"] == devices
    assert processes.this_process().number == 5
    assert processes.join("") == processes.this_process() == Process(0, 1, "")


def test_a_process_is_named_or_found():
    assert processes.join("1/2@10.0.0.1:7000") == Process(1, 2, "10.0.0.1:7000")
    with pytest.raises(ValueError, match="JAX finds no cluster here"):
        processes.join("auto")
    processes.join("")
