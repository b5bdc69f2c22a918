"""A part that fails, hangs or dies costs its case alone."""

import os
import time

import pytest

from benchmarks.isolation import Part, measure_parts


def good(session):
    yield "a", lambda: {"value": session.scale + len(session.rows)}
    yield "b", lambda: {"value": 2}


def failing(session):
    def fail():
        raise ValueError("two\n  lines")

    yield "fails", fail
    yield "goes on", lambda: {"value": 3}


def full(session):
    def fail():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes")

    yield "too large", fail


def broken(session):
    yield from good(session)
    raise KeyError("nothing more")


def dying(session):
    yield "before", lambda: {"value": 1}
    yield "dies", lambda: os._exit(3)
    yield "after", lambda: {"value": 2}


def hanging(session):
    yield "hangs", lambda: time.sleep(600)
    yield "never", lambda: {"value": 1}


def slow(session):
    yield "first", lambda: time.sleep(0.3) or {"value": 1}
    yield "second", lambda: {"value": 2}


def compiling(session):
    def measure():
        import jax

        jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))
        return {"backend": jax.default_backend()}

    yield "program", measure


def brief(rows):
    return [(row["part"], row["case"], row.get("value", row.get("failed"))) for row in rows]


def measure(*cases, seconds=60.0, **options):
    parts = {case.__name__: Part(case, seconds) for case in cases}
    return list(measure_parts(parts, 10, **options))


def test_failures_are_said_in_one_line_and_the_next_case_goes_on():
    known = [{"part": "old", "case": "x"}]
    assert brief(measure(good, failing, full, broken, known=known)) == [
        ("good", "a", 11),  # the scale, and a row that was known
        ("good", "b", 2),
        ("failing", "fails", "ValueError: two lines"),
        ("failing", "goes on", 3),
        ("full", "too large", "does not fit into memory"),
        ("broken", "a", 16),
        ("broken", "b", 2),
        ("broken", "", "KeyError: 'nothing more'"),
    ]


def test_a_dead_process_is_started_again_behind_the_case_that_killed_it():
    assert brief(measure(dying, good)) == [
        ("dying", "before", 1),
        ("dying", "dies", "the process died"),
        ("dying", "after", 2),
        ("good", "a", 13),
        ("good", "b", 2),
    ]


def test_a_case_that_hangs_is_stopped_and_the_next_part_runs():
    # The first part starts the process, which takes seconds.
    start = time.monotonic()
    parts = {"good": Part(good, 60), "hanging": Part(hanging, 1), "last": Part(good, 60)}
    found = brief(measure_parts(parts, 10, grace=0.5))
    assert found[2:] == [
        ("hanging", "hangs", "took too long and was stopped"),
        ("last", "a", 13),
        ("last", "b", 2),
    ]
    assert time.monotonic() - start < 60


def test_time_is_looked_at_between_cases():
    parts = {"good": Part(good, 60), "slow": Part(slow, 0.2)}
    assert brief(measure_parts(parts, 10))[2:] == [
        ("slow", "first", 1),
        ("slow", "second", "no time was left for it and for those after it"),
    ]
    assert brief(measure(good, budget=0.0)) == [("good", "", "no time was left for it")]


def test_compiling_is_counted_on_the_platform_of_the_part():
    (row,) = measure_parts({"compiling": Part(compiling, 60, "cpu")}, 10)
    assert row["backend"] == "cpu"
    assert row["programs"] >= 1
    assert 0 < row["compile_s"] < row["seconds"]


def test_no_process_is_left_behind():
    import multiprocessing

    rows = measure_parts({"slow": Part(slow, 60)}, 10)
    next(rows)
    assert multiprocessing.active_children()
    rows.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("case", [good, failing])
def test_rows_carry_what_they_cost(case):
    for row in measure(case):
        assert row["seconds"] >= 0 and row["programs"] == 0 and row["compile_s"] == 0
