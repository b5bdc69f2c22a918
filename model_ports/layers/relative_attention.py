"""Attention with relative positions as Enformer and Borzoi have it.

Letters of shapes: B batch, L length, D width, H heads, F features of a distance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float, Float32

from model_ports.layers.attention import split_heads
from model_ports.layers.dense import linear

_SCORES = 2**26  # logits by distance that are held at once, of one record


class RelativeAttention(nnx.Module):
    """Attention with relative positions (Dai et al. 2019); values may be wider than keys.

    The logit of rows i and j is (q_i + u) k_j + (q_i + v) r(j - i), where r is a linear map of
    features of the distance, and u and v are learned for each head.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        key_width: int,
        value_width: int,
        features: int,
        rngs: nnx.Rngs,
    ):
        keys, values = heads * key_width, heads * value_width
        self.heads, self.scale = heads, key_width**-0.5
        self.query = linear(width, keys, bias=False, rngs=rngs)
        self.key = linear(width, keys, bias=False, rngs=rngs)
        self.value = linear(width, values, bias=False, rngs=rngs)
        self.relative = linear(features, keys, bias=False, rngs=rngs)
        self.content_bias = nnx.Param(jnp.zeros((heads, key_width)))
        self.position_bias = nnx.Param(jnp.zeros((heads, key_width)))
        self.output = linear(values, width, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], features: Float32[np.ndarray, "distances F"]
    ) -> Float[Array, "B L D"]:
        """Mixes all rows.

        Args:
            x: Hidden states.
            features: Of the 2 L - 1 distances -(L - 1) .. L - 1.
        """
        heads = self.heads
        query = split_heads(self.query(x), heads) * self.scale
        key, value = split_heads(self.key(x), heads), split_heads(self.value(x), heads)
        relative = split_heads(self.relative(jnp.asarray(features, x.dtype)), heads)
        by_content, by_position = query + self.content_bias[...], query + self.position_bias[...]

        def attend(parts: tuple[Array, ...], relative: Array) -> Array:
            by_content, by_position, key, value = parts
            logits = jnp.einsum("ihd,jhd->hij", by_content, key)
            logits += _shift(jnp.einsum("ihd,rhd->hir", by_position, relative))
            weight = jax.nn.softmax(logits.astype(jnp.float32), axis=-1).astype(x.dtype)
            return jnp.einsum("hij,jhd->ihd", weight, value)

        def record(parts: tuple[Array, ...]) -> Array:
            groups = _head_groups(heads, len(features) * x.shape[1])
            if groups == 1:
                return attend(parts, relative)
            split = [_split(part, groups) for part in (*parts, relative)]
            mixed = jax.lax.map(lambda part: attend(part[:-1], part[-1]), tuple(split))
            return jnp.moveaxis(mixed, 0, 1).reshape(x.shape[1], heads, -1)

        # Records one after the other: a batch's logits by distance would fill the memory.
        mixed = jax.lax.map(record, (by_content, by_position, key, value))
        return self.output(mixed.reshape(*x.shape[:2], -1))


def _head_groups(heads: int, scores: int) -> int:
    """Returns into how many groups heads are split, each of at most `_SCORES` scores or one head.

    Args:
        heads: H.
        scores: Scores of one head.
    """
    divisors = (n for n in range(1, heads) if heads % n == 0)
    return next((n for n in divisors if heads // n * scores <= _SCORES), heads)


def _split(part: Float[Array, "rows H d"], groups: int) -> Float[Array, "groups rows _H d"]:
    rows, heads, width = part.shape
    return jnp.moveaxis(part.reshape(rows, groups, heads // groups, width), 1, 0)


def _shift(by_distance: Float[Array, "... L distances"]) -> Float[Array, "... L L"]:
    """Shifts row i by i columns, as Transformer-XL: [.., i, j - i + L - 1] -> [.., i, j]."""
    *lead, length, distances = by_distance.shape
    padded = jnp.pad(by_distance, [(0, 0)] * (len(lead) + 1) + [(1, 0)])
    turned = padded.reshape(*lead, distances + 1, length)[..., 1:, :]
    return turned.reshape(*lead, length, distances)[..., :length]
