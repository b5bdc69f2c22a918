"""Decision values of linear heads."""

import numpy as np
from jaxtyping import Float, Float32, Float64

from probes.host import over_blocks, single_threaded_blas


def decision_values(
    x: Float32[np.ndarray, "M D"], heads: Float[np.ndarray, "S R D+1 K1"]
) -> Float64[np.ndarray, "S R M K1"]:
    """Returns x W + b of every head in float64, computed on the host's processors.

    Each head has products of its own, whose last digits no other head can change.
    """
    heads = np.asarray(heads, np.float64)
    flat = heads.reshape(-1, *heads.shape[2:])
    values = np.empty((len(flat), len(x), heads.shape[-1]))

    def fill(block: slice) -> None:
        rows = x[block].astype(np.float64)
        for head, of_head in zip(flat, values, strict=True):
            np.matmul(rows, head[:-1], out=of_head[block])
            of_head[block] += head[-1]

    with single_threaded_blas():
        over_blocks(fill, *x.shape)
    return values.reshape(*heads.shape[:2], *values.shape[1:])
