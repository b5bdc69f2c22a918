import jax
import numpy as np
from golden_ports import GOLDEN
from jax.sharding import Mesh

from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port

NAME = "GENERator-eukaryote-1.2b-base"


def test_the_authors_files_load_into_shardings_too():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    port = load_port(plan_checkpoint(NAME, GOLDEN / NAME), mesh=mesh)
    assert all(leaf.sharding.mesh == mesh for leaf in jax.tree.leaves(port.state))
