import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.processes import ROOT, peak_bytes, timed

SUM = "sum(range(10**7))"
HELD = 400 * 2**20  # bytes


def test_time_and_memory_are_of_the_process_alone():
    """What this process holds, and held once, is not counted."""
    held = np.ones(HELD, np.uint8)
    assert peak_bytes() > HELD
    taken = timed("sum", ["-c", SUM])
    del held
    assert 0 < taken.cpu <= taken.wall + 0.5
    assert 0 < taken.gib < 0.1
    assert timed("sum", ["-c", SUM]).gib < 0.1


def test_a_process_counts_its_children_and_what_it_held_itself():
    code = f"x = bytearray({HELD}); import subprocess, sys; subprocess.check_call(sys.argv[1:])"
    small = timed("small", ["-c", "import time; time.sleep(0.2)"])
    taken = timed("large", ["-c", code, sys.executable, "-c", SUM])
    assert HELD / 2**30 < taken.gib < HELD / 2**30 + 0.1
    assert small.cpu < taken.cpu and small.wall > 0.2


def test_a_process_that_measures_itself_does_not_count_its_parent():
    held = np.ones(HELD, np.uint8)
    code = "from benchmarks.processes import peak_bytes; print(peak_bytes())"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)
    assert 0 < int(found) < 0.1 * 2**30 < held.size


def test_variables_reach_the_command(tmp_path):
    out = tmp_path / "seen.json"
    code = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"
    timed("variables", ["-c", code, str(out)], {"GENEB_SEEN": "yes"})
    seen = json.loads(out.read_text())
    assert seen["GENEB_SEEN"] == "yes" and "PATH" in seen


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys; print('no such thing'); sys.exit(3)", 3),
        ("import os; print('no such thing', flush=True); os.kill(os.getpid(), 9)", 137),
    ],
)
def test_a_process_that_fails_is_shown(code, status):
    with pytest.raises(RuntimeError, match=rf"(?s)broken: exit code {status}\n.*no such thing"):
        timed("broken", ["-c", code])
