"""A task is probed in several representations at a time, with what one at a time gives."""

import threading
from dataclasses import dataclass, replace
from typing import Any, cast

import ml_collections
import numpy as np
import pytest
from rich.console import Console

from geneb_jax.config import parse_config
from geneb_jax.devices.meeting import First
from geneb_jax.devices.processes import Process
from geneb_jax.embedding.source import Prepared, baseline
from geneb_jax.failures import Failures
from geneb_jax.scoring import evaluation, probing
from geneb_jax.scoring.evaluation import Evaluator, Workload, _Job, _together, evaluate
from geneb_jax.scoring.probing import Asked
from geneb_jax.scoring.progress import RunProgress
from geneb_jax.tasks.synthetic import synthetic_tasks
from probes import host


def first_rows(split):
    return replace(split, sequences=split.sequences[:60], labels=split.labels[:60])


TASKS = [
    replace(task, train=first_rows(task.train), test=first_rows(task.test))
    for task in synthetic_tasks()[:2]
]
WIDTH, TAPS = 6, 4
SETTINGS = {"models": "kmer-2", "regimes": "full,5shot", "seeds": "13,17", "C": "0.1,1"}


@dataclass
class Layers:
    """A model of several hidden states, whose features are noise around the labels."""

    name: str = "layers"
    shared: bool = False
    fails: str = ""
    card: Any = None
    widths: tuple[int, ...] = (WIDTH,) * TAPS

    def open(self, workdir):
        del workdir
        return self

    @property
    def representations(self):
        one = baseline({"model": self.name})
        return [
            replace(one, columns={**one.columns, "tap": str(t)}, of_preset=not t)
            for t in range(TAPS)
        ]

    def prepare(self, tasks, advance):
        del tasks, advance

        def features(task, representation):
            tap = representation.columns["tap"]
            if tap == self.fails:
                raise ValueError(f"tap {tap} is not there")
            rng = np.random.default_rng(int(tap))
            return tuple(
                (rng.normal(size=(len(labels), WIDTH)) + labels[:, None]).astype(np.float32)
                for labels in (task.train.labels, task.test.labels)
            )

        return Prepared(features, {})


def run(workdir, model=None, **settings):
    """Evaluates the model; returns the bytes of all files by name, and what failed."""
    probes = parse_config(ml_collections.ConfigDict(SETTINGS | settings)).probes
    failures = Failures()
    progress = RunProgress(Console(quiet=True), failures, workdir)
    asked = Asked(probes, predictions=True, decision_values=True)
    how = Evaluator(asked, workdir, progress, failures, First(Process(), 1))
    evaluate(how, [Workload(cast(Any, model or Layers()), TASKS)], TASKS)
    files = {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in workdir.rglob("*")
        if path.is_file()
    }
    return files, failures.found


@pytest.fixture
def threads(monkeypatch):
    """Fits of any size run in four threads; notes the threads that evaluate."""
    monkeypatch.setattr(host.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(host, "_SMALL", 0)
    real, seen = probing.evaluate_task, []

    def evaluate_task(*arguments, **options):
        seen.append(threading.current_thread())
        return real(*arguments, **options)

    monkeypatch.setattr(probing, "evaluate_task", evaluate_task)
    return seen


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "solver": "converged",
            "standardised": True,
            "selection": "folds",
            "seeds": "13",
            "C": "1",
        },
    ],
)
def test_representations_together_give_the_bytes_of_one_at_a_time(
    threads, tmp_path, monkeypatch, settings
):
    together, failed = run(tmp_path / "together", **settings)
    assert not failed and threading.current_thread() not in threads
    assert sum(name.startswith("cells") for name in together) == TAPS * len(TASKS)
    monkeypatch.setattr(evaluation, "_TOGETHER", 0)
    threads.clear()
    alone, _ = run(tmp_path / "alone", **settings)
    assert set(threads) == {threading.current_thread()}
    assert alone == together


def test_one_that_fails_leaves_the_others_alone(threads, tmp_path):
    whole, _ = run(tmp_path / "whole")
    files, failed = run(tmp_path / "some", Layers(fails="2"))
    assert [(f.task, f.stage, f.reason) for f in failed] == [
        (task.info.id, "probe", "tap 2 is not there") for task in TASKS
    ]
    assert {name for name in whole if name not in files} == {
        name for name in whole if "-2-" in name
    }
    again, failed = run(tmp_path / "some")  # those that failed alone
    assert (again, failed, len(threads)) == (whole, [], 2 * TAPS * len(TASKS))


def test_what_was_done_before_an_end_is_kept(threads, tmp_path, monkeypatch):
    whole, _ = run(tmp_path / "whole")
    real, calls = evaluation.keep, iter(range(3))

    def keep(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    kept = list((tmp_path / "killed" / "cells").rglob("*.json"))
    assert len(kept) == 3
    files, _ = run(tmp_path / "killed")
    assert files == whole


def test_programs_run_alone(threads, tmp_path):
    run(tmp_path, probes="ridge", regimes="5shot")
    assert set(threads) == {threading.current_thread()}


def test_jobs_of_a_task_that_follow_each_other_are_together():
    def together(dealt, most):
        found = _together(iter(dealt), jobs, lambda _: most)
        return [[jobs.index(job) for job in some] for some in found]

    jobs = [
        _Job(task, cast(Any, n), cast(Any, n), cast(Any, n)) for task in TASKS for n in range(3)
    ]
    assert together(range(6), 9) == [[0, 1, 2], [3, 4, 5]]
    assert together(range(6), 2) == [[0, 1], [2], [3, 4], [5]]
    assert together(range(6), 1) == [[n] for n in range(6)]
    assert together([0, 2, 3, 5], 9) == [[0, 2], [3, 5]]
    # Others have taken the last of a task, or of all.
    assert together([0, 1, 3, 4], 9) == [[0, 1], [3, 4]]
    assert together([4, 0], 9) == [[4], [0]] and together([], 9) == []
