"""From the hidden states of a batch to one vector a record, in float32.

Letters of shapes: B batch, L length, D width.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Float32, Int


def mean(states: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float32[Array, "B D"]:
    """Averages the rows where `mask` is true."""
    weights = mask.astype(jnp.float32)[..., None]
    total = jnp.sum(states.astype(jnp.float32) * weights, axis=1)
    return total / jnp.maximum(jnp.sum(weights, axis=1), 1.0)


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
