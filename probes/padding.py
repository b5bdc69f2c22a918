"""Sizes that arrays of rows are padded to, so that many tasks share a compiled program.

Features are a run's largest arrays. Those made by `roomy_features` have their padding behind them
from the start, where JAX reads them on CPUs without a copy.
"""

import numpy as np
from jaxtyping import Float32, Shaped

_SMALLEST = 8
_ALIGNMENT = 64  # bytes; JAX takes an array of the host as it is where it begins at a multiple


def ladder(rows: int) -> int:
    """Returns a number of rows rounded up to the ladder: four steps an octave, from 8 on."""
    size = _SMALLEST
    while size < rows:
        size += max(2 ** (size.bit_length() - 1) // 4, 2)
    return size


def pad(array: Shaped[np.ndarray, "N *rest"], rows: int) -> Shaped[np.ndarray, "{rows} *rest"]:
    """Pads an array with zeros behind its last row, up to a number of rows."""
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))


def roomy_features(rows: int, width: int) -> Float32[np.ndarray, "rows width"]:
    """Returns zeros to be filled, in front of enough further zeros to pad them to the ladder.

    The system gives memory to rows when they are written: room that stays zero takes none.
    """
    return _aligned_zeros(ladder(rows), width)[:rows]


def padded_features(x: Float32[np.ndarray, "N D"], rows: int) -> Float32[np.ndarray, "{rows} D"]:
    """Returns what `pad` does, aligned for JAX, and without a copy where zeros follow `x` already.

    Args:
        x: Features; they are not changed as long as the result is in use.
        rows: At least N.
    """
    whole = _continued(x, rows)
    if whole is None or whole[len(x) :].any():
        whole = _aligned_zeros(rows, x.shape[1])
        whole[: len(x)] = x
    return whole


def _aligned_zeros(rows: int, width: int) -> Float32[np.ndarray, "rows width"]:
    size = rows * width * np.dtype(np.float32).itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return memory[first : first + size].view(np.float32).reshape(rows, width)


def _continued(x: np.ndarray, rows: int) -> np.ndarray | None:
    """Returns the array of more rows that begins where `x` does; None: there is no room."""
    memory = x.base
    if not isinstance(memory, np.ndarray) or memory.dtype != np.uint8 or memory.ndim != 1:
        return None
    first = x.ctypes.data - memory.ctypes.data
    end = first + rows * x.shape[1] * x.itemsize
    if not x.flags.c_contiguous or end > memory.nbytes:
        return None
    return memory[first:end].view(x.dtype).reshape(rows, -1)
