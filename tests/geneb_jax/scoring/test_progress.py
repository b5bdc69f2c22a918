import errno
import json
import os
import socket
import time

import pytest
from rich.console import Console

from geneb_jax.devices import programs
from geneb_jax.failures import Failure, Failures
from geneb_jax.files.atomic import WriteError
from geneb_jax.scoring import progress as module
from geneb_jax.scoring.outlook import SHOWING, Expected
from geneb_jax.scoring.progress import STATUS, RunProgress, duration


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told otherwise, for the progress alone."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

        strftime = staticmethod(time.strftime)

    monkeypatch.setattr(module, "time", Clock())
    monkeypatch.setattr(programs, "time", module.time)
    monkeypatch.setattr(programs, "_waits", [(0.0, None)])
    return module.time


@pytest.fixture
def progress(tmp_path):
    return RunProgress(Console(quiet=True, width=200), Failures(), tmp_path)


def status(folder):
    return json.loads((folder / STATUS).read_text())


def test_the_status_says_where_a_run_is(tmp_path, clock, progress):
    with progress.shown():
        assert not (tmp_path / STATUS).exists()
        progress.begin([Expected(1.0, 5.0, 7.0)] * 40)
        progress.next_model("some")
        progress.next_model("other")
        clock.now += 10
        progress.stage("embed", 1000, "records")
        progress.advance(100)
        progress.advance(150)
        clock.now += 30
        progress.failures.add(Failure("some", "", "load", "x"))
    found = status(tmp_path)
    assert isinstance(found.pop("time"), str)
    assert found == {
        "state": "done", "model": "other", "number": 2, "models": 40, "stage": "embed",
        "unit": "records", "done": 250, "total": 1000, "compiling": "", "elapsed": 40.0,
        "remaining": 0.0, "stage_remaining": 90.0, "taken": {},
        "failures": 1, "failed": [{"model": "some", "task": "", "stage": "load", "reason": "x"}],
        "process": os.getpid(), "host": socket.gethostname(),
    }  # fmt: skip


def test_units_of_different_weight_are_projected_by_it(tmp_path, clock, progress):
    with progress.shown():
        progress.begin([Expected()])
        progress.stage("probe", 3, "tasks", 1000)
        assert progress._remaining_of(progress._stage) is None
        progress.advance(1, 800)
        clock.now += 8
    assert (status(tmp_path)["done"], status(tmp_path)["stage_remaining"]) == (1, 2.0)


def test_a_stage_that_begins_during_a_look_is_of_the_next_look(tmp_path, clock, progress):
    progress.begin([Expected()])
    progress.stage("embed", 10, "records")
    progress.advance(5)
    clock.now += 7

    def monotonic():
        clock.monotonic = lambda: clock.now
        progress.stage("probe", 3, "tasks")
        return clock.now

    clock.monotonic = monotonic
    progress._write("running")
    found = status(tmp_path)
    seen = [found[name] for name in ("stage", "done", "total", "unit", "stage_remaining")]
    assert seen == ["embed", 5, 10, "records", 7.0]
    assert progress._stage.name == "probe"


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")]
)
def test_the_status_says_how_a_run_ended(tmp_path, progress, error, state):
    with pytest.raises(error), progress.shown():
        progress.begin([Expected()])
        raise error
    assert status(tmp_path)["state"] == state


def test_a_run_says_that_it_is_alive(tmp_path, monkeypatch, progress):
    monkeypatch.setattr(module, "_TICK", 0.01)
    alive = []
    monkeypatch.setattr(module, "sign_of_life", alive.append)
    with progress.shown():
        progress.begin([Expected()])
        alive.clear()  # of looks before it began
        deadline = time.monotonic() + 5
        while len(alive) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert status(tmp_path)["state"] == "running"
    assert set(alive) == {tmp_path}


def test_a_line_a_minute_stands_where_there_is_no_terminal(clock, progress, monkeypatch):
    said = []
    monkeypatch.setattr(module.logging, "info", lambda form, *words: said.append(form % words))
    progress.begin([Expected(1.0, 5.0, 7.0)] * 40)
    progress.next_model("some")
    progress.stage("embed", 30000, "records")
    progress.advance(1200)
    clock.now += 59
    progress._say()
    assert not said
    clock.now += 1
    progress._say()
    progress._say()
    assert said == [
        "model 1 of 40, some; embed 1,200 of 30,000 records, about 0:24:00; 0:01:00 so far, left: "
        "not known"
    ]
    monkeypatch.setattr(module, "compiling", lambda: "8 x 512 tokens for 75 s")
    clock.now += 60
    progress._say()
    assert said[-1].endswith(
        "; embed 1,200 of 30,000 records, compiling 8 x 512 tokens for 75 s; 0:02:00 so far, left: "
        "not known"
    )


def test_the_time_of_the_run_is_said_from_the_first_task_on(tmp_path, clock, progress):
    progress.begin([Expected(1.0, 100.0, 40.0), Expected(1.0, 300.0, 40.0)])
    for stage, weight, seconds in (("embed", 10, 30), ("probe", 40, 0)):
        if stage == "embed":
            progress.next_model("some")
            clock.now += 5  # of loading
        progress.stage(stage, 10, "", weight)
        if stage == "embed":
            progress.advance(10, 10)
        clock.now += seconds
    progress._write("running")
    assert status(tmp_path)["remaining"] is None
    progress.advance(1, 10)
    clock.now += 4
    progress._write("running")
    # The rest of probing 12 s; the other model: 5 s of loading, 90 of embedding, 16 of probing.
    assert status(tmp_path)["remaining"] == 12 + 5 + 90 + 16
    assert progress._time(progress._stage) == "0:00:39 so far, left: about 0:02:03"


