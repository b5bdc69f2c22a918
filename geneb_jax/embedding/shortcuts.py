"""Shortcuts as models: the usual probe on what a record says without its letters' meaning.

Beside models they are floors: what a model has to beat before it has read anything. See
`geneb_jax.audit.shortcuts` for what they are.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneb_jax.audit.shortcuts import SHORTCUTS, STRANDLESS, shortcut_features
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
from model_ports.contract.family import View
from model_ports.running.letters import Unseen

PREFIX = "shortcut-"
# Goes up with every change of what the features are: scores of older code are not taken.
NUMERICS = 1
_WIDTH = 32  # features of most shortcuts, by which a plan reckons


@dataclass(frozen=True)
class ShortcutSource(Weightless):
    """A shortcut as a model of a run: `shortcut-length`.

    Attributes:
        name: Its name in the config.
        shortcut: A name of `SHORTCUTS`.
    """

    name: str
    shortcut: str

    @property
    def strandless(self) -> bool:
        """Whether the shortcut is the same for a record and its reverse complement."""
        return self.shortcut in STRANDLESS

    def check(self, tasks: Sequence[Task]) -> list[Refusal]:
        """Returns nothing: every record has every shortcut."""
        del tasks
        return []

    def unseen(self, sequences: Sequence[str]) -> list[Unseen]:
        """Returns nothing: whether letters are known is not asked."""
        del sequences
        return []

    def plan(self, workdir: Path) -> SourcePlan:
        """Returns that all rows are looked at, and nothing is kept."""
        del workdir
        return SourcePlan(
            lambda tasks: Cost(count_records(tasks)), _WIDTH, [self._representation()]
        )

    def open(self, workdir: Path) -> Immediate:
        """Returns the source of the tasks' features."""
        del workdir
        of_task = functools.partial(shortcut_features, self.shortcut)
        return Immediate(unpublished_card(self.name), self._representation(), of_task)

    def embed(
        self, sequences: Sequence[str], names: Sequence[str], advance: Advance
    ) -> dict[View, np.ndarray]:
        """Raises ValueError: quantiles are of a task's train records, which are not there."""
        raise ValueError(f"'{self.name}' is a floor of tasks; it embeds no sequences")

    def _representation(self) -> Representation:
        return baseline({"model": self.name, "numerics": NUMERICS})


def source_of(name: str, settings: Settings) -> ShortcutSource | None:
    """Returns the source that `shortcut-NAME` names; None: the name is of another kind.

    Raises:
        ValueError: There is no such shortcut.
    """
    del settings
    match = re.fullmatch(rf"{PREFIX}(.*)", name)
    if not match:
        return None
    if match.group(1) not in SHORTCUTS:
        raise ValueError(f"'{name}': no such shortcut; valid: {', '.join(SHORTCUTS)}")
    return ShortcutSource(name, match.group(1))
