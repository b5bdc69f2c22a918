"""Embeddings on meshes of eight virtual devices beside those on one device."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from golden_ports import FOLDERS, GOLDEN
from jax.sharding import AbstractMesh, PartitionSpec

from geneb_jax.config import ConfigError, default_config, parse_config
from geneb_jax.devices.mesh import process_mesh
from geneb_jax.failures import Failures
from geneb_jax.run import check
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.planned import abstract_model, family_config
from model_ports.loading.ports import random_port
from model_ports.loading.sharding import LARGE, parameter_shardings

HERE = Path(__file__).parent
NT = "nucleotide-transformer-v2-50m-multi-species"
# The last fixture of each family; their widths are divided by eight, as not all of the others are.
FAMILIES = list({catalog.get(f.name).family: f for f in sorted(GOLDEN.iterdir())}.values())
# Beyond the paper's 40: another family, and blocks of another kind.
FAMILIES += [
    FOLDERS[name]
    for name in ("gLM2_650M", "GENERanno-eukaryote-0.5b-base", "PlantCAD2-Small-l24-d0768")
]


def differences(layouts, folders):
    """Facts of `sharded_engine.py`, one for each layout of each fixture."""
    done = subprocess.run(
        [sys.executable, HERE / "sharded_engine.py", layouts, *folders],
        capture_output=True, text=True, timeout=900, check=False, cwd=HERE.parents[2],
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_same(facts):
    """Data parallel is bitwise equal in batches of one length: devices run the program that one
    device runs, on as many rows each, without a word between them. Tensor parallel sums in another
    order."""
    assert "error" not in facts, facts
    data, model = map(int, facts["layout"].split("x"))
    assert data * model == 8
    assert facts["equal"] or model > 1, facts
    assert facts["difference"] <= 1e-5, facts
    # A record a device needs there what it needs on one device, whose parameters may be split.
    assert facts["needed"] == 1 if model == 1 else facts["needed"] < 1, facts
    assert (facts["held"] < 0.8) == (model > 1), facts
    assert bool(facts["exchanges"]) == (model > 1), facts


def test_eight_devices_embed_as_one_does():
    found = differences("8x1,2x4", [GOLDEN / NT])
    assert len(found) == 2
    for facts in found:
        assert_same(facts)


@pytest.mark.slow
def test_every_family_is_split_both_ways():
    found = differences("8x1,2x4", FAMILIES)
    assert len(found) == 2 * len(FAMILIES)
    for facts in found:
        assert_same(facts)


def test_a_large_parameter_without_a_rule_is_split_where_it_can_be():
    mesh = AbstractMesh((2, 4), ("data", "model"))
    shapes = {"head": (LARGE, 3), "table": (5, 6, LARGE), "odd": (LARGE + 1, 3), "small": (8, 8)}
    shapes["up"] = (LARGE, 8)
    found = parameter_shardings([("up", (None, "model"))], shapes, mesh)
    assert {name: sharding.spec for name, sharding in found.items()} == {
        "head": PartitionSpec("model", None),
        "table": PartitionSpec(None, None, "model"),
        "odd": PartitionSpec(None, None),
        "small": PartitionSpec(),
        "up": PartitionSpec(None, "model"),
    }


@pytest.mark.parametrize("model_id", sorted(FOLDERS))
def test_full_size_models_are_split_evenly(model_id):
    """So that four devices of 16 GB take one of seven billion parameters in float32."""
    entry = catalog.get(model_id)
    config, _ = family_config(entry, entry.config)
    _, abstract = abstract_model(entry.family, config)
    shapes = parameter_shapes(abstract)
    mesh = AbstractMesh((1, 4), ("data", "model"))
    found = parameter_shardings(family(entry.family).SHARDING, shapes, mesh)
    whole = sum(math.prod(shape) for shape in shapes.values())
    held = sum(math.prod(found[name].shard_shape(shape)) for name, shape in shapes.items())
    assert held - whole / 4 <= 2**24
    assert held <= 2e9


def test_a_random_model_is_the_same_on_a_mesh():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    one = random_port(catalog.get(NT), GOLDEN / NT, tiny=True)
    many = random_port(catalog.get(NT), GOLDEN / NT, tiny=True, mesh=mesh)
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(many.state), strict=True):
        assert b.sharding.mesh == mesh
        assert (a == b).all()


def test_one_device_needs_no_mesh():
    assert process_mesh(1) is None


def test_a_mesh_that_the_devices_do_not_make_is_named_first(tmp_path):
    config = default_config()
    config.update({"models": "kmer-1", "tasks": "synthetic", "mesh": "model=3"})
    with pytest.raises(ConfigError, match=r"config\.mesh: model=3 does not divide the 1 devices"):
        check(parse_config(config), Failures())
