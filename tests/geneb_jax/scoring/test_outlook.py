import dataclasses
from typing import Any, cast

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
    # A quarter takes 2 s: this machine is half as fast as the one that was measured.
    assert outlook.remaining("probe", 2.0, 0.0, 0.25) == pytest.approx(6 + 0.5 + 12 + 20)
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
