"""Converts fixtures, restores them on one and on eight devices, and prints facts as JSON lines.

Run as a program: the number of devices is settled when JAX starts.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from model_ports import catalog

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np
from jax.sharding import Mesh

from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.convert import convert
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize

MESH = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "model"))


def roundtrip(folder, out):
    """Facts on one fixture."""
    sequence = json.loads((folder / "cases.json").read_text())["sequences"][0]
    made, _ = convert(catalog.get(folder.name), folder, out)
    port = load_port(plan_checkpoint(catalog.get(folder.name), folder))
    one = load_port(plan_checkpoint(catalog.get(folder.name), made))
    eight = load_port(plan_checkpoint(catalog.get(folder.name), made), mesh=MESH)
    encoded = tokenize(port, [sequence])
    inputs = collate(port, encoded, padded_length(port, len(encoded[0])))
    embed = embedder(port)
    vectors = [np.asarray(embed(p.state, inputs))[0] for p in (port, one)]
    whole, leaves = jax.tree.leaves(one.state), jax.tree.leaves(eight.state)
    return {
        "model": folder.name,
        "parameters": len(parameter_shapes(one.state)),
        "devices": sorted({len(leaf.sharding.device_set) for leaf in leaves}),
        "sharded": sum(not leaf.sharding.is_fully_replicated for leaf in leaves),
        "one": float(np.abs(vectors[1] - vectors[0]).max()),
        "eight": all(np.array_equal(a, b) for a, b in zip(whole, leaves, strict=True)),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as out:
        for name in sys.argv[1:]:
            try:
                facts = roundtrip(Path(name), Path(out))
            except Exception as error:  # the test shows it beside the other fixtures' results
                facts = {"model": Path(name).name, "error": repr(error)}
            print(json.dumps(facts), flush=True)
