"""Scaled dot-product attention, as the device computes it best, and the layer around it.

Letters of shapes: B batch, L length, D width, H query heads, G heads of keys and values, d width
of a head.
"""

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
from absl import logging
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32

from model_ports.layers.dense import linear
from model_ports.layers.positions import rotate

# Attention scores that are held at once: what a CPU's cache holds; a GiB on other devices.
_CPU_SCORES, _SCORES = 2**22, 2**28
_HIDDEN = -1e30  # score of what may not be seen; a row without anything to see gets the mean


def attend(
    query: Float[Array, "B L H d"],
    key: Float[Array, "B L G d"],
    value: Float[Array, "B L G d"],
    mask: Bool[Array, "B L"] | None,
    *,
    causal: bool = False,
    allowed: Bool[Array, "L L"] | None = None,
    bias: Float[Array, "#B H L L"] | None = None,
    kernel: bool = True,
) -> Float[Array, "B L H*d"]:
    """Computes scaled dot-product attention and joins the heads.

    Scores and softmax are float32.

    The scores of all pairs never stand in memory where they are many: some queries at a time see
    all keys. A CPU takes as many as its cache holds, which is several times faster too. In
    bfloat16 a GPU takes cuDNN's kernel (of FlashAttention-2, Dao 2023) where that has the shape.

    Args:
        query: Queries of H heads.
        key: Keys; query head h uses key and value head h // (H / G).
        value: Values.
        mask: Which tokens may be seen: those at the front of each record; None: all.
        causal: Whether a token sees itself and those before it only.
        allowed: Which token (row) may see which (column), beside `mask`; None: any may see any.
        bias: Added to the scores, such as ALiBi; one for all records, or one a record.
        kernel: Whether cuDNN's kernel may be taken. It is not where devices share parameters.

    Returns:
        The mixed values of all heads, side by side, in the dtype of `value`.
    """
    # JAX cannot split the kernel over axes that a program mapped over others leaves to it.
    split = bool(jax.sharding.get_abstract_mesh().auto_axes)
    kernel = kernel and allowed is None and bias is None and not split
    if kernel and _has_kernel(
        query.shape, key.shape[2], query.dtype.name, masked=mask is not None, causal=causal
    ):
        return _by_kernel(query, key, value, mask, causal=causal)
    run = functools.partial(_in_blocks, query, key, value, mask, causal, allowed, bias)
    if math.prod(query.shape[:3]) * query.shape[1] <= _CPU_SCORES:
        return run(_CPU_SCORES)
    return jax.lax.platform_dependent(cpu=lambda: run(_CPU_SCORES), default=lambda: run(_SCORES))


@functools.cache
def _has_kernel(
    shape: tuple[int, ...], groups: int, dtype: str, *, masked: bool, causal: bool
) -> bool:
    """Tells whether cuDNN computes attention of this shape on the default device.

    It takes some shapes on some devices, and says so when it is compiled alone.
    """
    if jax.default_backend() != "gpu" or dtype != "bfloat16":
        return False
    batch, length, _, width = shape
    query = jax.ShapeDtypeStruct(shape, dtype)
    key = jax.ShapeDtypeStruct((batch, length, groups, width), dtype)
    mask = jax.ShapeDtypeStruct((batch, length), bool) if masked else None
    try:
        jax.jit(functools.partial(_by_kernel, causal=causal)).lower(query, key, key, mask).compile()
    except RuntimeError as error:  # JAX's checks and the compiler's errors
        logging.info("attention of %s without cuDNN: %s", shape, error)
        return False
    return True


def _by_kernel(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    *,
    causal: bool,
    implementation: Literal["cudnn", "xla"] = "cudnn",
) -> Array:
    """Computes `attend` by JAX's function; the kernel knows a mask by the records' lengths."""
    lengths = None
    if mask is not None:
        # A record without tokens sees one of padding: over no keys there is no softmax.
        lengths = jnp.maximum(jnp.sum(mask, axis=1, dtype=jnp.int32), 1)
    mixed = jax.nn.dot_product_attention(
        query,
        key,
        value,
        is_causal=causal,
        key_value_seq_lengths=lengths,
        implementation=implementation,
    )
    return mixed.reshape(*query.shape[:2], -1)


