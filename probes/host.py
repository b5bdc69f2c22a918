"""Work on the host's processors: products of NumPy over blocks of rows, in a few threads.

What comes of it does not depend on the number of threads or cores: a block is a fixed number of
rows, each block is one task for one thread, and what blocks give is put together in their order.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
import scipy.linalg  # noqa: F401 (its BLAS is loaded before the libraries are looked for)
from jaxtyping import Float
from threadpoolctl import ThreadpoolController

_BLOCK = 2**22  # bytes of a block as float64: in cache between the products that need it
_FEWEST = 64  # rows of a block
_FEW_ROWS = 6  # a product of so few takes as long as one of eight

Part = TypeVar("Part")


def single_threaded_blas() -> AbstractContextManager[object]:
    """Returns a context in which each product of NumPy and SciPy takes one thread.

    Small products are several times slower where BLAS wakes its threads for them, and how many it
    takes would show in the last digits.
    """
    return _libraries().limit(limits=1, user_api="blas")


def over_blocks(part: Callable[[slice], Part], rows: int, width: int) -> list[Part]:
    """Returns what a function makes of each block of some rows, in the order of the blocks.

    Args:
        part: Takes the block as a slice of the rows; it is called in several threads.
        rows: How many rows there are.
        width: Width of a row.
    """
    size = max(_BLOCK // (8 * max(width, 1)), _FEWEST)
    blocks = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    if len(blocks) == 1:
        return [part(blocks[0])]
    return list(_threads().map(part, blocks))


def product(a: Float[np.ndarray, "m k"], b: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "m n"]:
    """Returns a b; where a has few rows one after the other, which BLAS is faster at."""
    if len(a) > _FEW_ROWS:
        return a @ b
    return np.stack([row @ b for row in a])


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="probes")
