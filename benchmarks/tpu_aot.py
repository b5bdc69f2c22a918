"""Do the ports and the probe fits compile for TPUs, and what do they need there?

    pip install 'geneb-jax[tpu-aot]'
    python -m benchmarks.tpu_aot

No TPU is needed: libtpu compiles ahead of time for the chips of a topology. Of each family the
largest model, and each one beyond the paper's 40 that has a fixture, is compiled at full size, in
bfloat16, for records of 512 tokens or its own input size, parameters split over as few chips as
hold them; then the probe fits, in the float64 of a
run, rows spread over all chips. A row has the `layout` of chips and batch, the seconds it took to
`compile`, the memory of one chip (`held_gib` by arguments and results, `working_gib` by
temporaries) and the compiler's cost analysis of one chip: `GFLOP` and `moved_gib`, in which a
loop's body, such as one layer of many, counts once. What does not fit a chip says so.

Needs a clone, and libtpu as above. `--out` holds these rows.
"""

import functools
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.embedding_engine import fixture, models_beyond
from benchmarks.needs import begin, fixtures, new_parser, packages
from benchmarks.rows import Row, Rows
from geneb_jax.embedding.batches import batch_size
from model_ports import catalog
from model_ports.contract.family import DATA, MODEL
from model_ports.loading.ports import abstract_port
from model_ports.port import Port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length
from probes.logistic_compiled import program
from probes.mlp import fit_mlp
from probes.ridge import fit_ridge
from probes.solvers import SOLVERS

COLUMNS = {
    "name": "50s", "topology": "10s", "layout": "22s", "compile": "7.1f", "held_gib": "8.3f",
    "working_gib": "8.3f", "GFLOP": "10.1f", "moved_gib": "9.2f", "failed": "s",
}  # fmt: skip
TOPOLOGIES = ("v5e:2x2", "v5e:16x16")
MEMORY = 16 * 2**30  # bytes of a v5e chip
TOKENS = 16384  # of a batch on the chips that share the parameters
LENGTH = 512
PROBE_ROWS, PROBE_WIDTH, STRENGTHS = 20480, 512, 5
# What a machine without TPUs has to tell libtpu, so that it asks no network.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


def topology_devices(name: str) -> np.ndarray:
    """The chips of a topology such as 'v5e:2x2', which need not be there."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    return np.array(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)


def largest_models() -> list[str]:
    """The largest of the paper's models of each family."""
    found: dict[str, str] = {}
    for entry in catalog.entries().values():
        found.setdefault(entry.family, entry.id)
    return list(found.values())


def sharing_chips(parameter_bytes: int, chips: int) -> int:
    """How many chips share the parameters: the fewest on which they take half of the memory."""
    parts = 1
    while parts < chips and parameter_bytes / parts > MEMORY / 2:
        parts *= 2
    return parts


def laid_out(model_id: str, dtype: str, devices: np.ndarray) -> Port:
    """A full-size model as shapes, laid out on devices that need not be there."""
    folder = fixture(model_id)
    parameters = jax.tree.leaves(abstract_port(catalog.get(model_id), folder, dtype=dtype).state)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in parameters)
    mesh = Mesh(devices.reshape(-1, sharing_chips(size, devices.size)), (DATA, MODEL))
    return abstract_port(catalog.get(model_id), folder, dtype=dtype, mesh=mesh)


def lower_model(model_id: str, dtype: str, tokens: int, devices: np.ndarray) -> tuple[str, Any]:
    """A model's lowered forward pass, and its layout in words."""
    port = laid_out(model_id, dtype, devices)
    assert port.mesh is not None
    limit = port.preset.max_tokens or port.config.max_tokens or LENGTH
    length = padded_length(port, min(LENGTH, limit))
    data, model = port.mesh.shape.values()
    rows = batch_size(length, tokens, data)
    spread = NamedSharding(port.mesh, PartitionSpec(DATA))
    inputs = {
        name: jax.ShapeDtypeStruct((rows, *array.shape[1:]), array.dtype, sharding=spread)
        for name, array in collate(port, [np.zeros(1, np.int32)], length).items()
    }
    lowered = embedder(port).lower(port.state, inputs)  # pyright: ignore (a jitted function)
    return f"{data}x{model}, {rows} x {length}", lowered


def lower_probe(name: str, devices: np.ndarray) -> tuple[str, Any]:
    """A full fit's lowered program, rows over all chips; `name` is a solver, 'ridge' or 'mlp'."""
    mesh = Mesh(devices.reshape(-1), (DATA,))
    rows, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((DATA,), ()))

    def array(shape: Sequence[int], dtype: Any, sharding: NamedSharding = whole) -> Any:
        return jax.ShapeDtypeStruct(tuple(shape), dtype, sharding=sharding)

    x = array((PROBE_ROWS, PROBE_WIDTH), np.float32, rows)
    many = NamedSharding(mesh, PartitionSpec(None, DATA))
    if name == "mlp":
        y = array((PROBE_ROWS, 1), np.float32, rows)
        weight = array((1, PROBE_ROWS), np.float32, many)
        held_out, seeds = array((1, 2048), np.int32), array((1,), np.uint32)
        strength = array((STRENGTHS,), np.float32)
        lowered = fit_mlp.lower(x, y, weight, held_out, strength, seeds)
    else:
        with jax.enable_x64(True):
            y = array((PROBE_ROWS, 1), np.float64, rows)
            weight = array((1, PROBE_ROWS), np.float64, many)
            strength = array((STRENGTHS,), np.float64)
            if name == "ridge":
                lowered = fit_ridge.lower(x, y, weight, strength)
            else:
                lowered = program("tpu").lower(x, y, weight, strength, solver=name)
    return f"{devices.size}, {PROBE_ROWS} x {PROBE_WIDTH}", lowered


def compiled_row(name: str, topology: str, layout: str, lowered: Any) -> Row:
    """Compiles, and returns the row."""
    row: Row = {"name": name, "topology": topology, "layout": layout}
    start = time.perf_counter()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return row | {"failed": f"does not fit: {str(error).splitlines()[0][:120]}"}
    seconds = time.perf_counter() - start
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes
    held -= memory.alias_size_in_bytes
    return row | {
        "compile": seconds,
        "held_gib": held / 2**30,
        "working_gib": memory.temp_size_in_bytes / 2**30,
        "GFLOP": cost["flops"] / 1e9,
        "moved_gib": cost["bytes accessed"] / 2**30,
    }


def main() -> None:
    """Adds a row a model or probe and topology."""
    probes = [*SOLVERS, "ridge", "mlp"]
    parser = new_parser(__doc__)
    parser.add_argument(
        "--models", nargs="*", default=[*largest_models(), *models_beyond()], metavar="ID"
    )
    parser.add_argument("--probes", nargs="*", default=probes, choices=probes)
    parser.add_argument("--topologies", nargs="+", default=TOPOLOGIES)
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of a batch")
    options = begin(parser, lambda _: [*packages("libtpu"), *fixtures()])
    work = [
        (name, functools.partial(lower_model, name, options.dtype, options.tokens))
        for name in options.models
    ]
    work += [(f"probe {name}", functools.partial(lower_probe, name)) for name in options.probes]
    rows = Rows(COLUMNS, options.out)
    for name, lower in work:
        for topology in options.topologies:
            rows.add(compiled_row(name, topology, *lower(topology_devices(topology))))


if __name__ == "__main__":
    main()
