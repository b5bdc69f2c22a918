"""Models and probes are laid out for TPU chips that are not there, and compile for them."""

import importlib.util

import jax
import numpy as np
import pytest

from benchmarks import tpu_aot
from benchmarks.needs import FIXTURES
from model_ports import catalog
from model_ports.loading.ports import random_port

MODEL_ID = "nucleotide-transformer-v2-50m-multi-species"
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu is not installed: pip install 'geneb-jax[tpu-aot]'",
)


def test_every_family_has_its_largest_model():
    entries = catalog.entries()
    named = [entries[model_id] for model_id in tpu_aot.largest_models()]
    assert {entry.family for entry in named} == {entry.family for entry in entries.values()}
    for entry in named:
        others = [other for other in entries.values() if other.family == entry.family]
        assert entry.params == max(other.params for other in others)


@pytest.mark.parametrize(
    ("gib", "chips", "shared"),
    [(1, 4, 1), (8, 4, 1), (13, 4, 2), (28, 4, 4), (28, 256, 4), (99, 4, 4)],
)
def test_parameters_are_shared_by_as_few_chips_as_hold_them(gib: int, chips: int, shared: int):
    assert tpu_aot.sharing_chips(gib * 2**30, chips) == shared


def test_an_abstract_port_has_the_shapes_of_one_with_weights():
    abstract = tpu_aot.laid_out(MODEL_ID, "bfloat16", np.array(jax.devices()[:1]))
    real = random_port(catalog.get(MODEL_ID), FIXTURES / MODEL_ID, dtype="bfloat16")
    shapes = [
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), port.state) for port in (abstract, real)
    ]
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])


@needs_libtpu
@pytest.mark.slow
def test_a_model_and_a_probe_compile_for_tpu_chips():
    devices = tpu_aot.topology_devices("v5e:2x2")
    assert devices.size == 4
    model = tpu_aot.lower_model(MODEL_ID, "bfloat16", 2048, devices)
    probe = tpu_aot.lower_probe("ridge", devices)
    first = tpu_aot.compiled_row("model", "v5e:2x2", *model)
    second = tpu_aot.compiled_row("probe", "v5e:2x2", *probe)
    assert first["layout"] == "4x1, 16 x 512"
    assert first["GFLOP"] > 0 and second["GFLOP"] > 0
