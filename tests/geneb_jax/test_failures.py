import errno

import numpy as np
import pytest

from geneb_jax.failures import Failure, Failures, reason
from geneb_jax.files.atomic import WriteError


def test_an_error_is_a_failure_and_what_follows_goes_on(caplog):
    failures = Failures()
    with failures.contained("some", "load"):
        raise ValueError("model 'some': x.bin:\n  is damaged")
    with failures.contained("some", "probe", "mine"):
        raise np.linalg.LinAlgError
    with failures.contained("some", "embed"):
        pass
    assert failures.found == [
        Failure("some", "", "load", "x.bin: is damaged"),
        Failure("some", "mine", "probe", "LinAlgError (traceback in log.txt)"),
    ]
    said = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert said == [
        "model 'some' failed (load): x.bin: is damaged",
        "model 'some', task 'mine' failed (probe): LinAlgError (traceback in log.txt)",
    ]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        WriteError(errno.EACCES, "cannot be written: Permission denied", "x"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_is_of_the_whole_run_ends_it(error):
    failures = Failures()
    with pytest.raises(type(error)), failures.contained("some", "load"):
        raise error
    assert not failures.found


def test_the_first_failure_ends_a_run_where_asked():
    failures = Failures(fail_fast=True)
    with pytest.raises(ValueError, match="is damaged"), failures.contained("some", "load"):
        raise ValueError("x.bin is damaged")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
        (MemoryError(), "the host's memory ran out"),
        (MemoryError("Unable to allocate 4. GiB"), "Unable to allocate 4. GiB"),
        (FloatingPointError("a NaN"), "a NaN"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero (traceback in log.txt)"),
        (ValueError(), "ValueError (traceback in log.txt)"),
        (ValueError("x" * 501), "x" * 500 + "..."),
    ],
)
def test_a_reason_is_one_line(error, words):
    assert reason(error) == words
