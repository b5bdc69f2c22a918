"""Work on the host's processors: whole fits, or blocks of rows of one, in a few threads.

What comes of it does not depend on the number of threads or cores: a block is a fixed number of
rows, each block is one task for one thread, and what blocks give is put together in their order.
"""

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import scipy.linalg  # noqa: F401 (its BLAS is loaded before the libraries are looked for)
from jaxtyping import Float
from threadpoolctl import ThreadpoolController

_BLOCK = 2**22  # bytes of a block as float64: in cache between the products that need it
_FEWEST = 64  # rows of a block
_FEW_ROWS = 6  # a product of so few takes as long as one of eight
_MEMORY = 2**31  # bytes that what runs in several threads may take together

# Bytes of one item, a fit, up to which its steps are mostly Python's, which threads take in turns:
# on two cores two threads took a third more processor time than one.
_SMALL = 2**24

_cast = threading.local()  # what `cast` reuses

Item = TypeVar("Item")
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
    if len(blocks) == 1 or isinstance(threading.current_thread(), _Worker):
        return [part(block) for block in blocks]
    return list(_threads().map(part, blocks))


def in_threads(
    function: Callable[[Item], Part], items: Sequence[Item], memory: int
) -> Generator[tuple[int, Part]]:
    """Makes something of each of some items, several at a time, each in one thread alone.

    One item, small ones, and what is asked for in such a thread, are made in the thread that asks.
    Where the caller stops early or an item fails, no further one is begun.

    Args:
        function: Takes an item. Its products of NumPy and SciPy take one thread each.
        items: What there is to do.
        memory: Bytes that the function takes for an item; so few run at a time that all of them
            take 2 GiB at most, or one.

    Yields:
        The index of an item and what was made of it, in the order in which they are done.
    """
    most = min(len(items), os.cpu_count() or 1, _MEMORY // max(memory, 1))
    if most < 2 or memory <= _SMALL or isinstance(threading.current_thread(), _Worker):
        for index, item in enumerate(items):
            with single_threaded_blas():
                part = function(item)
            yield index, part
        return
    left = deque(enumerate(items))
    done = SimpleQueue[tuple[int, Future[Part]]]()

    def work() -> None:
        while True:
            try:
                index, item = left.popleft()
            except IndexError:  # another thread has taken the last one
                return
            made = Future[Part]()
            try:
                made.set_result(function(item))
            except BaseException as error:
                left.clear()
                made.set_exception(error)
            done.put((index, made))

    with single_threaded_blas():
        for _ in range(most):
            _Worker(target=work, daemon=True).start()
        try:
            for _ in items:
                index, made = done.get()
                yield index, made.result()
        finally:
            left.clear()


def product(a: Float[np.ndarray, "m k"], b: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "m n"]:
    """Returns a b; where a has few rows one after the other, which BLAS is faster at."""
    if len(a) > _FEW_ROWS:
        return a @ b
    rows = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    for of_row, row in zip(rows, a, strict=True):
        np.matmul(row, b, out=of_row)
    return rows


def cast(x: Float[np.ndarray, "N D"], dtype: type) -> Float[np.ndarray, "N D"]:
    """Returns rows in a dtype: as they are, or cast to memory that the thread's next call reuses.

    New memory for each block of each product took longer than both products of the block.
    """
    if x.dtype == dtype:
        return x
    memory = getattr(_cast, "memory", None)
    if memory is None or memory.dtype != dtype or memory.size < x.size:
        memory = _cast.memory = np.empty(x.size, dtype)
    rows = memory[: x.size].reshape(x.shape)
    np.copyto(rows, x)
    return rows


class _Worker(threading.Thread):
    """A thread of `in_threads`, whose blocks of rows are not spread over others."""


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="probes")
