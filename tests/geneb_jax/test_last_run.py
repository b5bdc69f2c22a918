import json
import os
import shlex
import socket
import subprocess
import sys

import pandas as pd
import pytest

from geneb_jax.commands.run import main
from geneb_jax.config import default_config
from geneb_jax.last_run import last_run
from geneb_jax.ownership import owned
from geneb_jax.run import Outcome

STATUS = {
    "state": "running", "model": "kmer-4", "number": 2, "models": 3, "stage": "probe",
    "unit": "tasks", "done": 5, "total": 13, "compiling": "", "elapsed": 61.2, "remaining": 30.0,
    "failures": 0, "time": "2026-01-02 03:04:05 +0000",
}  # fmt: skip
AT = "model 2 of 3, kmer-4, probe 5 of 13 tasks, 0:01:01 so far, left: about 0:00:30"


def begun(**changed):
    config = default_config().to_dict() | changed
    return f"2026-01-02 03:03:04 INFO begun: {json.dumps(config)}\n"


def write(workdir, log="", **status):
    workdir.mkdir(exist_ok=True)
    (workdir / "log.txt").write_text(log)
    if status:
        (workdir / "status.json").write_text(json.dumps(STATUS | status))


def dead_process():
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, check=True)  # fmt: skip
    return int(done.stdout)


def owner(workdir, process, host=None):
    content = {"host": host or socket.gethostname(), "process": process, "start": "today"}
    (workdir / "owner.json").write_text(json.dumps(content))


def test_a_folder_without_a_run_has_no_lines(tmp_path):
    assert last_run(tmp_path) == []


def test_a_run_that_is_going_on_is_named(tmp_path):
    with owned(tmp_path):
        write(tmp_path, begun(), state="running")
        (line,) = last_run(tmp_path)
        assert f"running now: the run of process {os.getpid()} on host" in line
        assert line.endswith(AT)
        (tmp_path / "status.json").unlink()
        assert last_run(tmp_path)[0].endswith("; reading tasks and models")


def test_a_run_that_ended_well_needs_no_command(tmp_path):
    write(tmp_path, f"{begun()}2026-01-02 03:04:05 INFO done, 0 failed\n", state="done")
    when = "2026-01-02 03:04:05 +0000, after 0:01:01"
    assert last_run(tmp_path) == [f"the last run ended {when}: all is done"]


def test_failures_are_counted_and_the_command_tries_them_again(tmp_path):
    log = f"{begun(C=[0.1, 1.0])}2026-01-02 03:04:05 INFO done, 2 failed\n"
    write(tmp_path, log, state="done", failures=2)
    line, command = last_run(tmp_path)
    assert line.endswith("after 0:01:01: 2 failed, all else is done")
    words = f"--config=full --workdir={tmp_path} --config.C=0.1,1.0"
    assert command == f"the same command goes on: geneb-jax run {words}"


@pytest.mark.parametrize(
    ("state", "why"),
    [("interrupted", "interrupted by SIGTERM"), ("failed", "a/b: No space left on device")],
)
def test_why_a_run_ended_early_is_what_its_log_says(tmp_path, state, why):
    before = f"{begun(models='old')}2026-01-01 00:00:00 ERROR ended: something else\n"
    goes_on = "; the same command goes on from here" * (state == "interrupted")
    log = f"{begun(tasks='a b')}2026-01-02 03:04:05 ERROR ended: {why}{goes_on}\n"
    write(tmp_path, before + log, state=state)
    line, command = last_run(tmp_path)
    assert line == f"the last run ended 2026-01-02 03:04:05 +0000: {why}; {AT}"
    assert command.endswith(f"--workdir={tmp_path} '--config.tasks=a b'")


def test_a_run_that_was_killed_is_told_from_one_that_lives_elsewhere(tmp_path):
    write(tmp_path, begun(), state="running")
    process = dead_process()
    owner(tmp_path, process)
    line, command = last_run(tmp_path)
    assert line.startswith(f"the last run was killed: the run of process {process} on host")
    assert line.endswith(f"last seen {STATUS['time']}: {AT}") and "geneb-jax run" in command
    owner(tmp_path, process, "elsewhere")
    assert last_run(tmp_path)[0].startswith("running now: the run of process")
    (tmp_path / "owner.json").write_text("{")  # damaged: a run that lives writes it whole
    assert last_run(tmp_path)[0].startswith("the last run was killed")
    owner(tmp_path, process, "elsewhere")
    os.utime(tmp_path / "owner.json", (0, 0))  # no sign of life since 1970
    assert last_run(tmp_path)[0].startswith("the last run was killed")


@pytest.mark.parametrize("log", ["", "begun: {", '2026-01-02 03:03:04 INFO begun: {"C": \n'])
@pytest.mark.parametrize("status", ["", "{", "[]", '{"state": "done"}', '{"elapsed": "x"}'])
def test_damaged_files_are_no_faults(tmp_path, log, status):
    (tmp_path / "log.txt").write_text(log)
    (tmp_path / "status.json").write_text(status)
    lines = last_run(tmp_path)
    assert all(isinstance(line, str) and "\n" not in line for line in lines)


def test_the_command_gives_the_config_of_the_run(tmp_path, monkeypatch):
    seen = []

    def run(config, workdir):
        seen.append(config.to_dict())
        return Outcome(pd.DataFrame(), [], pd.DataFrame())

    monkeypatch.setattr("geneb_jax.run.run", run)
    words = ["--config=quickstart", f"--workdir={tmp_path}", "--config.C=0.1,1"]
    assert main([*words, "--noconfig.report"]) == 0
    write(tmp_path, begun(**seen[0]), state="failed")
    command = shlex.split(last_run(tmp_path)[1].split(": ", 1)[1])
    assert command[:2] == ["geneb-jax", "run"] and main(command[2:]) == 0
    assert seen[0] == seen[1]


def test_what_had_failed_by_a_kill_is_counted(tmp_path):
    write(tmp_path, begun(), failures=2)
    owner(tmp_path, process=2**22 + 1)
    assert last_run(tmp_path)[0].endswith(f": {AT}, 2 failed")
