import dataclasses
from typing import Any, cast

import numpy as np
import pytest

from geneb_jax.config import default_config, parse_config
from geneb_jax.embedding.source import Cost, SourcePlan
from geneb_jax.scoring.cost import probing_seconds
from geneb_jax.scoring.outlook import Expected, Outlook, expect, rates_before
from geneb_jax.tasks.sizes import sizes_of
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


def test_what_is_known_before_counts_until_something_was_done():
    expected = [Expected(1.0, 0.0, 4.0), Expected(1.0, 0.0, 6.0)]
    outlook = Outlook(expected, {"load": 0.0, "probe": 1.0}, showing=20.0)
    # Half of the audit took 3 s; probing is expected to take 4 and 6, tables and report 20.
    assert outlook.remaining("audit", 3.0, 0.0, 0.5) == pytest.approx(3 + 4 + 6 + 20)
    outlook.next_model()
    assert outlook.remaining("load", 0.1, 0.0, 0.0) == pytest.approx(4 + 6 + 20)
    outlook.ended("load", 0.5, 0.0, 1.0)
    assert outlook.remaining("probe", 0.0, 0.0, 0.0) == pytest.approx(4 + 0.5 + 6 + 20)
    # A quarter takes 2 s: this machine is half as fast as the one that was measured, which is
    # believed by a quarter: 1.25 s a unit, of the 3 here and the 6 ahead. In the end it is by all.
    assert outlook.remaining("probe", 2.0, 0.0, 0.25) == pytest.approx(3.75 + 0.5 + 7.5 + 20)
    assert outlook.remaining("probe", 8.0, 0.0, 1.0) == pytest.approx(0.5 + 12 + 20)
    outlook.ended("probe", 8.0, 0.0, 1.0)
    outlook.next_model()
    outlook.ended("load", 0.5, 0.0, 1.0)
    outlook.ended("probe", 12.0, 0.0, 1.0)
    assert outlook.remaining("tables and report", 5.0, 0.0, 0.0) == pytest.approx(15)
    assert outlook.remaining("tables and report", 20.5, 0.0, 0.0) is None


def test_a_model_that_embeds_is_known_once_one_has():
    outlook = Outlook([Expected(1.0, 10.0, 4.0)] * 2, {"load": 0.0, "probe": 1.0}, showing=5.0)
    assert outlook.remaining("audit", 3.0, 0.0, 0.5) is None
    outlook.next_model()
    outlook.ended("load", 2.0, 0.0, 1.0)
    assert outlook.remaining("embed", 9.0, 0.0, 0.0) is None
    assert outlook.remaining("embed", 9.0, 0.0, 0.3) == pytest.approx(21 + 4 + 2 + 30 + 4 + 5)


def test_rates_are_known_of_the_probes_that_were_measured():
    plain = parse_config(default_config()).probes
    assert rates_before(plain) == {"load": 0.0, "probe": 1.0}
    for other in ({"selection": "folds"}, {"probes": ("logistic", "mlp")}, {"solver": "optax"},
                  {"cross_validate": True}, {"standardised": True}):  # fmt: skip
        assert rates_before(dataclasses.replace(plain, **other)) == {"load": 0.0}


def test_tasks_that_are_scored_are_not_expected(tmp_path):
    class Stub:
        name = "m"

        def operations(self, records):
            return 3.0 * records

    probes = parse_config(default_config()).probes
    plans = {"m": SourcePlan(lambda _: Cost(0), 32, [cast(Any, None)] * 2)}
    rows = [(len(task.train.labels), len(task.test.labels)) for task in TASKS]
    seconds = [2 * probing_seconds(size, 32, probes) for size in sizes_of(TASKS)]
    workloads = [(cast(Any, Stub()), TASKS)]
    assert expect(workloads, plans, probes, tmp_path) == [
        Expected(1.0, 3.0 * sum(map(sum, rows)), pytest.approx(sum(seconds)))
    ]
    assert expect(workloads, {}, probes, tmp_path)[0].probe is None
    cells = tmp_path / "cells" / "m" / "corrected-float32--1-mean"
    cells.mkdir(parents=True)
    (cells / f"{TASKS[0].info.id}.json").touch()
    assert expect(workloads, plans, probes, tmp_path) == [
        Expected(1.0, 3.0 * sum(rows[1]), pytest.approx(seconds[1]))
    ]
    (cells / f"{TASKS[1].info.id}.json").touch()
    for some in (plans, {}):
        assert expect(workloads, some, probes, tmp_path) == [Expected(1.0, 0.0, 0)]


