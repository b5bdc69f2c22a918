"""Heads with the rows spread over the devices of a mesh."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from probes import Probe, evaluate_task

HERE = Path(__file__).parent


@pytest.mark.slow
def test_rows_over_eight_devices_give_the_scores_of_one():
    done = subprocess.run(
        [sys.executable, HERE / "sharded_heads.py"],
        capture_output=True, text=True, timeout=600, check=False, cwd=HERE.parents[1],
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {facts["name"]: facts for facts in map(json.loads, done.stdout.splitlines())}
    assert set(found) == {"geneb", "converged", "tuned", "ridge"}
    for facts in found.values():
        assert len(facts["one"]) == len(facts["eight"]) > 0
        for one, eight in zip(facts["one"], facts["eight"], strict=True):
            assert [one[key] for key in ("shots", "seed", "C", "class_weight")] == [
                eight[key] for key in ("shots", "seed", "C", "class_weight")
            ]
            assert eight["MCC"] == pytest.approx(one["MCC"], abs=1e-9)
            assert eight["objective"] == pytest.approx(one["objective"], rel=1e-9)


def test_a_mesh_without_the_axis_is_named():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("model",))
    x, y = np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"axes \('model',\); rows need one named 'data'"):
        evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=(1,), mesh=mesh)
