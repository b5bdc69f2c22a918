"""Embeds on one device and on meshes of eight, and prints how far apart they are, as JSON lines.

python sharded_engine.py LAYOUTS FOLDER ..., such as 8x1,2x4 tests/golden/GROVER. Run as a program:
the number of devices is settled when JAX starts.
"""

import json
import os
import re
import sys
from pathlib import Path

from model_ports import catalog

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np

from geneb_jax.devices.mesh import process_mesh
from geneb_jax.embedding.batches import Batch, plan_batches
from geneb_jax.embedding.engine import Work, embed_array, embed_array_in_order, open_engine
from model_ports.loading import sharding
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.running.records import tokenize

sharding.LARGE = 64  # fixtures are small: the rule for large parameters is to apply to them too
ROWS = 4  # of a batch on each device
TOKENS = ROWS * 64


def embed(engine, sequences):
    """float32 [N, D] of the sequences."""
    if engine.port.preset.batching == "input-order":
        return embed_array_in_order(engine, sequences, ROWS * engine.shards)
    return embed_array(engine, sequences, [TOKENS])


def alike(one, many, sequences):
    """Whether each device does with its rows of every batch what one alone does, bit for bit.

    Which length a record is padded to can depend on how many rows a batch has.
    """
    encoded = tokenize(many.port, sequences)
    for batch in plan_batches(many.port, list(map(len, encoded)), [TOKENS], many.shards):
        work, inputs = many.put(Work(batch, [encoded[row] for row in batch.rows]))
        found = np.asarray(many.run(work, inputs))
        rows = [*work.encoded, *[work.encoded[0]] * (batch.size - len(work.encoded))]
        size = batch.size // many.shards
        for start in range(0, batch.size, size):
            part = Work(Batch(tuple(range(size)), batch.length, size), rows[start : start + size])
            own = np.asarray(one.run(*one.put(part)))
            if not np.array_equal(own, found[start : start + size]):
                return False
    return True


def exchanges(compiled):
    """Kinds of communication between devices in a compiled program."""
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    return re.findall(rf" ({kinds})(?:-start)?\(", compiled.as_text())


def compare(folder, layout):
    """Facts on a fixture in a layout DATAxMODEL."""
    sequences = [s for s in json.loads((folder / "cases.json").read_text())["sequences"] if s]
    model = int(layout.split("x")[1])
    mesh = process_mesh(model)
    assert mesh is not None
    one, many = (
        open_engine(load_port(plan_checkpoint(catalog.get(folder.name), folder), mesh=m))
        for m in (None, mesh)
    )
    whole, spread = embed(one, sequences), embed(many, sequences)
    leaves = jax.tree.leaves(many.port.state)
    held = sum(leaf.addressable_shards[0].data.size for leaf in leaves)
    needed = [engine.needed_bytes(Batch((), 64, engine.shards)) for engine in (one, many)]
    return {
        "equal": alike(one, many, sequences) if model == 1 else None,
        "difference": float(np.abs(spread - whole).max() / np.abs(whole).max()),
        "needed": needed[1] / needed[0],
        "held": held / sum(leaf.size for leaf in leaves),
        "exchanges": sorted(
            {
                kind
                for program in many._programs.values()
                for kind in exchanges(program.result().call)
            }
        ),
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
