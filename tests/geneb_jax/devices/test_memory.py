"""Against counts by hand."""

import jax
import jax.numpy as jnp

from geneb_jax.devices.memory import live_bytes


def count(function, *shapes):
    return live_bytes(jax.make_jaxpr(function)(*(jnp.zeros(shape) for shape in shapes)).jaxpr)


def test_results_count_while_they_are_needed():
    def chain(x, w):
        wide = x @ w  # [8, 32], made of arguments alone
        tall = jnp.tanh(wide)  # beside it
        return tall.sum()

    assert count(chain, (8, 4), (4, 32)) == 2 * 8 * 32 * 4

    def kept(x, w):
        wide = x @ w
        return wide * jnp.tanh(jnp.sin(wide))  # wide, and two of its size

    assert count(kept, (8, 4), (4, 32)) == 3 * 8 * 32 * 4


def test_results_inside_functions_loops_and_branches_count_once():
    inner = jax.jit(lambda x: jnp.tanh(jnp.sin(x)))
    assert count(lambda x: inner(x) + 1, (8, 4)) == 2 * 8 * 4 * 4

    def scanned(x):
        return jax.lax.scan(lambda x, _: (jnp.tanh(jnp.sin(x)), None), x, length=7)[0]

    assert count(scanned, (8, 4)) == 2 * 8 * 4 * 4
    branched = lambda x: jax.lax.cond(True, jnp.sin, lambda x: jnp.tanh(jnp.sin(x)), x)  # noqa: E731
    assert count(branched, (8, 4)) == 2 * 8 * 4 * 4
