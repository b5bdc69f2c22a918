import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.padding import ladder, pad


@given(st.integers(1, 10**7))
def test_rows_are_rounded_up_by_a_quarter_at_most(rows):
    size = ladder(rows)
    assert rows <= size <= max(8, 1.25 * rows + 1)
    assert ladder(size) == size


def test_the_ladder_has_four_steps_an_octave():
    sizes = sorted({ladder(rows) for rows in range(1, 129)})
    assert sizes == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128]


def test_padding_is_zeros_behind_the_last_row():
    padded = pad(np.ones((3, 2), np.float32), 5)
    assert padded.dtype == np.float32
    assert padded.tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
