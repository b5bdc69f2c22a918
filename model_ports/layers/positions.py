"""Positions in attention: rotary embedding and ALiBi.

Letters of shapes: B batch, L length, H heads, d width of a head.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float32


def rotary_table(
    length: int,
    width: int,
    base: float = 10000.0,
    frequencies: Float[Array, " pairs"] | None = None,
    scale: float = 1.0,
) -> tuple[Float32[Array, "L pairs"], Float32[Array, "L pairs"]]:
    """Returns the cosines and the sines of the rotary angles, both [L, d / 2].

    Pair j of a head turns by the angle position * base^(-2j / d).

    Args:
        length: L, for the positions 0 .. L - 1.
        width: d.
        base: Base of the frequencies.
        frequencies: Angle by which each of the d / 2 pairs turns a position; None: that of `base`.
        scale: What both are multiplied by.
    """
    if frequencies is None:
        frequencies = base ** (-jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    angles = jnp.arange(length, dtype=jnp.float32)[:, None] * frequencies
    return scale * jnp.cos(angles), scale * jnp.sin(angles)


def scaled_frequencies(
    width: int,
    base: float,
    factor: float,
    bands: tuple[int, float, float] | None = None,
    ramp: tuple[int, float, float, bool] | None = None,
) -> Float32[Array, " pairs"]:
    """Returns the angle by which each pair of a head turns a position where positions are scaled.

    Dividing all frequencies by the factor is the same as dividing positions (Chen et al. 2023).
    Llama 3.1 (its modeling code, and transformers' modeling_rope_utils.py) leaves frequencies that
    turn at least `high` times within the trained length, divides those that turn at most `low`
    times, and mixes the two linearly in the turns between. YaRN (Peng et al. 2023, as in that
    file) mixes them linearly in the number of the pair instead, between the pairs that turn so
    often.

    Args:
        width: d, the elements that turn.
        base: Base of the frequencies.
        factor: What frequencies are divided by.
        bands: Of Llama 3.1 the trained length in tokens, `low` and `high`; None: it is another way.
        ramp: Of YaRN the trained length in tokens, the turns within it from which on frequencies
            are kept and up to which they are divided, and whether the pairs at which that happens
            are rounded outwards; None: it is another way. Without both, all are divided.
    """
    frequencies = base ** (-np.arange(0, width, 2) / width)
    kept = np.zeros_like(frequencies)
    if bands is not None:
        length, low, high = bands
        turns = length * frequencies / (2 * math.pi)
        kept = np.clip((turns - low) / (high - low), 0, 1)
    if ramp is not None:
        length, fast, slow, rounded = ramp
        # A pair j turns n times within the length where base^(2j / d) = length / (2 pi n).
        first, last = (
            width * math.log(length / (2 * math.pi * turns)) / (2 * math.log(base))
            for turns in (fast, slow)
        )
        if rounded:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, width - 1)
        last += 0.001 * (first == last)  # as in the original, which divides by the difference
        kept = 1 - np.clip((np.arange(width // 2) - first) / (last - first), 0, 1)
    return jnp.float32(frequencies * (kept + (1 - kept) / factor))


def rotate(
    x: Float[Array, "B L H d"],
    table: tuple[Float32[Array, "L d//2"], Float32[Array, "L d//2"]],
    interleaved: bool = False,
) -> Float[Array, "B L H d"]:
    """Applies the rotary position embedding (Su et al. 2021, RoFormer) to whole heads.

    Args:
        x: Queries or keys.
        table: The result of `rotary_table` for L and d.
        interleaved: Whether elements 2j and 2j + 1 form a pair, instead of j and j + d/2.

    Returns:
        The rotated heads in the dtype of `x`; the rotation itself is float32.
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


def rotate_front(
    x: Float[Array, "B L H d"],
    table: tuple[Float32[Array, "L pairs"], Float32[Array, "L pairs"]],
) -> Float[Array, "B L H d"]:
    """Rotates the front of each head, as many elements as the table has pairs of; see `rotate`."""
    turned = 2 * table[0].shape[1]
    return jnp.concatenate([rotate(x[..., :turned], table), x[..., turned:]], axis=-1)


def alibi_slopes(heads: int) -> list[float]:
    """Returns ALiBi's slope of each head (Press et al. 2022), also where H is no power of two.

    For a power of two n they are s, s^2, ..., s^n with s = 2^(-8 / n). Otherwise they are those
    of the largest power of two p below H, then every other slope of 2p.
    """
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


def symmetric_alibi(length: int, heads: int) -> Float32[Array, "1 H L L"]:
    """Returns ALiBi's bias for attention in both directions, -slope_h |i - j|."""
    position = jnp.arange(length, dtype=jnp.float32)
    distance = jnp.abs(position[:, None] - position[None, :])
    return -jnp.array(alibi_slopes(heads))[None, :, None, None] * distance
