"""Against counts by hand."""

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from geneb_jax.devices.flop import matrix_flop


def count(function, *shapes):
    return matrix_flop(jax.make_jaxpr(function)(*(jnp.zeros(shape) for shape in shapes)).jaxpr)


def test_products_of_any_layout():
    assert count(jnp.matmul, (3, 4), (4, 5)) == 2 * 3 * 4 * 5
    batched = count(lambda a, b: jnp.einsum("bnth,bnsh->bnts", a, b), (2, 3, 4, 5), (2, 3, 6, 5))
    assert batched == 2 * (2 * 3 * 4 * 6) * 5
    assert count(lambda a: jnp.tanh(a) + a.sum(), (8, 8)) == 0


def test_convolutions_grouped_or_not():
    def convolve(groups):
        return lambda x, k: jax.lax.conv_general_dilated(
            x, k, (2,), "SAME", feature_group_count=groups, dimension_numbers=("NWC", "WIO", "NWC")
        )

    assert count(convolve(1), (2, 10, 4), (3, 4, 6)) == 2 * (2 * 5 * 6) * 3 * 4
    assert count(convolve(4), (2, 10, 4), (3, 1, 8)) == 2 * (2 * 5 * 8) * 3


def test_loops_branches_and_inner_functions():
    square = jax.jit(lambda x: x @ x)
    one = 2 * 4**3

    def scanned(x):
        return jax.lax.scan(lambda x, _: (square(x), None), x, length=7)[0]

    assert count(scanned, (4, 4)) == 7 * one
    twice = jax.vmap(scanned)
    assert count(twice, (3, 4, 4)) == 3 * 7 * one

    def branched(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: square(square(x)), square, x)

    assert count(branched, (4, 4)) == 2 * one
    assert count(jax.checkpoint(square), (4, 4)) == one


def test_all_devices_that_split_the_rows_and_all_cells_of_a_grid():
    mesh = jax.sharding.AbstractMesh((4, 2), ("x", "y"))
    spec = jax.sharding.PartitionSpec("x")
    mapped = jax.shard_map(
        lambda x: x @ jnp.ones((5, 3)),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
        axis_names={"x"},
        check_vma=False,
    )
    assert count(mapped, (8, 5)) == 2 * 8 * 5 * 3

    def kernel(x, y):
        y[...] = x[...] @ x[...]

    block = pl.BlockSpec((4, 4), lambda i: (i, 0))
    call = pl.pallas_call(
        kernel, grid=(3,), in_specs=[block], out_specs=block, interpret=True,
        out_shape=jax.ShapeDtypeStruct((12, 4), jnp.float32),
    )  # fmt: skip
    assert count(call, (12, 4)) == 3 * 2 * 4**3
