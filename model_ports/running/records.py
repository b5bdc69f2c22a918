"""From records to padded batches of token ids."""

import sys
from collections.abc import Sequence

import numpy as np

from model_ports.contract.family import family
from model_ports.port import Port, Reader
from model_ports.running.windows import cut_into_windows

_PADDING_BEFORE = {"right": 0, "both": 1, "left": 2}  # halves of the padding of a record

_CHECKED = 16384  # records that `refused` tokenizes at once


def tokenize(reader: Reader, sequences: Sequence[str]) -> list[np.ndarray]:
    """Returns the int32 token ids of each record, cut to the preset's limit.

    Args:
        reader: The model.
        sequences: Records as the task files hold them.

    Raises:
        ValueError: A record holds a token that has no row in the model's embedding, or is longer
            than the model's position table.
    """
    encoded = reader.tokenizer.encode(sequences, reader.preset.max_tokens)
    for index, ids in enumerate(encoded):
        if reason := _refusal(reader, ids):
            raise ValueError(f"model '{reader.entry.id}': record {index} {reason}")
    return encoded


def refused(reader: Reader, sequences: Sequence[str]) -> list[tuple[int, str]]:
    """Returns the index of each record that `tokenize` refuses, and why.

    Most records are cleared by their letters and lengths: only the others are tokenized.

    Args:
        reader: The model.
        sequences: Records as the task files hold them.
    """
    tokenizer, limit, cut = reader.tokenizer, reader.config.max_tokens, reader.preset.max_tokens
    longest = sys.maxsize
    if limit is not None and (cut is None or cut > limit):
        longest = limit - tokenizer.specials
    if tokenizer.vocab_size > reader.config.vocab_size:
        longest = -1
    window = reader.preset.window or sys.maxsize
    doubtful = [
        i
        for i, sequence in enumerate(sequences)
        if min(len(sequence), window) > longest or not (sequence.isascii() and sequence.isalpha())
    ]
    found: dict[int, str] = {}
    for start in range(0, len(doubtful), _CHECKED):
        rows = doubtful[start : start + _CHECKED]
        windows, counts = cut_into_windows(reader, [sequences[i] for i in rows])
        encoded = tokenizer.encode(windows, cut)
        for i, ids in zip(np.repeat(rows, counts).tolist(), encoded, strict=True):
            if reason := _refusal(reader, ids):
                found.setdefault(i, reason)
    return list(found.items())


def _refusal(reader: Reader, ids: np.ndarray) -> str | None:
    """Returns why a model cannot take a record of these ids; None if it can."""
    limit, rows = reader.config.max_tokens, reader.config.vocab_size
    if limit is not None and len(ids) > limit:
        return f"has {len(ids)} tokens, but the model has {limit} positions; cut it"
    if ids.size and ids.max() >= rows:
        return (
            f"has token id {ids.max()}, but the model has {rows} rows; "
            "remove special tokens from it"
        )
    return None


def padded_length(port: Port, longest: int) -> int:
    """Returns the least length L of a batch.

    Args:
        port: The model; where it pads every record to one length, the length may be that.
        longest: Tokens of the longest record.

    Returns:
        A multiple of the model's `length_multiple`, where it has one.
    """
    if port.preset.batching == "fixed":
        full = port.preset.max_tokens
        assert full is not None
        window = getattr(family(port.entry.family), "window_length", None)
        return full if window is None else window(port.config, full, min(longest, full))
    multiple = getattr(port.config, "length_multiple", 1)
    return -(-longest // multiple) * multiple


def collate(port: Port, encoded: Sequence[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Pads token ids to one static shape.

    Args:
        port: The model, which states the padding id and side.
        encoded: Token ids of B records, none longer than `length`.
        length: L.

    Returns:
        `input_ids` int32 [B, L] and `attention_mask` bool [B, L].
    """
    ids = np.full((len(encoded), length), port.tokenizer.pad_id, np.int32)
    mask = np.zeros((len(encoded), length), bool)
    share = _PADDING_BEFORE[port.preset.padding_side]
    for row, tokens in enumerate(encoded):
        start = (length - len(tokens)) * share // 2
        ids[row, start : start + len(tokens)] = tokens
        mask[row, start : start + len(tokens)] = True
    return {"input_ids": ids, "attention_mask": mask}
