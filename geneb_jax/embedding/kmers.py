"""The baseline that needs no weights: k-mer frequencies."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneb_jax.config import Settings
from geneb_jax.embedding.source import (
    Advance,
    Cost,
    Immediate,
    Refusal,
    Representation,
    SourcePlan,
    Weightless,
    baseline,
    count_records,
    unpublished_card,
)
from geneb_jax.tasks.task import Task
from model_ports.contract.family import FINAL, View
from model_ports.running.letters import Unseen, unknown_letters
from probes.padding import roomy_features

MAX_K = 6
# Goes up with every change of what the features are: scores of older code are not taken.
NUMERICS = 1
_ITERATIONS = 15  # of a fit of all rows, about: frequencies are small beside the penalty of C = 1
_BLOCK_CELLS = 2**20  # counts and windows of a block of records: 8 MB as int64, and as float64
_LETTERS = "ACGTacgt"
_CODES = np.full(256, -1, np.int8)
for _code, _base in enumerate(b"ACGT"):
    _CODES[_base] = _CODES[_base + 32] = _code  # upper and lower case


def kmer_frequencies(sequences: Sequence[str], k: int) -> np.ndarray:
    """Counts all k-mers and divides by their sum, as the benchmark's 4-mer example does.

    Sequences are upper-cased; windows with a letter other than A, C, G, T are skipped; a record
    without any window is all zero. K-mers stand in alphabetical order.

    Args:
        sequences: N records.
        k: 1 to 6.

    Returns:
        float32 [N, 4 ** k].
    """
    features = roomy_features(len(sequences), 4**k)
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    block = np.cumsum(lengths + 4**k) // _BLOCK_CELLS
    for number in np.unique(block):
        first, end = np.searchsorted(block, (number, number + 1))
        counts = _count(sequences[first:end], lengths[first:end], k)
        total = counts.sum(axis=1, keepdims=True).astype(np.float32)
        features[first:end] = counts / np.maximum(total, np.float32(1))
    return features


def _count(sequences: Sequence[str], lengths: np.ndarray, k: int) -> np.ndarray:
    """Counts [n, 4 ** k]: windows over the joined text, none across a border."""
    text = "\n".join(sequences).encode("latin-1", "replace")
    codes = _CODES[np.frombuffer(text, np.uint8)]
    windows = max(len(codes) - k + 1, 0)
    # The number of a k-mer, k <= 6, and whether a letter of it has no code, which is the sign bit.
    index, other = np.zeros(windows, np.int16), np.zeros(windows, np.int8)
    for offset in range(k):
        letter = codes[offset : offset + windows]
        index *= 4
        index += letter & 3
        other |= letter
    record = np.repeat(np.arange(len(sequences), dtype=np.int32) * 4**k, lengths + 1)[:windows]
    cells = (record + index)[other >= 0]
    return np.bincount(cells, minlength=len(sequences) * 4**k).reshape(-1, 4**k)


@dataclass(frozen=True)
class KmerSource(Weightless):
    """K-mer frequencies as a model of a run: `kmer-4`.

    Attributes:
        name: Its name in the config.
        k: Length of the k-mers, 1 to 6.
    """

    name: str
    k: int

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns nothing: every record has k-mer frequencies."""
        del tasks
        return []

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns the records with letters other than A, C, G and T, and those without a k-mer."""
        unknown = unknown_letters(
            sequences,
            _LETTERS,
            f"hold letters other than A, C, G and T, and no {self.k}-mer with one is counted",
        )
        find = re.compile(f"[{_LETTERS}]{{{self.k}}}").search
        rows = [i for i, sequence in enumerate(sequences) if not find(sequence)]
        none = Unseen("no token", f"hold no {self.k}-mer, and all of their features are 0", rows)
        return [each for each in (unknown, none) if each.rows]

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns that all rows are counted, and nothing is kept."""
        del workdir
        return SourcePlan(
            lambda tasks: Cost(count_records(tasks)),
            4**self.k,
            [self._representation()],
            iterations=_ITERATIONS,
            unseen=self.unseen,
        )

    def open(self, workdir: Path) -> Immediate:
        """Returns the source of the tasks' frequencies."""
        del workdir
        card, representation = unpublished_card(self.name), self._representation()
        return Immediate(card, representation, self._of_task, (4**self.k,))

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Returns the frequencies of N sequences, float32 [N, 4 ** k]."""
        del names, advance
        return {View(FINAL, "mean"): kmer_frequencies(sequences, self.k)}

    def _representation(self) -> Representation:
        return baseline({"model": self.name, "numerics": NUMERICS})

    def _of_task(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        train, test = task.train.sequences, task.test.sequences
        return kmer_frequencies(train, self.k), kmer_frequencies(test, self.k)


def source_of(name: str, settings: Settings) -> KmerSource | None:
    """Returns the source that `kmer-K` names; None: the name is of another kind.

    Raises:
        ValueError: K is not in 1 .. 6.
    """
    del settings
    match = re.fullmatch(r"kmer-(\d+)", name)
    if not match:
        return None
    k = int(match.group(1))
    if not 1 <= k <= MAX_K:
        raise ValueError(f"'{name}': k-mers have k = 1 .. {MAX_K}")
    return KmerSource(name, k)
