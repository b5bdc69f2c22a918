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
