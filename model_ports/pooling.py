"""From the hidden states of a batch to one vector a record, in float32.

Letters of shapes: B batch, L length, D width.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

_LONG = 2**16  # rows up to which all products of rows and weights are in memory
_PART = 2**13  # rows of longer records that are added at once; more would lose digits


def mean(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Averages the rows where `mask` is true."""
    weights = mask.astype(jnp.float32)[..., None]
    total = _weighted_sum(states, weights)
    return total / jnp.maximum(jnp.sum(weights, axis=1), 1.0)


def _weighted_sum(
    states: Float[Array, "B L D"], weights: Float32[Array, "B L 1"]
) -> Float32[Array, "B D"]:
    """Adds the weighted rows: those of a long record part by part, as XLA writes the products."""
    length = states.shape[1]
    if length <= _LONG:
        return jnp.sum(states.astype(jnp.float32) * weights, axis=1)

    def part(first: Array) -> Array:
        start = jnp.minimum(first, length - _PART)  # the last part begins among rows of another
        rows, kept = (
            jax.lax.dynamic_slice_in_dim(array, start, _PART, axis=1) for array in (states, weights)
        )
        kept = kept[..., 0] * (start + jnp.arange(_PART) >= first)
        highest = jax.lax.Precision.HIGHEST
        return jnp.einsum("bl,bld->bd", kept, rows.astype(jnp.float32), precision=highest)

    return jnp.sum(jax.lax.map(part, jnp.arange(0, length, _PART)), axis=0)


def mean_all_rows(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Averages every row, padding included, as some published extractors do."""
    del mask
    return jnp.mean(states.astype(jnp.float32), axis=1)


def maximum(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Takes the largest value of each column over the rows where `mask` is true."""
    return jnp.max(jnp.where(mask[..., None], states.astype(jnp.float32), -jnp.inf), axis=1)


def first(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Takes the first row where `mask` is true."""
    return _row(states, jnp.argmax(mask, axis=1))


def last(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Takes the last row where `mask` is true."""
    return _row(states, mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1))


def penultimate(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Takes row n - 2, where n rows are true: the last base before a closing token.

    The row is counted from the left of the padded batch whatever side is padded, as BioFM's
    published extractor counts it.
    """
    return _row(states, jnp.sum(mask, axis=1) - 2)


def _row(states: Float[Array, "B L D"], index: Int[Array, " B"]) -> Float32[Array, "B D"]:
    index = jnp.clip(index, 0, states.shape[1] - 1)
    rows = jnp.take_along_axis(states, index[:, None, None], axis=1)
    return rows[:, 0].astype(jnp.float32)


# Each maps states [B, L, D] and a bool mask [B, L] to float32 [B, D].
POOLINGS: Mapping[str, Callable[[Array, Array], Array]] = {
    "mean": mean,
    "mean-all-rows": mean_all_rows,
    "max": maximum,
    "first": first,
    "last": last,
    "penultimate": penultimate,
}
