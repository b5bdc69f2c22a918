import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.padding import ladder, pad, padded_features, roomy_features


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


@given(st.integers(1, 40), st.integers(1, 5))
def test_features_with_room_are_padded_where_they_are(rows, width):
    x = roomy_features(rows, width)
    assert x.shape == (rows, width) and x.dtype == np.float32 and not x.any()
    x[:] = np.arange(1, rows * width + 1).reshape(rows, width)
    padded = padded_features(x, ladder(rows))
    assert padded.shape == (ladder(rows), width)
    assert padded.ctypes.data == x.ctypes.data and padded.ctypes.data % 64 == 0
    np.testing.assert_array_equal(padded, pad(x, ladder(rows)))


def arrays_without_room():
    x = roomy_features(9, 3)  # followed by a row of zeros
    x[:] = np.arange(1, 28).reshape(9, 3)
    yield x[:8]  # followed by numbers
    yield x[::2]  # of rows that are not neighbours
    yield np.asfortranarray(x)
    yield np.zeros((9, 3), np.float32)
    yield np.zeros((20, 3), np.float32)[:9]  # memory of others, of which nothing is known


def test_other_features_are_copied():
    for x in arrays_without_room():
        size = ladder(len(x)) + 2
        padded = padded_features(x, size)
        assert padded.ctypes.data % 64 == 0 and not np.shares_memory(padded, x)
        np.testing.assert_array_equal(padded, pad(x, size))


def test_features_that_need_more_room_than_they_have_are_copied():
    x = roomy_features(10, 40)  # a size of the ladder: nothing lies behind
    x[:] = 1
    assert padded_features(x, 10).ctypes.data == x.ctypes.data
    padded = padded_features(x, 12)
    assert not np.shares_memory(padded, x)
    np.testing.assert_array_equal(padded, pad(x, 12))
