"""What a process other than the first answers, and what the first makes of it."""

import dataclasses
import json
from typing import Any, cast

import ml_collections
import pandas as pd
import pytest
from rich.console import Console

from geneb_jax.config import parse_config
from geneb_jax.devices.meeting import First
from geneb_jax.devices.processes import Process
from geneb_jax.embedding.models import find_sources
from geneb_jax.failures import Failure, Failures
from geneb_jax.scoring.assisting import assist
from geneb_jax.scoring.evaluation import Evaluator, Workload, evaluate, representations_digest
from geneb_jax.scoring.probing import Asked, from_json, probe
from geneb_jax.scoring.progress import RunProgress
from geneb_jax.tasks.synthetic import synthetic_tasks

SETTINGS = parse_config(
    ml_collections.ConfigDict({"models": "kmer-2", "regimes": "full", "seeds": "13", "C": "0.1,1"})
)
ASKED = Asked(SETTINGS.probes, predictions=True, decision_values=True)
TASKS = synthetic_tasks()[:2]


class StubPeer:
    """Gives a process some work, and keeps what it answers."""

    def __init__(self, *work):
        self.work, self.told = list(work), []

    def ask(self, model):
        assert model == "kmer-2"
        return self.work.pop(0) if self.work else {"do": "nothing"}

    def tell(self, kind, **content):
        self.told.append((kind, json.loads(json.dumps(content))))


@pytest.fixture
def source():
    (found,), problems = find_sources(SETTINGS)
    assert not problems
    return found


def job(source, workdir, task=TASKS[0], **others):
    (representation,) = source.open(workdir).representations
    told = {
        "do": "probe",
        "task": task.info.id,
        "representation": representation.name,
        "identity": representations_digest([representation]),
    }
    return told | others


def answers(workloads, workdir, *work):
    peer, failures = StubPeer(*work), Failures()
    assist(ASKED, workloads, workdir, failures, cast(Any, peer))
    return peer.told, failures.found


def test_what_is_sent_is_what_one_process_writes(source, tmp_path):
    ((kind, content),), failed = answers([Workload(source, TASKS)], tmp_path, job(source, tmp_path))
    assert (kind, content["failed"], failed) == ("result", "", [])
    model = source.open(tmp_path)
    (representation,) = model.representations
    features = model.prepare(TASKS, lambda _: None).features
    here = probe(ASKED, "kmer-2", TASKS[0], representation, features(TASKS[0], representation))
    sent = from_json(content)
    pd.testing.assert_frame_equal(sent.rows, here.rows)
    assert sent.rows.to_numpy(object).tolist() == here.rows.to_numpy(object).tolist()
    assert sent.predictions == here.predictions != b""


def test_a_task_that_fails_is_told_with_its_reason(source, tmp_path):
    empty = dataclasses.replace(
        TASKS[0], train=dataclasses.replace(TASKS[0].train, labels=TASKS[0].train.labels * 0)
    )
    workloads = [Workload(source, [empty, TASKS[1]])]
    works = [job(source, tmp_path), job(source, tmp_path, TASKS[1])]
    ((_, bad), (_, good)), failed = answers(workloads, tmp_path, *works)
    (failure,) = failed
    assert bad["failed"] == failure.reason != "" and "rows" not in bad
    assert good["failed"] == "" and good["rows"]


def test_other_weights_are_not_taken(source, tmp_path):
    work = job(source, tmp_path, identity="another")
    ((kind, content),), _ = answers([Workload(source, TASKS)], tmp_path, work)
    assert kind == "unable" and "weights or settings are others here" in content["problem"]


def test_a_task_that_is_not_run_here_is_not_taken(source, tmp_path):
    work = job(source, tmp_path, TASKS[1])
    ((kind, content),), _ = answers([Workload(source, TASKS[:1])], tmp_path, work)
    assert kind == "unable"
    assert f"cannot be run on task '{TASKS[1].info.id}' here" in content["problem"]


def test_a_model_that_cannot_be_loaded_is_told(tmp_path):
    class Broken:
        name, shared = "broken", True

        def open(self, workdir):
            raise ValueError("its file is truncated")

    ((kind, content),), _ = answers([Workload(cast(Any, Broken()), TASKS)], tmp_path)
    assert (kind, content["model"]) == ("unable", "broken")
    assert content["problem"] == "model 'broken' failed (load): its file is truncated"


def test_models_that_cannot_be_checked_here_are_told_with_the_reason(source, tmp_path):
    peer, failures = StubPeer(job(source, tmp_path, TASKS[1])), Failures()
    failures.add(Failure("broken", "", "check", "its file is truncated"))
    failures.add(Failure("kmer-2", TASKS[1].info.id, "check", "a record is too long"))
    assist(ASKED, [Workload(source, TASKS[:1])], tmp_path, failures, cast(Any, peer))
    refused = f"it cannot be run on task '{TASKS[1].info.id}' here: a record is too long"
    assert peer.told == [
        ("unable", {"model": "broken", "problem": "model 'broken' failed (check): its file is "
                    "truncated"}),
        ("unable", {"model": "kmer-2", "problem": f"model 'kmer-2': {refused}"}),
    ]  # fmt: skip


class StubFirst(First):
    """Another process does the first job, this one the rest."""

    def __init__(self, answer):
        super().__init__(Process(), 1)
        self.answer = answer

    def deal(self, jobs, take):
        take(0, self.answer | {"process": "process 1 of 2 (number 7 on host b)"})
        yield from range(1, len(jobs))


def evaluated(source, workdir, first, fail_fast=False):
    progress = RunProgress(Console(), Failures(fail_fast), workdir)
    how = Evaluator(ASKED, workdir, progress, progress.failures, first)
    return evaluate(how, [Workload(source, TASKS)], TASKS), progress.failures.found


def test_the_first_writes_what_others_give(source, tmp_path):
    ((_, content),), _ = answers([Workload(source, TASKS)], tmp_path, job(source, tmp_path))
    _, failed = evaluated(source, tmp_path / "two", StubFirst(content))
    here, _ = evaluated(source, tmp_path / "one", First(Process(), 1))
    assert not failed and len(here.scores) == 2 * len(TASKS)
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")}
        for n in ("one", "two")
    ]
    assert files[0] == files[1] and len(files[0]) == 5  # cells, predictions and scores.csv


def test_what_others_give_and_cannot_be_read_fails(source, tmp_path):
    ((_, content),), _ = answers([Workload(source, TASKS)], tmp_path, job(source, tmp_path))
    at = content["columns"].index("MCC")
    rows = [[*row[:at], -1.5, *row[at + 1 :]] for row in content["rows"]]
    evaluation, failed = evaluated(source, tmp_path / "two", StubFirst(content | {"rows": rows}))
    assert [(failure.model, failure.task) for failure in failed] == [("kmer-2", TASKS[0].info.id)]
    assert "MCC -1.5 is not in -1 .. 1" in failed[0].reason
    assert set(evaluation.scores["task"]) == {TASKS[1].info.id}


def test_failures_of_others_are_the_firsts(source, tmp_path):
    answer = {"failed": "the host's memory ran out"}
    evaluation, failed = evaluated(source, tmp_path, StubFirst(answer))
    (failure,) = failed
    assert (failure.model, failure.task, failure.stage) == ("kmer-2", TASKS[0].info.id, "probe")
    assert failure.reason == "the host's memory ran out (in process 1 of 2 (number 7 on host b))"
    assert set(evaluation.scores["task"]) == {TASKS[1].info.id}
    with pytest.raises(ValueError, match="memory ran out"):
        evaluated(source, tmp_path / "fast", StubFirst(answer), fail_fast=True)