def over_the_first_task(outlook, weights, seconds, step=0.05):
    """The time left in steps while tasks of a model are probed, at the ends of these too."""
    left, worked, done, whole = [], 0.0, 0.0, sum(weights)
    for weight, takes in zip(weights, seconds, strict=True):
        steps = max(round(takes / step), 1)
        for i in range(steps + 1):
            since = takes * i / steps
            share, in_hand = done / whole, weight / whole
            left.append(outlook.remaining("probe", worked + since, 0.0, share, in_hand, since))
        worked, done = worked + takes, done + weight
    left.append(outlook.remaining("probe", worked, 0.0, done / whole))
    return left


def begun(*expected, rates=(("load", 0.0), ("probe", 1.0))):
    outlook = Outlook(expected, dict(rates))
    outlook.next_model()
    outlook.ended("load", 0.0, 0.0, 1.0)
    return outlook


def test_what_takes_as_long_as_expected_counts_down_by_the_second():
    weights = [0.1, 0.4, 1.5, 8.0]
    left = over_the_first_task(begun(Expected(probe=10.0), Expected(probe=30.0)), weights, weights)
    steps = np.diff(left)
    assert left[0] == pytest.approx(40) and left[-1] == pytest.approx(30)
    assert steps.max() < 1e-9 and steps.min() == pytest.approx(-0.05)


def test_a_first_task_that_takes_long_by_its_size_moves_the_time_left_little():
    # A first task of a hundredth takes ten times as long as expected: 1 s in place of 0.1 s. At the
    # rate of this task alone the run would take 400 s.
    weights, seconds = [0.1, 0.9, 9.0], [1.0, 0.9, 9.0]
    left = over_the_first_task(begun(Expected(probe=10.0), Expected(probe=30.0)), weights, seconds)
    # A hundredth of the way to what was measured: (99 + 10) / 100 of what was expected of all that
    # is left, 9.9 and 30.
    after_first = left[21]
    assert after_first == pytest.approx(39.9 * (99 + 10) / 100)
    assert max(left) == pytest.approx(after_first) and left[-1] == pytest.approx(30 * 10.9 / 10)
    steps = np.abs(np.diff(left))
    assert steps[:-1].max() < 0.01 * 40 and steps[-1] < 0.1 * 40


def test_a_slower_machine_is_believed_by_what_is_done():
    weights = [0.5] * 20
    left = over_the_first_task(begun(Expected(probe=10.0)), weights, [1.0] * 20)
    for done in (3, 10, 19):  # of 20 tasks: so much of the way from 1 to 2 seconds a unit
        assert left[done * 21] == pytest.approx((20 - done) / 2 * (1 + done / 20))
    assert np.abs(np.diff(left)).max() < 0.1


def test_embedding_is_believed_from_a_quarter_on():
    outlook = begun(Expected(embed=10.0), rates=(("load", 0.0), ("embed", 1.0)))
    for tenths, rate in ((1, 1.4), (2, 1.8), (3, 2.0), (9, 2.0)):
        left = outlook.left_of_stage("embed", 2.0 * tenths, tenths / 10)
        assert left == pytest.approx((10 - tenths) * rate)


def test_a_task_in_hand_that_overruns_is_no_more_than_done():
    outlook = begun(Expected(probe=10.0))
    # Half of the stage is in hand and should take 5 s. The other half stays to come: half of 10 s,
    # and after 9 s half of 14, midway between the 10 that were expected and the 18 of that rate.
    for seconds, left in ((2.0, 8.0), (5.0, 5.0), (9.0, 7.0)):
        assert outlook.remaining("probe", seconds, 0.0, 0.0, 0.5, seconds) == pytest.approx(left)
        assert outlook.left_of_stage("probe", seconds, 0.0, 0.5, seconds) == pytest.approx(left)


def test_rates_of_earlier_runs_are_those_of_their_models_together():
    probes = parse_config(default_config()).probes
    expected = [Expected(embed=100.0), Expected(embed=300.0), Expected(embed=500.0), Expected()]
    rates = rates_before(probes, expected, [10.0, 20.0, None, 7.0])
    assert rates == {"load": 0.0, "probe": 1.0, "embed": pytest.approx((10 + 15) / 400)}
    outlook = begun(Expected(embed=400.0, probe=2.0), rates=rates.items())
    assert outlook.remaining("embed", 0.0, 0.0, 0.0) == pytest.approx(25 + 2)
    # A tenth took 5 s, which would be 50 in all: two fifths of the way from 25.
    assert outlook.remaining("embed", 5.0, 0.0, 0.1) == pytest.approx(0.9 * 35 + 2)
