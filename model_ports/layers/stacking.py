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


def scan_mixed(
    stacks: Sequence[Any],
    order: Sequence[tuple[int, int]],
    x: Float[Array, "... L D"],
    apply: Callable[[Any, Array], Array],
    taps: tuple[int, ...],
) -> tuple[Float[Array, "... L D"], dict[int, Float[Array, "... L D"]]]:
    """Runs layers of several kinds in any order; compile time grows with the kinds only.

    Args:
        stacks: The stacked layers of each kind.
        order: For each layer, its kind and its index in the stack of that kind.
        x: Hidden states that enter the first layer.
        apply: The computation of one layer of any kind, `apply(layer, x) -> x`.
        taps: As for `scan_layers`.

    Returns:
        The last layer's output, and the wanted hidden states by tap.
    """
    inner = [tap for tap in taps if tap > 0]
    states = {0: x} if 0 in taps else {}
    parts = [nnx.split(stack) for stack in stacks]

    def run(kind: int, index: Array, x: Array) -> Array:
        structure, state = parts[kind]
        layer = nnx.merge(structure, jax.tree.map(lambda leaf: leaf[index], state))
        return apply(layer, x)

    branches = [functools.partial(run, kind) for kind in range(len(stacks))]

    def step(x: Array, layer: tuple[Array, Array]) -> tuple[Array, Array | None]:
        x = jax.lax.switch(layer[0], branches, layer[1], x)
        return x, x if inner else None

    kinds, indices = (jnp.array(column) for column in zip(*order, strict=True))
    x, outputs = jax.lax.scan(step, x, (kinds, indices))
    if outputs is not None:
        states |= {tap: outputs[tap - 1] for tap in inner}
    return x, states
