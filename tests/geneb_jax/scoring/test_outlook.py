from typing import Any, cast

import pytest

from geneb_jax.scoring.outlook import Expected, Outlook, expect
from geneb_jax.tasks.synthetic import synthetic_tasks

TASKS = synthetic_tasks()[:2]


def after_one_model(*expected):
    """The outlook of a run whose first model is done: 2 s of loading, 30 of 10, 8 of 4."""
    outlook = Outlook([Expected(1.0, 10.0, 4.0), *expected])
    outlook.next_model()
    for stage, seconds in (("load", 2.0), ("embed", 30.0), ("probe", 8.0)):
        outlook.ended(stage, seconds, 0.0, 1.0)
    outlook.next_model()
    return outlook


def test_nothing_is_known_before_something_was_done():
    outlook = Outlook([Expected(1.0, 10.0, 4.0)] * 2)
    assert outlook.remaining("reading tasks and models", 3.0, 0.0, 0.0) is None
    outlook.next_model()
    assert outlook.remaining("load", 1.0, 0.0, 0.0) is None
    outlook.ended("load", 2.0, 0.0, 1.0)
    assert outlook.remaining("embed", 30.0, 0.0, 0.5) is None  # nothing was probed yet


def test_models_ahead_take_what_the_finished_one_took_in_proportion():
    outlook = after_one_model(Expected(1.0, 100.0, 4.0), Expected(1.0, 0.0, 2.0))
    # Loading 2 x 2 s, embedding 100 x 3, probing (4 + 2) x 2.
    assert outlook.remaining("load", 1.0, 0.0, 0.0) == pytest.approx(4 + 300 + 12)
    outlook.ended("load", 2.0, 0.0, 1.0)
    assert outlook.remaining("embed", 9.0, 0.0, 0.0) == pytest.approx(2 + 300 + 12)
    # The model embeds at a rate of its own, which counts for those behind it.
    assert outlook.remaining("embed", 50.0, 0.0, 0.5) == pytest.approx(50 + 2 + 12)


def test_waiting_for_programs_is_counted_once_a_model():
    outlook = Outlook([Expected(1.0, 100.0, 0.0), Expected(1.0, 300.0, 0.0), Expected(1.0)])
    outlook.next_model()
    outlook.ended("load", 2.0, 0.0, 1.0)
    # A tenth was embedded in 3 s, after 60 s of compiling: 27 s are left, and not 567. The next
    # model compiles for 60 s and embeds for 90, the last one embeds nothing; both load for 2 s.
    assert outlook.remaining("embed", 3.0, 60.0, 0.1) == pytest.approx(27 + 60 + 90 + 4)
    outlook.ended("embed", 30.0, 60.0, 1.0)
    outlook.next_model()
    outlook.ended("load", 2.0, 0.0, 1.0)
    # Its own compiling takes 20 s: the mean is 40, but no model ahead embeds.
    assert outlook.remaining("embed", 45.0, 20.0, 0.5) == pytest.approx(45 + 2)


def test_a_model_that_failed_half_way_gives_the_rate_of_what_it_did():
    outlook = Outlook([Expected(1.0, 10.0, 4.0), Expected(1.0, 10.0, 0.0)])
    outlook.next_model()
    outlook.ended("load", 2.0, 0.0, 1.0)
    outlook.ended("embed", 15.0, 0.0, 0.5)
    outlook.next_model()
    outlook.ended("load", 2.0, 0.0, 1.0)
    assert outlook.remaining("embed", 0.0, 0.0, 0.0) == pytest.approx(30)


def test_what_is_not_known_of_a_model_ahead_is_not_known_of_the_run():
    outlook = after_one_model(Expected(1.0, None, 4.0))
    assert outlook.remaining("load", 1.0, 0.0, 0.0) is None
    outlook.ended("load", 2.0, 0.0, 1.0)
    assert outlook.remaining("embed", 7.0, 0.0, 0.7) == pytest.approx(3 + 8)
    outlook.ended("embed", 10.0, 0.0, 1.0)
    assert outlook.remaining("probe", 0.0, 0.0, 0.0) == pytest.approx(8)
    assert outlook.remaining("tables and report", 1.0, 0.0, 0.0) is None


def test_tasks_that_are_scored_are_not_expected(tmp_path):
    class Stub:
        name = "m"

        def operations(self, records):
            return 3.0 * records

    rows = [(len(task.train.labels), len(task.test.labels)) for task in TASKS]
    workloads = [(cast(Any, Stub()), TASKS)]
    assert expect(workloads, tmp_path) == [
        Expected(1.0, 3.0 * sum(map(sum, rows)), rows[0][0] + rows[1][0])
    ]
    cells = tmp_path / "cells" / "m" / "corrected-float32--1-mean"
    cells.mkdir(parents=True)
    (cells / f"{TASKS[0].info.id}.json").touch()
    assert expect(workloads, tmp_path) == [Expected(1.0, 3.0 * sum(rows[1]), rows[1][0])]
    (cells / f"{TASKS[1].info.id}.json").touch()
    assert expect(workloads, tmp_path) == [Expected(1.0, 0.0, 0)]
