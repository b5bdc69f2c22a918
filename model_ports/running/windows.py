"""Long records as windows: cut for the model, and their embeddings averaged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from model_ports.port import Reader


class Cut(NamedTuple):
    """Records cut into windows.

    Attributes:
        windows: The windows of all records, W texts, those of a record one after the other.
        counts: How many windows each of the N records has, at least 1.
    """

    windows: Sequence[str]
    counts: Sequence[int]


def windows_of(sequence: str, length: int, stride: int) -> list[str]:
    """Returns the windows of a record: the record itself where it fits into one.

    Windows of `length` letters start every `stride` letters; the last one is moved back to end
    where the record ends, as GENEB's submission of SpliceBERT has it. A letter may stand in
    several.
    """
    if len(sequence) <= length:
        return [sequence]
    last = len(sequence) - length
    return [sequence[start : start + length] for start in (*range(0, last, stride), last)]


def cut_into_windows(reader: Reader, sequences: Sequence[str]) -> Cut:
    """Returns the windows of records as the model's preset has them; see `windows_of`."""
    length, stride = reader.preset.window, reader.preset.stride
    if length is None or stride is None:
        return Cut(sequences, [1] * len(sequences))
    cut = [windows_of(sequence, length, stride) for sequence in sequences]
    return Cut([window for windows in cut for window in windows], [len(w) for w in cut])


def average_windows(
    reader: Reader, vectors: Float32[np.ndarray, "W D"], cut: Cut
) -> Float32[np.ndarray, "N D"]:
    """Averages the embeddings of each record's windows, weighted by their numbers of tokens.

    Special tokens count too. The embedding of a record of one window is that window's.

    Args:
        reader: The model, whose tokenizer counts.
        vectors: Embeddings of all windows.
        cut: The windows.
    """
    counts = np.array(cut.counts)
    if (counts == 1).all():
        return vectors
    encoded = reader.tokenizer.encode(cut.windows, reader.preset.max_tokens)
    tokens = np.array([len(ids) for ids in encoded], np.float64)
    averaged = np.empty((len(counts), vectors.shape[1]), np.float32)
    for record, first in enumerate(np.cumsum(counts) - counts):
        windows = slice(first, first + counts[record])
        averaged[record] = np.average(vectors[windows], axis=0, weights=tokens[windows])
    return averaged


def telling_of_records(
    advance: Callable[[int], None], records: int, parts: int
) -> Callable[[int], None]:
    """Returns a function that is told how many parts were done, and tells of as many records.

    All records are told of once all parts are done, and in proportion before.

    Args:
        advance: Told how many records were done since the last call.
        records: How many there are.
        parts: How much is computed for them, such as the windows that they are cut into.
    """
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        before, done = done, done + more
        advance(done * records // parts - before * records // parts)

    return tell
