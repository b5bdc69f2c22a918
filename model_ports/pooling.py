"""From the hidden states of a batch to one vector a record, in float32."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax import Array


def mean(states: Array, mask: Array) -> Array:
    """Mean over the rows where `mask` is true."""
    weights = mask.astype(jnp.float32)[..., None]
    total = jnp.sum(states.astype(jnp.float32) * weights, axis=1)
    return total / jnp.maximum(jnp.sum(weights, axis=1), 1.0)


def mean_all_rows(states: Array, mask: Array) -> Array:
    """Mean over every row, padding included, as some published extractors take it."""
    del mask
    return jnp.mean(states.astype(jnp.float32), axis=1)


def maximum(states: Array, mask: Array) -> Array:
    """Largest value over the rows where `mask` is true."""
    return jnp.max(jnp.where(mask[..., None], states.astype(jnp.float32), -jnp.inf), axis=1)


def first(states: Array, mask: Array) -> Array:
    """The first row where `mask` is true."""
    return _row(states, jnp.argmax(mask, axis=1))


def last(states: Array, mask: Array) -> Array:
    """The last row where `mask` is true."""
    return _row(states, mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1))


def penultimate(states: Array, mask: Array) -> Array:
    """Row n - 2 of the batch, n the number of true rows: the last base before a closing token.

    The row is counted from the left of the padded batch whatever side is padded, as BioFM's
    published extractor counts it.
    """
    return _row(states, jnp.sum(mask, axis=1) - 2)


def _row(states: Array, index: Array) -> Array:
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
