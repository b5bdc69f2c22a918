"""Embeds on one device and on meshes of eight, and prints how far apart they are, as JSON lines.

python sharded_engine.py LAYOUTS FOLDER ..., such as 8x1,2x4 tests/golden/GROVER. Run as a program:
the number of devices is settled when JAX starts.
"""

import json
import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np

from geneb_jax.embedding import embed_array, embed_array_in_order, open_engine
from geneb_jax.mesh import process_mesh
from model_ports import sharding
from model_ports.port import load_port

sharding.LARGE = 64  # fixtures are small: the rule for large parameters is to apply to them too
ROWS = 4  # of a batch on each device


def embed(folder, mesh):
    """float32 [N, D] of a fixture's sequences, and the share of parameters a device holds."""
    port = load_port(folder.name, folder, mesh=mesh)
    engine = open_engine(port)
    sequences = [s for s in json.loads((folder / "cases.json").read_text())["sequences"] if s]
    if port.preset.batching == "input-order":
        found = embed_array_in_order(engine, sequences, ROWS * engine.shards)
    else:
        found = embed_array(engine, sequences, ROWS * 64)
    leaves = jax.tree.leaves(port.state)
    held = sum(leaf.addressable_shards[0].data.size for leaf in leaves)
    return found, held / sum(leaf.size for leaf in leaves)


def compare(folder, layout):
    """Facts on a fixture in a layout DATAxMODEL."""
    one, _ = embed(folder, None)
    mesh = process_mesh(int(layout.split("x")[1]))
    assert mesh is not None
    many, held = embed(folder, mesh)
    return {
        "equal": bool(np.array_equal(one, many)),
        "difference": float(np.abs(many - one).max() / np.abs(one).max()),
        "held": held,
    }


if __name__ == "__main__":
    for name in sys.argv[2:]:
        for layout in sys.argv[1].split(","):
            facts = {"model": Path(name).name, "layout": layout}
            try:
                facts |= compare(Path(name), layout)
            except Exception as error:  # the test shows it beside the others' results
                facts |= {"error": repr(error)}
            print(json.dumps(facts), flush=True)
