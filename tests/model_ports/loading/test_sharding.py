import jax
from jax.sharding import PartitionSpec

from model_ports.loading.sharding import parameter_shardings


def test_dimensions_that_an_axis_does_not_divide_are_replicated():
    mesh = jax.sharding.AbstractMesh((1, 4), ("data", "model"))
    table = ((r"up\.kernel", (None, "model")), (r"up\..*", ("model",)), (r"x", ("expert",)))
    shapes = {"up.kernel": (3, 8), "up.bias": (6,), "blocks.up.kernel": (3, 8), "x": (4,)}
    found = {path: s.spec for path, s in parameter_shardings(table, shapes, mesh).items()}
    assert found["up.kernel"] == PartitionSpec(None, "model")
    assert found["up.bias"] == PartitionSpec(None)
    assert found["blocks.up.kernel"] == PartitionSpec()
    assert found["x"] == PartitionSpec(None)
