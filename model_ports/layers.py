"""What several families share: stacked layers, rotary positions, attention, activations."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

# `gelu` is the exact one (erf), as in PyTorch; `gelu_new` and `gelu_fast` are its tanh form.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_fast": lambda x: jax.nn.gelu(x, approximate=True),
}


def stack_layers(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """Returns `count` layers as one module whose parameters have a leading axis."""

    @nnx.split_rngs(splits=count)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def create(rngs: nnx.Rngs) -> nnx.Module:
        return make(rngs)

    return create(rngs)


def scan_layers(
    layers: Any, x: Array, apply: Callable[[Any, Array], Array], taps: tuple[int, ...]
) -> tuple[Array, dict[int, Array]]:
    """Runs stacked layers one after the other; compile time does not grow with their number.

    Args:
        layers: The result of `stack_layers`.
        x: Hidden states [B, L, D] that enter the first layer.
        apply: One layer's computation, `apply(layer, x) -> x`.
        taps: Wanted hidden states: 0 is `x` itself, i the output of layer i; others are skipped.

    Returns:
        The last layer's output, and the wanted hidden states by tap.
    """
    inner = [tap for tap in taps if tap > 0]
    states = {0: x} if 0 in taps else {}

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    def step(x: Array, layer: Any) -> tuple[Array, Array | None]:
        x = apply(layer, x)
        return x, x if inner else None

    x, outputs = step(x, layers)
    if outputs is not None:
        states |= {tap: outputs[tap - 1] for tap in inner}
    return x, states


def linear(
    features_in: int, features_out: int, *, rngs: nnx.Rngs, bias: bool = True, std: float = 0.02
) -> nnx.Linear:
    """A linear layer; random weights are normal with standard deviation `std`."""
    init = nnx.initializers.normal(std)
    return nnx.Linear(features_in, features_out, use_bias=bias, kernel_init=init, rngs=rngs)


def embed(rows: int, features: int, *, rngs: nnx.Rngs, std: float = 0.02) -> nnx.Embed:
    """An embedding table; random weights are normal with standard deviation `std`."""
    return nnx.Embed(rows, features, embedding_init=nnx.initializers.normal(std), rngs=rngs)


def layer_norm(features: int, epsilon: float, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """PyTorch's LayerNorm: biased variance of the centred values, which float32 needs."""
    return nnx.LayerNorm(features, epsilon=epsilon, use_fast_variance=False, rngs=rngs)


def rotary(x: Array, positions: Array, base: float = 10000.0, interleaved: bool = False) -> Array:
    """Rotary position embedding (Su et al. 2021, RoFormer) over the whole head width.

    Pair j of a head turns by the angle position * base^(-2j / d). A pair is (j, j + d/2), or
    (2j, 2j + 1) where `interleaved`. The angles are float32 whatever the dtype of `x`.

    Args:
        x: Queries or keys [B, L, H, d].
        positions: Position of each token, [L] or [B, L].
        base: Base of the frequencies.
        interleaved: Which elements form a pair.
    """
    half = x.shape[-1] // 2
    frequencies = base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions[..., None, None].astype(jnp.float32) * frequencies
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        turned = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1)
        return turned.reshape(x.shape)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def split_heads(x: Array, heads: int) -> Array:
    """[B, L, H * d] -> [B, L, H, d], heads in order."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def attend(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    *,
    causal: bool = False,
    bias: Array | None = None,
) -> Array:
    """Scaled dot-product attention, heads joined again.

    Args:
        query: [B, L, H, d].
        key: [B, L, G, d]; query head h uses key and value head h // (H / G).
        value: [B, L, G, d].
        mask: Which tokens may be seen, bool [B, L]; None: all.
        causal: Whether a token sees itself and those before it only.
        bias: Added to the scores, broadcast to [B, H, L, L], such as ALiBi.

    Returns:
        [B, L, H * d].
    """
    seen = None if mask is None else mask[:, None, None, :]
    mixed = jax.nn.dot_product_attention(query, key, value, bias=bias, mask=seen, is_causal=causal)
    return mixed.reshape(*mixed.shape[:2], -1)
