"""Sizes that arrays of rows are padded to, so that many tasks share a compiled program."""

import numpy as np
from jaxtyping import Shaped

_SMALLEST = 8


def ladder(rows: int) -> int:
    """Returns a number of rows rounded up to the ladder: four steps an octave, from 8 on."""
    size = _SMALLEST
    while size < rows:
        size += max(2 ** (size.bit_length() - 1) // 4, 2)
    return size


def pad(array: Shaped[np.ndarray, "N *rest"], rows: int) -> Shaped[np.ndarray, "{rows} *rest"]:
    """Pads an array with zeros behind its last row, up to a number of rows."""
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))
