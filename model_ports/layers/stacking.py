"""Stacked layers: one module whose parameters have a leading axis, run by a scan.

Letters of shapes: L length, D width; leading axes (a batch B, or two streams of it) are free.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float


def stack_layers(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """Builds layers as one module whose parameters have a leading axis.

    Args:
        make: Builds one layer from its random numbers.
        count: Number of layers, the length of the leading axis.
        rngs: Source of random numbers, split among the layers.
    """

    @nnx.split_rngs(splits=count)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def create(rngs: nnx.Rngs) -> nnx.Module:
        return make(rngs)

    return create(rngs)


def scan_layers(
    layers: Any,
    x: Float[Array, "... L D"],
    apply: Callable[..., Array],
    taps: tuple[int, ...],
    settings: tuple[Array, ...] = (),
) -> tuple[Float[Array, "... L D"], dict[int, Float[Array, "... L D"]]]:
    """Runs stacked layers one after the other; compile time does not grow with their number.

    Args:
        layers: The result of `stack_layers`.
        x: Hidden states that enter the first layer.
        apply: The computation of one layer, `apply(layer, x, *settings) -> x`.
        taps: Wanted hidden states: 0 is `x` itself, i the output of layer i.
            Others, such as -1, are skipped.
        settings: What layers differ in beside their parameters: arrays whose leading axis is that
            of the layers, of which each layer gets its rows.

    Returns:
        The last layer's output, and the wanted hidden states by tap.
    """
    inner = [tap for tap in taps if tap > 0]
    states = {0: x} if 0 in taps else {}

    @nnx.scan(in_axes=(nnx.Carry, 0, 0), out_axes=(nnx.Carry, 0))
    def step(x: Array, layer: Any, settings: tuple[Array, ...]) -> tuple[Array, Array | None]:
        x = apply(layer, x, *settings)
        return x, x if inner else None

    x, outputs = step(x, layers, settings)
    if outputs is not None:
        states |= {tap: outputs[tap - 1] for tap in inner}
    return x, states


def interleaved(*kinds: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Returns the order that `scan_mixed` takes: of each layer its kind, and its index in that.

    Args:
        kinds: The numbers of the layers of each kind; together they are 0, 1, 2, ...
    """
    found = {
        layer: (kind, index)
        for kind, layers in enumerate(kinds)
        for index, layer in enumerate(layers)
    }
    return tuple(found[layer] for layer in sorted(found))


def scan_mixed(
    stacks: Sequence[Any],
    order: Sequence[tuple[int, int]],
    x: Any,
    apply: Callable[..., Any],
    taps: tuple[int, ...],
    settings: tuple[Array, ...] = (),
) -> tuple[Any, dict[int, Any]]:
    """Runs layers of several kinds in any order; compile time grows with the kinds only.

    Args:
        stacks: The stacked layers of each kind.
        order: For each layer, its kind and its index in the stack of that kind.
        x: Hidden states [.., L, D] that enter the first layer, or several such arrays.
        apply: The computation of one layer of any kind, `apply(layer, x, *settings) -> x`.
        taps: As for `scan_layers`.
        settings: As for `scan_layers`, the leading axis being that of the order.

    Returns:
        The last layer's output, and the wanted hidden states by tap. Of several arrays, several.
    """
    inner = sorted({tap for tap in taps if tap > 0})
    parts = [nnx.split(stack) for stack in stacks]
    states = {0: x} if 0 in taps else {}
    # A row for each wanted state, and one that the other layers write: not all layers' are held.
    row = {tap: index for index, tap in enumerate(inner)}
    rows = jnp.array([row.get(layer + 1, len(inner)) for layer in range(len(order))])
    kept = None
    if inner:
        kept = jax.tree.map(lambda leaf: jnp.zeros((len(inner) + 1, *leaf.shape), leaf.dtype), x)

    def run(kind: int, index: Array, x: Any, settings: tuple[Array, ...]) -> Any:
        structure, state = parts[kind]
        layer = nnx.merge(structure, jax.tree.map(lambda leaf: leaf[index], state))
        return apply(layer, x, *settings)

    branches = [functools.partial(run, kind) for kind in range(len(stacks))]

    def step(carry: tuple[Any, Any], layer: tuple[Any, ...]) -> tuple[tuple[Any, Any], None]:
        (x, kept), (kind, index, row, settings) = carry, layer
        x = jax.lax.switch(kind, branches, index, x, settings)
        if inner:
            kept = jax.tree.map(
                lambda leaf, new: jax.lax.dynamic_update_index_in_dim(leaf, new, row, 0), kept, x
            )
        return (x, kept), None

    kinds, indices = (jnp.array(column) for column in zip(*order, strict=True))
    (x, kept), _ = jax.lax.scan(step, (x, kept), (kinds, indices, rows, settings))
    states |= {tap: jax.tree.map(lambda leaf, i=i: leaf[i], kept) for tap, i in row.items()}
    return x, states
