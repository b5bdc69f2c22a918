"""Runs of several processes and of several virtual devices beside a run on one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from etils import epath

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
    rows = [
        (sequence, label, split)
        for split, part in (("train", task.train), ("test", task.test))
        for sequence, label in zip(part.sequences[:60], part.labels[:60], strict=True)
    ]
    table = pd.DataFrame(rows, columns=["text", "label", "split"])
    table.to_csv(folder / "mine.csv", index=False)
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
        env=os.environ | {
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
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
