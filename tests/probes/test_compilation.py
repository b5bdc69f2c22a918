"""How many programs the tasks of one model compile, and that a second process compiles none."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from probes import Probe, compile_task, evaluate_task, logistic
from probes.ridge import fit_ridge

ROOT = Path(__file__).parents[2]
# Prints how many programs were compiled, tasks of other sizes after the first apart.
# Selection has one strength: of several, how many draws choose one is the data's, and a shape.
PROGRAM = """
import jax, numpy as np
from probes import Probe, evaluate_task

asked = found = 0

def count(name, **_):
    global asked, found
    asked += name == "/jax/compilation_cache/compile_requests_use_cache"
    found += name == "/jax/compilation_cache/cache_hits"

jax.monitoring.register_event_listener(count)
rng = np.random.default_rng(0)
for train, test in ((450, 130), (490, 150), (500, 160)):
    x = rng.normal(size=(train + test, 12)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=len(x)) > 0).astype(int)
    evaluate_task(x[:train], y[:train], x[train:], y[train:], shots=[None, 10, 1], seeds=(1, 2),
                  probes=[Probe("ridge", strengths=(0.1, 1.0)),
                          Probe("ridge", selection="folds")])
    print(asked, asked - found, flush=True)
"""


def programs_of(work):
    """Names of the fits that some work compiles."""
    found = []

    def note(event, _, **facts):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(facts["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        work()
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    return [name for name in found if "fit_" in name]


def test_tasks_of_close_sizes_share_programs():
    def compiled(train, test):
        rng = np.random.default_rng(train)
        x = rng.normal(size=(train + test, 12)).astype(np.float32)
        y = (x[:, 0] + rng.normal(size=len(x)) > 0).astype(int)
        evaluate_task(x[:train], y[:train], x[train:], y[train:], shots=[None, 10, 1], seeds=(1, 2),
                      probes=[Probe("ridge", strengths=(0.1, 1.0))])  # fmt: skip
        return fit_ridge._cache_size()

    first = compiled(450, 130)
    assert first > 0
    assert compiled(490, 150) == compiled(500, 160) == first


@pytest.mark.parametrize(
    "probe",
    [
        Probe("logistic", strengths=(0.1, 1.0)),
        Probe("logistic", "converged", class_weights=("none", "balanced")),
        Probe("logistic", "optax"),
        Probe("logistic", selection="folds"),
        Probe("ridge", standardised=True),
        Probe("mlp", strengths=(0.1, 1.0)),
    ],
    ids=lambda probe: f"{probe.kind} {probe.solver} {probe.selection}",
)
def test_programs_are_compiled_in_another_thread_before_features_are_known(probe, monkeypatch):
    monkeypatch.setattr(logistic, "_COMPILED_FROM", 0)
    rng = np.random.default_rng(7)
    x = rng.normal(size=(90, 11)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=90) > 0).astype(int)
    how = {"probes": [probe], "shots": [None, 5], "seeds": (1, 2)}
    jax.clear_caches()
    with ThreadPoolExecutor(1) as pool:
        compiled = programs_of(lambda: pool.submit(compile_task, y[:70], 11, **how).result())
    assert compiled
    later = programs_of(lambda: evaluate_task(x[:70], y[:70], x[70:], y[70:], **how))
    if probe.selection == "none":
        assert not later
    else:  # of the strength that is chosen: as many draws as have chosen it
        assert len(later) <= len(compiled)


@pytest.mark.slow
def test_tasks_share_programs_and_a_second_run_compiles_none(tmp_path):
    variables = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def run():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True, text=True, timeout=600, check=False, cwd=ROOT,
            env=os.environ | variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]

    first, second = run(), run()
    asked = [numbers[0] for numbers in first]
    assert first[0][1] > 0  # the listener counts
    assert asked[1:] == asked[:1] * 2  # the other tasks find all programs compiled
    assert [compiled for _, compiled in second] == [0] * 3
