"""Work in several threads gives what one thread gives, ends at the first error, and stays small."""

import threading

import pytest

from probes import host
from probes.host import in_threads, over_blocks

LARGE = host._SMALL + 1  # bytes


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(host.os, "cpu_count", lambda: 4)


def test_each_item_is_made_once_in_several_threads_at_a_time():
    meet = threading.Barrier(3, timeout=20)

    def square(number):
        meet.wait()  # passes where three run at a time alone
        return number**2

    assert dict(in_threads(square, [5, 6, 7], LARGE)) == {0: 25, 1: 36, 2: 49}


@pytest.mark.parametrize(
    ("items", "memory"), [([3], LARGE), ([3, 4, 5], host._MEMORY), ([3, 4], host._SMALL)]
)
def test_one_item_small_ones_and_little_memory_take_the_thread_that_asks(items, memory):
    def where(item):
        return item, threading.current_thread()

    asking = threading.current_thread()
    assert list(in_threads(where, items, memory)) == [
        (index, (item, asking)) for index, item in enumerate(items)
    ]


def test_no_more_run_at_a_time_than_memory_allows():
    running, most, lock = [], [], threading.Lock()

    def count(number):
        with lock:
            running.append(number)
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.remove(number)

    list(in_threads(count, range(12), host._MEMORY // 2))
    assert max(most) == 2


def test_what_is_asked_for_inside_stays_in_the_thread():
    def inner(_):
        return threading.current_thread()

    def outer(_):
        blocks = over_blocks(inner, 100 * host._FEWEST, host._BLOCK)
        assert len(blocks) == 100
        return {
            *blocks,
            *dict(in_threads(inner, [1, 2], LARGE)).values(),
        }, threading.current_thread()

    for _, (inside, outside) in in_threads(outer, [1, 2], LARGE):
        assert inside == {outside}
        assert outside is not threading.current_thread()


def test_an_error_is_raised_where_it_was_asked_for_and_nothing_more_is_begun():
    begun = []

    def fail(number):
        begun.append(number)
        raise KeyboardInterrupt(str(number))

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(fail, range(1000), host._MEMORY // 2))
    assert len(begun) <= 2


def test_nothing_more_is_begun_for_a_caller_that_stops_early():
    hold, begun = threading.Event(), []

    def wait(number):
        begun.append(number)
        if number:
            hold.wait(20)

    made = in_threads(wait, range(100), host._MEMORY // 2)
    next(made)
    made.close()
    hold.set()
    threading.Event().wait(0.05)
    assert len(begun) <= 4
