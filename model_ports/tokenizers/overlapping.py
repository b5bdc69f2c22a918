"""DNABERT's overlapping k-mers: one token starts at each letter but the last k - 1."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import TokenizerError, check_k, file_text

_BASES = "ATCG"  # the order of the authors' vocabularies
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_DIGITS = np.full(256, -1, np.int64)
for _digit, _base in enumerate(_BASES):
    _DIGITS[[ord(_base), ord(_base.lower())]] = _digit
_WORDS = re.compile(r"\w+|[^\w\s]")  # as BERT's word splitter takes punctuation off


@dataclass(frozen=True)
class OverlappingTokenizer:
    """All k-mers of the upper-cased record, between `[CLS]` and `[SEP]`.

    The original writes them with blanks between and hands the text to BERT's tokenizer (Ji et al.
    2021, DNABERT's `seq2kmer`). A k-mer with a letter other than A, C, G and T is `[UNK]`; one
    with punctuation or a blank falls into pieces, each of which is. A record of fewer than k
    letters has no token between the special ones.

    Attributes:
        k: Letters of a k-mer.
        ids: Id of each k-mer by its number in base 4, with the digits A 0, T 1, C 2, G 3, the
            first letter's highest; int32 [4 ** k].
        special: Ids of the special tokens.
    """

    k: int
    ids: np.ndarray
    special: Mapping[str, int]
    specials: int = 2
    known_letters: str = "ACGTacgt"

    @property
    def pad_id(self) -> int:
        """The id of `[PAD]`."""
        return self.special["[PAD]"]

    @property
    def vocab_size(self) -> int:
        """The largest id plus one; see `Tokenizer.vocab_size`."""
        return int(max(self.ids.max(), *self.special.values())) + 1

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut before `[SEP]`; see `Tokenizer.encode`."""
        limit = None if max_tokens is None else max(max_tokens - self.specials, 0)
        encoded = []
        for sequence in sequences:
            kept = sequence[: None if limit is None else limit + self.k - 1]
            ids = self._plain(kept) if kept.isalnum() else self._pieces(kept)
            ids = np.array([self.special["[CLS]"], *ids[:limit], self.special["[SEP]"]], np.int32)
            encoded.append(ids)
        return encoded

    def _plain(self, sequence: str) -> np.ndarray:
        """Returns the ids of the k-mers of letters and digits."""
        digits = _DIGITS[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
        if len(digits) < self.k:
            return np.empty(0, np.int32)
        kmers = np.lib.stride_tricks.sliding_window_view(digits, self.k)
        numbers = kmers @ 4 ** np.arange(self.k)[::-1]
        return np.where((kmers < 0).any(axis=1), self.special["[UNK]"], self.ids[numbers])

    def _pieces(self, sequence: str) -> np.ndarray:
        """Returns the ids of k-mers of which some fall into pieces, which no k-mer is."""
        starts = range(len(sequence) - self.k + 1)
        words = [_WORDS.findall(sequence[i : i + self.k]) for i in starts]
        found = [
            self._plain(word) if len(word) == self.k else [self.special["[UNK]"]]
            for word in itertools.chain.from_iterable(words)
        ]
        return np.concatenate([np.empty(0, np.int32), *found]).astype(np.int32)


def overlapping_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> OverlappingTokenizer:
    """Builds the tokenizer from vocab.txt, or from the vocabulary's rule where there is no file.

    Args:
        folder: The checkpoint's folder, or None.
        options: `k`.

    Raises:
        TokenizerError: vocab.txt cannot be read, or lacks a k-mer or a special token.
    """
    path = (folder or Path()) / "vocab.txt"
    k = check_k(path, options["k"])
    kmers = ["".join(bases) for bases in itertools.product(_BASES, repeat=k)]
    vocabulary = [*_SPECIALS, *kmers]
    if folder is not None and path.is_file():
        expected, vocabulary = vocabulary, file_text(path).split()
        missing = sorted(set(expected) - set(vocabulary))
        if missing:
            raise TokenizerError(
                f"{path}: {len(missing)} entries of a vocabulary of overlapping {k}-mers are "
                f"missing, such as {missing[0]!r}; take the file of the model's repository"
            )
    number = {token: i for i, token in enumerate(vocabulary)}
    return OverlappingTokenizer(
        k,
        np.array([number[kmer] for kmer in kmers], np.int32),
        {token: number[token] for token in _SPECIALS},
    )
