"""Heads with the rows spread over the devices of a mesh."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

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


def test_a_mesh_of_one_device_gives_the_scores_of_none():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(0, 3, 90)
    options = {"probes": [Probe("ridge", selection="carve")], "shots": [None, 10], "seeds": (1,)}
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
    plain, meshed = (evaluate_task(x, y, x, y, mesh=m, **options) for m in (None, mesh))
    for a, b in zip(plain, meshed, strict=True):
        assert a.MCC == b.MCC
        np.testing.assert_array_equal(a.scores, b.scores)


def test_a_mesh_without_the_axis_is_named():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("model",))
    x, y = np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"axes \('model',\); rows need one named 'data'"):
        evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=(1,), mesh=mesh)
