"""Convolution towers on inputs that are mostly padding: bins far from the record are all alike.

A tower is a sequence of convolutions, each with its width and the stride of the pooling behind it
(1: none). A bin of its output is as many bases as the product of the strides.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

Tower = Sequence[tuple[int, int]]

_SMALLEST_WINDOW = 8  # units


def bin_size(tower: Tower) -> int:
    """Returns how many bases a bin of a tower's output is."""
    return math.prod(stride for _, stride in tower)


def reached_bins(tower: Tower, first: int, last: int) -> tuple[int, int]:
    """Returns the first and the last bin that the bases `first` .. `last` act on.

    The ends of the input are left aside: bins may be negative or beyond the last.
    """
    for width, stride in tower:
        first, last = (first - width // 2) // stride, (last + width // 2) // stride
    return first, last


def margin(tower: Tower) -> int:
    """Returns how many bins on either side of a bin's edge the bases beyond that edge act on."""
    first, last = reached_bins(tower, 0, -1)
    return max(-first, last + 1)


def window_length(
    towers: Sequence[Tower], unit: int, full: int, longest: int, *, centred: bool
) -> int:
    """Returns how many bases a window around a record has that tells all bins of the input.

    The lengths are a ladder of doublings, so that they are few.

    Args:
        towers: Those whose bins are wanted.
        unit: Bases of which the window has a whole number, a multiple of every tower's bin.
        full: Bases of the input, a multiple of `unit`.
        longest: Bases of the longest record, at most `full`.
        centred: Whether records stand in the middle of the input, and not at its start.
    """
    units = full // unit
    left = (full - longest) // 2 if centred else 0
    reached = [reached_bins(tower, left, left + max(longest, 1) - 1) for tower in towers]

    def holds(tower: Tower, first: int, last: int, width: int) -> bool:
        """Tells whether the bins that the record acts on are true in a window of `width` units."""
        bins = unit // bin_size(tower)
        start = window_start(units, width, centred=centred) * bins
        beside = margin(tower)
        return (not centred or start + beside <= first) and last < start + width * bins - beside

    window = _SMALLEST_WINDOW
    while window < units:
        # Both middles are the same: an odd input has odd windows.
        width = window + (units - window) % 2 if centred else window
        if width < units and all(
            holds(tower, first, last, width)
            for tower, (first, last) in zip(towers, reached, strict=True)
        ):
            return width * unit
        window *= 2
    return full


def window_start(whole: int, window: int, *, centred: bool) -> int:
    """Returns where a window stands in the input, in whatever both lengths are given."""
    return (whole - window) // 2 if centred else 0


def strip_length(towers: Sequence[Tower], unit: int) -> int:
    """Returns how many bases of padding show each tower's bins at its ends and one between them."""
    wanted = max(bin_size(tower) * (2 * margin(tower) + 1) for tower in towers)
    return -(-wanted // unit) * unit


def all_bins(
    tower: Tower,
    window: Float[Array, "B window C"],
    strip: Float[Array, "1 strip C"],
    bins: int,
    *,
    centred: bool,
) -> Float[Array, "B bins C"]:
    """Returns the bins of the whole input, from those of a window and of padding.

    Args:
        tower: What computed the bins.
        window: Bins of the window around the records.
        strip: Bins of an input of padding alone, of at least `strip_length`.
        bins: How many there are in all.
        centred: As for `window_length`.
    """
    beside, width = margin(tower), window.shape[1]
    start, cut = window_start(bins, width, centred=centred), beside if centred else 0
    # The first and the last bins of padding feel the ends, all between are alike.
    alike = jnp.repeat(strip[:, beside : beside + 1], bins - 2 * beside, axis=1)
    padding = jnp.concatenate([strip[:, :beside], alike, strip[:, -beside:]], axis=1)
    padding = jnp.broadcast_to(padding, (len(window), *padding.shape[1:]))
    # The ends of the window, where they are not those of the input, falsify the bins beside them.
    first, last = start + cut, start + width - beside
    inside = window[:, cut : width - beside]
    return jnp.concatenate([padding[:, :first], inside, padding[:, last:]], axis=1)
