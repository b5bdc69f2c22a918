"""What the package offers by name, and what its signatures refuse."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import probes
from probes import Probe, evaluate_task

LIGHT = """
import sys
import probes, probes.probe, probes.sampling, probes.solvers
from probes import CLASS_WEIGHTS, KINDS, SELECTIONS, SOLVERS, HeadScore, Probe, few_shot_rows
Probe(tuple(KINDS)[0], tuple(SOLVERS)[0])
heavy = {"jax", "optax", "beartype"} & set(sys.modules)
assert not heavy, heavy
from probes import evaluate_task
assert "jax" in sys.modules and "optax" not in sys.modules
"""


def test_names_of_probes_are_read_without_jax():
    done = subprocess.run(
        [sys.executable, "-c", LIGHT],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_public_name_is_there_and_others_are_not():
    assert all(getattr(probes, name) is not None for name in probes.__all__)
    with pytest.raises(AttributeError, match="module 'probes' has no attribute 'fit'"):
        _ = probes.fit


@pytest.mark.parametrize(
    ("parameter", "wrong", "shape"),
    [
        ("x_train", np.zeros((4, 2)), 'Float32[ndarray, "N D"]'),  # float64
        ("y_train", np.zeros(5, int), 'Integer[ndarray, "N"]'),  # a row too many
        ("x_test", np.zeros((3, 1), np.float32), 'Float32[ndarray, "M D"]'),  # another width
    ],
)
def test_a_wrong_call_names_the_parameter_and_its_shape(parameter, wrong, shape):
    rows = {
        "x_train": np.zeros((4, 2), np.float32),
        "y_train": np.array([0, 1, 0, 1]),
        "x_test": np.zeros((3, 2), np.float32),
        "y_test": np.array([0, 1, 0]),
    }
    with pytest.raises(TypeCheckError) as refused:
        evaluate_task(**rows | {parameter: wrong}, probes=[Probe()], shots=[None], seeds=(13,))
    message = str(refused.value).replace("'", '"')
    assert f'parameter "{parameter}"' in message
    assert shape in message


def test_every_metric_is_a_field_of_a_heads_scores():
    from dataclasses import fields

    from probes.metrics import AREAS, COUNTS
    from probes.probe import METRICS, Metrics

    assert tuple(METRICS) == tuple(field.name for field in fields(Metrics))
    assert set(METRICS) == {*COUNTS, *AREAS}
