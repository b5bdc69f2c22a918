"""Rotary positions and ALiBi."""

import jax.numpy as jnp
from jax import Array


def rotary_table(
    length: int, width: int, base: float = 10000.0, frequencies: Array | None = None
) -> tuple[Array, Array]:
    """Cosines and sines of the rotary angles, float32 [length, width / 2].

    Pair j of a head turns by the angle position * base^(-2j / width).

    Args:
        length: Positions 0 .. length - 1.
        width: Head width.
        base: Base of the frequencies.
        frequencies: [width / 2], instead of those of `base`.
    """
    if frequencies is None:
        frequencies = base ** (-jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    angles = jnp.arange(length, dtype=jnp.float32)[:, None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: Array, table: tuple[Array, Array], interleaved: bool = False) -> Array:
    """Rotary position embedding (Su et al. 2021, RoFormer) over the whole head width.

    Args:
        x: Queries or keys [B, L, H, d].
        table: The result of `rotary_table` for L and d.
        interleaved: Whether elements 2j and 2j + 1 form a pair, instead of j and j + d/2.

    Returns:
        The dtype of `x`; the rotation itself is float32.
    """
    cos, sin = (part[:, None, :] for part in table)
    wide = x.astype(jnp.float32)
    if interleaved:
        a, b = wide[..., 0::2], wide[..., 1::2]
        turned = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1).reshape(x.shape)
    else:
        a, b = jnp.split(wide, 2, axis=-1)
        turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return turned.astype(x.dtype)


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of ALiBi (Press et al. 2022), also for head counts that are no power of two.

    For a power of two n they are s, s^2, ..., s^n with s = 2^(-8 / n). Otherwise those of the
    largest power of two p below n, then every other slope of 2p.
    """
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


def symmetric_alibi(length: int, heads: int) -> Array:
    """Bias -slope_h |i - j|, float32 [1, H, L, L]."""
    position = jnp.arange(length, dtype=jnp.float32)
    distance = jnp.abs(position[:, None] - position[None, :])
    return -jnp.array(alibi_slopes(heads))[None, :, None, None] * distance
