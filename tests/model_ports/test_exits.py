import errno
import os
import subprocess
import sys

import pytest

from model_ports.exits import DONE, FAILED, INTERRUPTED, SOME_FAILED, WRONG, Parser, ended


def test_the_statuses_are_those_of_the_documents():
    assert (DONE, FAILED, WRONG, SOME_FAILED, INTERRUPTED) == (0, 1, 2, 3, 4)
    assert ended(lambda: DONE) == DONE
    assert ended(lambda: FAILED) == FAILED


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("x.csv: wrong"), WRONG, "x.csv: wrong"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/b"), FAILED, "a/b: No space left on"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FAILED, "No space left on device"),
        (FloatingPointError("not finite"), FAILED, "not finite"),
        (MemoryError("Unable to allocate 4. GiB"), FAILED, "Unable to allocate 4. GiB"),
        (MemoryError(), FAILED, "the host's memory ran out"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted; the same command goes on"),
        (KeyboardInterrupt("interrupted by SIGTERM"), INTERRUPTED, "interrupted by SIGTERM"),
    ],
)
def test_an_error_is_a_line_and_a_status(capsys, error, status, said):
    def fail():
        raise error

    assert ended(fail) == status
    text = capsys.readouterr()
    assert text.err.startswith(said) and text.err.count("\n") == 1
    assert not text.out


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        ended(lambda: 1 // 0)


def test_a_wrong_command_line_is_answered_in_a_line(capsys):
    parser = Parser(prog="program")
    parser.add_argument("--number", type=int, required=True)
    for words, answer in (([], "--number"), (["--number=x"], "invalid int value: 'x'")):
        with pytest.raises(SystemExit) as end:
            parser.parse_args(words)
        assert end.value.code == WRONG
        line = capsys.readouterr().err
        assert line.startswith("program: ") and answer in line
        assert line.endswith("; `program --help` shows all\n") and line.count("\n") == 1


CODE = """
import logging, sys
from pathlib import Path
from model_ports.exits import Parser, ended
from model_ports.screen_log import show_log
def work():
    {words}
    Path(sys.argv[1]).write_text("all of it")
    return 3
sys.exit(ended(work))
"""
WORDS = [
    "print('x' * 10**6)",
    "print('x')",
    "import rich.console; rich.console.Console().print('word ' * 10**4)",
    "print('x', file=sys.stderr, flush=True); print('y', file=sys.stderr)",
    "show_log(logging.INFO); from absl import logging as log; log.info('x'); log.info('y')",
]


def left_alone(words, tmp_path, **how):
    """What a program does whose output goes to a pipe that nobody reads, or was closed."""
    return subprocess.run(
        [sys.executable, "-c", CODE.format(words=words), str(tmp_path / "result")],
        text=True, timeout=60, check=False, **how,
    )  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_whose_output_nobody_reads_goes_on_to_its_end(words, unbuffered, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    silent = "stderr" if "log" in words or "stderr" in words else "stdout"
    other = "stdout" if silent == "stderr" else "stderr"
    pipes = {silent: writing, other: subprocess.PIPE}
    done = left_alone(words, tmp_path, env=environ, **pipes)
    os.close(writing)
    assert not getattr(done, other)
    assert done.returncode == 3
    assert (tmp_path / "result").read_text() == "all of it"


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("closed", [1, 2])
def test_a_command_without_output_goes_on_to_its_end(words, closed, tmp_path):
    def close():
        os.close(closed)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = left_alone(words, tmp_path, preexec_fn=close, **pipes)
    assert "Traceback" not in done.stderr and "Error" not in done.stderr
    assert done.returncode == 3
    assert (tmp_path / "result").read_text() == "all of it"


def test_help_that_nobody_reads_is_no_failure(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    words = "Parser(prog='p').parse_args(['--help'])"
    done = left_alone(words, tmp_path, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_of_its_own_that_breaks_has_failed(capsys):
    def work():
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    assert ended(work) == FAILED
    assert capsys.readouterr().err == "Broken pipe\n"


def test_streams_are_those_of_before_behind_a_command(capsys):
    before = sys.stdout, sys.stderr
    assert ended(lambda: print("x") or DONE) == DONE
    assert (sys.stdout, sys.stderr) == before and capsys.readouterr().out == "x\n"