def test_compiling_is_no_part_of_the_rate(tmp_path, clock, progress):
    progress.begin([Expected(1.0, 10.0, 0.0), Expected(1.0, 20.0, 0.0)])
    progress.next_model("some")
    clock.now += 2  # of loading
    progress.stage("embed", 100, "records")
    with programs.waiting():
        clock.now += 60
        progress._write("running")
        assert status(tmp_path)["stage_remaining"] is None
    progress.advance(10)
    clock.now += 5
    with programs.waiting():
        clock.now += 30
        for _ in range(2):  # 10 of 100 records took 5 s; compiling does not change what is left
            progress._write("running")
            assert status(tmp_path)["stage_remaining"] == 45.0
            # The next model: 2 s of loading, 120 s of compiling so far, 200 records' time.
            so_far = clock.now - 102 - 5
            assert status(tmp_path)["remaining"] == 45 + 2 + so_far + 100
            clock.now += 30
    assert programs.waited() == 60 + 90
    progress.next_model("other")  # what was waited before is not counted again
    progress.stage("embed", 100, "records")
    progress.advance(50)
    clock.now += 7
    progress._write("running")
    assert status(tmp_path)["stage_remaining"] == 7.0


def test_a_terminal_shows_the_run_and_the_stage(tmp_path, clock):
    console = Console(force_terminal=True, width=120, file=(tmp_path / "screen").open("w+"))
    progress = RunProgress(console, Failures(), tmp_path)
    with progress.shown():
        progress.begin([Expected(1.0, 5.0, 7.0)] * 40)
        progress.next_model("some")
        progress.stage("probe", 100, "tasks")
        progress.advance(25)
        clock.now += 60
    console.file.seek(0)
    text = console.file.read()
    assert "model 1 of 40, some" in text and "0:01:00 so far" in text
    assert "probe" in text and "25 of 100 tasks, about 0:03:00" in text


def test_after_the_last_model_the_run_says_what_it_does(tmp_path, clock, progress, monkeypatch):
    said = []
    monkeypatch.setattr(module.logging, "info", lambda form, *words: said.append(form % words))
    progress.begin([Expected()] * 2)
    for name in ("some", "other"):
        progress.next_model(name)
        progress.stage("probe", 10, "tasks")
    assert progress._run_bar()["completed"] == 1
    progress.stage(SHOWING)
    bar = progress._run_bar()
    assert (bar["description"], bar["completed"], bar["total"]) == ("tables and report", 2, 2)
    assert not progress._stage_bar()["visible"]
    progress._write("running")
    found = status(tmp_path)
    assert [found[name] for name in ("model", "number", "stage")] == ["", 2, "tables and report"]
    clock.now += 60
    progress._say()
    assert said == ["tables and report; 0:01:00 so far, left: not known"]


def test_a_status_that_cannot_be_written_is_said_once(tmp_path, caplog, progress):
    (tmp_path / STATUS).mkdir()
    with progress.shown():
        progress.begin([Expected()])
        progress._write("running")
        progress._write("running")
    assert caplog.text.count("status.json is not up to date: cannot be written: Is a d") == 1


def test_the_end_is_written_over_the_status_where_the_disk_is_full(tmp_path, progress, monkeypatch):
    def full(path, *_, **__):
        raise WriteError(errno.ENOSPC, "cannot be written: No space left on device", str(path))

    with pytest.raises(WriteError), progress.shown():
        progress.begin([Expected()])
        progress._write("running")
        (tmp_path / STATUS).write_text((tmp_path / STATUS).read_text() + " " * 100)
        monkeypatch.setattr(module, "write_whole", full)
        module.write_whole(tmp_path / "tables" / "leaderboard.csv")
    assert status(tmp_path)["state"] == "failed"


def test_what_a_model_takes_is_summed_over_the_runs_in_a_workdir(tmp_path, clock, progress):
    def embed_and_probe(progress, identity="of its weights"):
        progress.begin([Expected(1.0, 10.0, 5.0)])
        progress.next_model("some")
        progress.identify(identity)
        clock.now += 4  # of loading, which counts for nothing
        progress.stage("embed", 100, "records")
        clock.now += 30
        progress.stage("probe", 10, "tasks")
        clock.now += 5
        progress._write("running")

    embed_and_probe(progress)
    assert progress.taken() == {"some": {"embed": 30.0, "probe": 5.0}}
    clock.now += 1000  # it was killed, and goes on much later
    again = RunProgress(progress.console, Failures(), tmp_path)
    embed_and_probe(again)
    again.stage("tables and report")
    clock.now += 50
    again._write("running")
    both = {"embed": 60.0, "probe": 10.0}
    assert again.taken() == {"some": both}
    assert status(tmp_path)["taken"] == {"some": {"identity": "of its weights", "seconds": both}}
    other = RunProgress(progress.console, Failures(), tmp_path)
    embed_and_probe(other, "of others")
    assert other.taken() == {"some": {"embed": 30.0, "probe": 5.0}}


@pytest.mark.parametrize(
    "content", ["{", '{"taken": 3}', '{"taken": {"some": {"seconds": {}}}}',
                '{"taken": {"some": {"identity": "x", "seconds": {"probe": "?"}}}}'],
)  # fmt: skip
def test_a_damaged_status_is_said_and_nothing_was_taken(tmp_path, caplog, progress, content):
    (tmp_path / STATUS).write_text(content)
    progress.begin([Expected()])
    assert progress.taken() == {}
    assert "the time that earlier runs took is not known" in caplog.text


def test_durations():
    found = [duration(seconds) for seconds in (0, 59.6, 3599, 360_000)]
    assert found == ["0:00:00", "0:01:00", "0:59:59", "100:00:00"]
