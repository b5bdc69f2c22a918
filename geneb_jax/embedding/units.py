"""Units: records that are put into batches together, whatever else a run embeds.

The last digits of an embedding depend on the shape of its batch and on the rows beside it. A unit
holds records of one task alone and is planned as a whole, so that these digits do not depend on
other tasks, on what is kept already, or on how many processes share the work.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geneb_jax.embedding.store import key

_RECORDS = 16384  # of a unit: many batches of any device, and few enough to deal to many hosts


@dataclass(frozen=True)
class Unit:
    """Distinct records that are put into batches together.

    Attributes:
        sequences: The records, in the order in which their task names them.
        first: Whether no earlier unit has the record; an embedding is that of its first unit.
    """

    sequences: Sequence[str]
    first: Sequence[bool]

    @functools.cached_property
    def keys(self) -> list[bytes]:
        """The stores' key of each record."""
        return list(map(key, self.sequences))


def units_of(groups: Iterable[Sequence[str]]) -> list[Unit]:
    """Returns the units of groups of records, each cut after every 16,384 distinct ones.

    Args:
        groups: The records of each task, train before test.
    """
    seen = set[str]()
    units = []
    for group in groups:
        distinct = list(dict.fromkeys(group))
        for start in range(0, len(distinct), _RECORDS):
            sequences = distinct[start : start + _RECORDS]
            units.append(Unit(sequences, [sequence not in seen for sequence in sequences]))
            seen.update(sequences)
    return units


def deal(units: Sequence[Unit], hands: int) -> list[list[Unit]]:
    """Deals units to processes so that each has about the same number of letters.

    The largest is dealt first, each to who has the least; of equals to the first.

    Args:
        units: The units.
        hands: How many processes there are.
    """
    dealt: list[list[Unit]] = [[] for _ in range(hands)]
    letters = [0] * hands
    sizes = [sum(map(len, unit.sequences)) for unit in units]
    for index in sorted(range(len(units)), key=lambda index: -sizes[index]):
        least = letters.index(min(letters))
        dealt[least].append(units[index])
        letters[least] += sizes[index]
    return dealt
