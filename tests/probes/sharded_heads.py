"""Fits heads on one device and with rows spread over eight, and prints both as JSON lines.

Run as a program: the number of devices is settled when JAX starts.
"""

import json
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np
from jax.sharding import AxisType

from probes import Probe, evaluate_task

PROBES = {
    # Rounding moves where a path of some hundred steps ends; these are short.
    "geneb": Probe(strengths=(0.01, 0.1)),
    "converged": Probe(solver="converged", strengths=(0.1, 10.0)),
    "tuned": Probe(solver="converged", strengths=(0.01, 1.0), standardised=True,
                   selection="folds"),
    "ridge": Probe("ridge", strengths=(0.1, 10.0)),
}  # fmt: skip


def facts(probe, mesh):
    """Scores of a small task; some of its rows are padding on every number of devices."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(700, 20)) * np.exp(rng.normal(size=20))).astype(np.float32)
    y = np.argmax(x @ rng.normal(size=(20, 3)) + 3 * rng.normal(size=(700, 3)), axis=1)
    heads = evaluate_task(
        x[:450], y[:450], x[450:], y[450:],
        probes=[probe], shots=[None, 10], seeds=(13,), mesh=mesh,
    )  # fmt: skip
    names = ("shots", "seed", "C", "class_weight", "MCC", "AUROC", "objective", "iterations")
    return [{name: getattr(head, name) for name in names} for head in heads]


if __name__ == "__main__":
    made = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
    for name, probe in PROBES.items():
        print(json.dumps({"name": name, "one": facts(probe, None), "eight": facts(probe, made)}))
