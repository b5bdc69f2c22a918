import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.embedding import units
from geneb_jax.embedding.units import Unit, deal, units_of

GROUPS = st.lists(st.lists(st.text("ACGT", min_size=1, max_size=3), max_size=20), max_size=6)


def test_a_unit_is_of_one_task_and_knows_what_is_first_its(monkeypatch):
    monkeypatch.setattr(units, "_RECORDS", 2)
    found = units_of([["A", "C", "A", "G"], [], ["G", "T"]])
    assert found == [
        Unit(["A", "C"], [True, True]),
        Unit(["G"], [True]),
        Unit(["G", "T"], [False, True]),
    ]


@given(GROUPS)
def test_units_of_a_task_depend_on_no_other(groups):
    together = [unit.sequences for unit in units_of(groups)]
    assert together == [unit.sequences for group in groups for unit in units_of([group])]
    firsts = [
        sequence
        for unit in units_of(groups)
        for sequence, first in zip(unit.sequences, unit.first, strict=True)
        if first
    ]
    assert firsts == list(dict.fromkeys(sequence for group in groups for sequence in group))


@given(GROUPS, st.integers(1, 5))
def test_every_unit_is_dealt_once(groups, hands):
    made = units_of(groups)
    dealt = deal(made, hands)
    assert len(dealt) == hands
    assert sorted(map(repr, made)) == sorted(repr(unit) for hand in dealt for unit in hand)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([5, 4, 3, 3, 3], [8, 10]), ([1], [1, 0]), ([], [0, 0]), ([2, 2, 9], [9, 4])],
)
def test_letters_are_dealt_evenly(sizes, expected):
    dealt = deal([Unit(["A" * size], [True]) for size in sizes], 2)
    assert [sum(len(unit.sequences[0]) for unit in hand) for hand in dealt] == expected
