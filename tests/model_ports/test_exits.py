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


@pytest.mark.parametrize(
    "words",
    [
        "print('x' * 10**6)",
        "print('x')",
        "import rich.console; rich.console.Console().print('word ' * 10**4)",
        "Parser(prog='p').parse_args(['--help'])",
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_ends_a_command_without_a_word(words, unbuffered):
    code = f"""
import sys
from model_ports.exits import Parser, ended
def work():
    {words}
    return 0
sys.exit(ended(work))
"""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode in ({0, INTERRUPTED} if "Parser" in words else {INTERRUPTED})
