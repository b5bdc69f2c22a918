"""What embedding will cost, found from shapes alone: tokens, operations, programs, bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from geneb_jax.devices.flop import matrix_flop
from geneb_jax.embedding.batches import benchmark_lengths, bucketed, ladder_of
from geneb_jax.embedding.source import Cost
from model_ports.contract.family import View
from model_ports.port import Port, Reader
from model_ports.running.embedder import embedder
from model_ports.running.records import padded_length

# Tokenizes as models do whose lengths on the benchmark were not counted: byte pairs.
_LIKE = "dnabert2-no-flashattention"
_POINTS = 6  # lengths at which operations are counted; between them they are linear
_SAMPLE = 4096  # records whose tokens are counted
FLOAT32 = 4  # bytes


class Lengths(NamedTuple):
    """Token lengths of records, and how many records have each, which need not be whole."""

    tokens: np.ndarray
    records: np.ndarray


def sampled_lengths(port: Port, sequences: Sequence[str]) -> Lengths:
    """Returns the token lengths of records, from at most 4,096 of them, evenly spaced."""
    if not sequences:
        return Lengths(np.zeros(0, np.int64), np.zeros(0))
    sample = sequences[:: -(-len(sequences) // _SAMPLE)]
    encoded = port.tokenizer.encode(sample, port.preset.max_tokens)
    tokens, records = np.unique([len(ids) for ids in encoded], return_counts=True)
    return Lengths(tokens, records * (len(sequences) / len(sample)))


def rough_operations(reader: Reader, params: int, records: int) -> float:
    """Returns 2 operations a parameter and token of so many records like the benchmark's.

    It leaves out attention between tokens and padding, and takes embedding tables for products.
    """
    lengths = benchmark_like_lengths(reader, records)
    return 2.0 * params * float(lengths.tokens @ lengths.records)


def benchmark_like_lengths(port: Reader, records: int) -> Lengths:
    """Returns the token lengths that records have if they are like the benchmark's."""
    table = benchmark_lengths(port.entry.id) or benchmark_lengths(_LIKE)
    assert table is not None
    tokens = np.minimum(table[0], port.preset.max_tokens or table[0])
    tokens, inverse = np.unique(tokens, return_inverse=True)
    return Lengths(tokens, np.bincount(inverse, table[1]) * (records / table[1].sum()))


def embedding_cost(
    port: Port, views: Sequence[View], lengths: Lengths, *, kept: int = 0, typical: bool = False
) -> Cost:
    """Returns the cost of embedding records of some token lengths.

    Args:
        port: The model; shapes do for its state.
        views: What is kept of each forward pass.
        lengths: Token lengths of the records to be embedded.
        kept: See `Cost`.
        typical: See `Cost`.
    """
    records = round(lengths.records.sum())
    if not records:
        return Cost(0, kept, typical=typical)
    padded = _padded(port, lengths.tokens)
    points = np.unique(np.quantile(padded, np.linspace(0, 1, _POINTS)).astype(int))
    programs = [_traced(port, views, length) for length in points.tolist()]
    flop = lengths.records @ np.interp(padded, points, [matrix_flop(p.jaxpr) for p in programs])
    width = programs[0].out_avals[0].shape[-1]
    return Cost(
        records,
        kept,
        float(lengths.records @ lengths.tokens),
        float(flop),
        len(np.unique(padded)),
        records * width * FLOAT32,
        typical,
    )


def output_width(port: Port, views: Sequence[View]) -> int:
    """Returns the width of all views together."""
    length = int(_padded(port, np.array([8]))[0])
    return _traced(port, views, length).out_avals[0].shape[-1]


def _padded(port: Port, tokens: np.ndarray) -> np.ndarray:
    """Returns the padded length in which records of each length are computed."""
    if bucketed(port):
        ladder = np.array(ladder_of(port, int(tokens.max())))
        return ladder[np.searchsorted(ladder, tokens)]
    return np.array([padded_length(port, length) for length in tokens.tolist()])


def _traced(port: Port, views: Sequence[View], length: int) -> ClosedJaxpr:
    """Returns the forward pass of one record of a padded length."""
    inputs = {
        "input_ids": jax.ShapeDtypeStruct((1, length), jnp.int32),
        "attention_mask": jax.ShapeDtypeStruct((1, length), jnp.bool_),
    }
    return embedder(port, views).trace(port.state, inputs).jaxpr  # pyright: ignore