def _in_blocks(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    causal: bool,
    allowed: Array | None,
    bias: Array | None,
    scores: int,
) -> Array:
    """Computes `attend` with at most about `scores` scores at once."""
    batch, length, heads, width = query.shape
    groups = key.shape[2]
    count = math.ceil(batch * heads * length * length / scores)  # of blocks of queries
    size = math.ceil(length / count)
    count = math.ceil(length / size)

    def split(array: Array) -> Array:
        """Splits [.., L, x] into blocks [count, .., size, x]."""
        padding = [(0, 0)] * array.ndim
        padding[-2] = (0, count * size - length)
        *lead, _, last = array.shape
        blocks = jnp.pad(array, padding).reshape(*lead, count, size, last)
        return jnp.moveaxis(blocks, -3, 0)

    # Query heads that share a key head stand together: [B, G, H / G, L, d].
    query = (query * width**-0.5).reshape(batch, length, groups, -1, width)
    query = query.transpose(0, 2, 3, 1, 4)
    key, value = key.swapaxes(1, 2), value.swapaxes(1, 2)
    if bias is not None:
        bias = split(bias.reshape(-1, *query.shape[1:4], length))
    allowed = None if allowed is None else split(allowed)
    positions = jnp.arange(count * size).reshape(count, size, 1)

    def block(parts: tuple[Array, Array, Array | None, Array | None]) -> Array:
        query, position, allowed, bias = parts
        logits = jnp.einsum("bgrtd,bgsd->bgrts", query, key, preferred_element_type=jnp.float32)
        if bias is not None:
            logits += bias
        seen = [] if mask is None else [mask[:, None, None, None]]
        seen += [position >= jnp.arange(length)] if causal else []
        seen += [] if allowed is None else [allowed]
        if seen:
            # A summand: a CPU takes several times as long to select among so many scores.
            logits += jnp.where(functools.reduce(jnp.logical_and, seen), 0.0, _HIDDEN)
        weight = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
        total = jnp.sum(weight, axis=-1, keepdims=True)
        mixed = jnp.einsum(
            "bgrts,bgsd->bgrtd",
            weight.astype(value.dtype),
            value,
            preferred_element_type=jnp.float32,
        )
        return (mixed / total).astype(value.dtype)

    mixed = jax.lax.map(block, (split(query), positions, allowed, bias))
    mixed = jnp.moveaxis(mixed, 0, 3).reshape(batch, heads, count * size, -1)[:, :, :length]
    return mixed.swapaxes(1, 2).reshape(batch, length, -1)


def split_heads(x: Float[Array, "*rows D"], heads: int) -> Float[Array, "*rows H d"]:
    """Splits the last axis, D = H * d, into heads in order."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


class SelfAttention(nnx.Module):
    """Multi-head self-attention with biases; queries and keys turn where a table is given."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.query = linear(width, width, rngs=rngs)
        self.key = linear(width, width, rngs=rngs)
        self.value = linear(width, width, rngs=rngs)
        self.output = linear(width, width, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        table: tuple[Float32[Array, "L pairs"], Float32[Array, "L pairs"]] | None = None,
        interleaved: bool = False,
    ) -> Float[Array, "B L D"]:
        """Mixes the tokens that `mask` lets be seen.

        Args:
            x: Hidden states.
            mask: See `attend`.
            table: See `rotate`; None: no positions.
            interleaved: See `rotate`.
        """
        query, key, value = (
            split_heads(project(x), self.heads) for project in (self.query, self.key, self.value)
        )
        if table is not None:
            query, key = rotate(query, table, interleaved), rotate(key, table, interleaved)
        return self.output(attend(query, key, value, mask))
