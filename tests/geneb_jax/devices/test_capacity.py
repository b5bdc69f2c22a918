import subprocess
import sys

import pytest

from geneb_jax.devices import capacity


def test_the_matrix_rate_is_measured_once_a_workdir(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(capacity, "best_seconds", lambda work: calls.append(work) or 0.5)
    assert capacity.matmul_rate("float32", tmp_path) == 2 * 2048**3 / 0.5
    assert capacity.matmul_rate("float32", tmp_path) == 2 * 2048**3 / 0.5
    assert len(calls) == 1
    capacity.matmul_rate("bfloat16", tmp_path)
    capacity.matmul_rate("float32")  # no workdir: nothing is kept
    assert len(calls) == 3


def test_peak_memory_is_the_devices_or_not_known(monkeypatch):
    class Device:
        def __init__(self, stats):
            self.stats = stats

        def memory_stats(self):
            return self.stats

    for stats, expected in ((None, None), ({}, None), ({"peak_bytes_in_use": 7}, 7)):
        monkeypatch.setattr(capacity.jax, "local_devices", lambda: [Device(stats)])  # noqa: B023
        assert capacity.peak_bytes() == expected


def test_the_hosts_peak_counts_what_was_touched_and_stays():
    # In a process of its own, whose memory nothing else frees meanwhile.
    script = (
        "import numpy as np\n"
        "from geneb_jax.devices.capacity import host_peak_bytes, peaks\n"
        "held = np.ones(2**29, np.uint8)\n"
        "peak = host_peak_bytes()\n"
        "more = np.ones(2**28, np.uint8)\n"
        "higher = host_peak_bytes()\n"
        "del held, more\n"
        "print(peak, higher, host_peak_bytes(), peaks()['host'])\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    first, second, third, last = map(int, found.stdout.split())
    assert first > 2**29
    assert second - first == pytest.approx(2**28, rel=0.1)
    assert second <= third == last <= second + 2**24  # the kernel counts pages in batches


FACTS = {
    "matmul_rate": {"float32": 2.5e9},
    "fitting_tokens": {"M": 1024},
    "embedding_rate": {"M float32": 1.5e9},
}


def facts_file(workdir):
    (path,) = (workdir / "devices").iterdir()
    return path


def test_facts_are_kept(tmp_path):
    capacity.keep_facts(tmp_path, FACTS)
    assert capacity.read_facts(tmp_path) == FACTS


def test_facts_of_older_code_are_read(tmp_path):
    old = {name: FACTS[name] for name in ("matmul_rate",)}
    capacity.keep_facts(tmp_path, old)
    assert capacity.read_facts(tmp_path) == old | {"fitting_tokens": {}, "embedding_rate": {}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("[]", "holds a list"),
        ('{"fitting_tokens": {"M": -1}}', "not what was measured"),
        ('{"matmul_rate": {}, "fitting_tokens": {"M": "2048"}}', "not what was measured"),
        ('{"matmul_rate": {}, "fitting_tokens": {"M": 0.5}}', "not what was measured"),
        ('{"matmul_rate": {"float32": NaN}, "fitting_tokens": {}}', "not what was measured"),
        ('{"matmul_rate": {"float32": 0}, "fitting_tokens": {}}', "not what was measured"),
        ('{"matmul_rate": {"float32": true}, "fitting_tokens": {}}', "not what was measured"),
    ],
)
def test_damaged_facts_are_named_and_measured_anew(tmp_path, caplog, content, words):
    capacity.keep_facts(tmp_path, FACTS)
    path = facts_file(tmp_path)
    path.write_text(content)
    assert capacity.read_facts(tmp_path) == {name: {} for name in FACTS}
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: ")
    assert words in record.getMessage() and "it is measured anew" in record.getMessage()
