"""Records of which a model does not see everything: unknown letters, no token, a cut end."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from model_ports.port import Reader
from model_ports.running.letters import Unseen, unknown_letters
from model_ports.running.windows import cut_into_windows

_SHORT = 16  # letters; a record of more makes a token, for no tokenizer joins so many
_TOGETHER = 16384  # records that are tokenized at once


def unseen(reader: Reader, sequences: Sequence[str]) -> list[Unseen]:
    """Returns which records a model does not see in full, one item for each reason that any has.

    A record may stand in several items. Only records that may be cut, or may make no token, are
    tokenized.

    Args:
        reader: The model.
        sequences: N records.
    """
    known, limit = reader.tokenizer.known_letters, reader.preset.max_tokens
    unknown = unknown_letters(sequences, known, "hold letters that the tokenizer does not know")
    found = [unknown, _without_token(reader, sequences, unknown)]
    if limit is not None:
        found.append(_cut(reader, sequences, limit))
    return [each for each in found if each.rows]


def _without_token(reader: Reader, sequences: Sequence[str], unknown: Unseen) -> Unseen:
    """Returns the records whose tokens are those of an empty one: special tokens, or none.

    To a vocabulary of overlapping k-mers a record of fewer letters is one unknown token.
    """
    (nothing,) = reader.tokenizer.encode([""], None)
    doubtful = {i for i in unknown.rows if set(unknown.letters).issuperset(sequences[i])}
    doubtful.update(i for i, sequence in enumerate(sequences) if len(sequence) <= _SHORT)
    k = getattr(reader.tokenizer, "spaced", None) or 0
    rows = [
        i
        for i, tokens in _lengths(reader, sequences, sorted(doubtful))
        if tokens <= len(nothing) or len(sequences[i]) < k
    ]
    return Unseen("no token", "are too short for a token, or hold no letter that is one", rows)


def _cut(reader: Reader, sequences: Sequence[str], limit: int) -> Unseen:
    """Returns the records that have more tokens than the limit, or a window that has."""
    most = limit - reader.tokenizer.specials
    window = reader.preset.window or sys.maxsize
    doubtful = [i for i, sequence in enumerate(sequences) if min(len(sequence), window) > most]
    rows = [i for i, tokens in _lengths(reader, sequences, doubtful) if tokens > limit]
    return Unseen("cut", f"have more than {limit:,} tokens and are cut there", rows)


def _lengths(
    reader: Reader, sequences: Sequence[str], rows: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yields each of some rows with the number of its tokens, special ones counted, uncut.

    Of a record in windows it is that of the window with the most.
    """
    for start in range(0, len(rows), _TOGETHER):
        together = rows[start : start + _TOGETHER]
        windows, counts = cut_into_windows(reader, [sequences[i] for i in together])
        tokens = np.array([len(ids) for ids in reader.tokenizer.encode(windows, None)])
        most = np.maximum.reduceat(tokens, np.cumsum(counts) - np.array(counts))
        yield from zip(together, most.tolist(), strict=True)
