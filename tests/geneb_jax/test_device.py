from dataclasses import replace

import jax
import pytest

from geneb_jax import device
from geneb_jax.embedding import embed_array, open_engine
from model_ports.loading.ports import random_port

PORT = random_port("nucleotide-transformer-v2-50m-multi-species", tiny=True)


@pytest.fixture
def small(monkeypatch):
    """Few and small candidates."""
    monkeypatch.setattr(device, "_CANDIDATES", {"cpu": (32, 64)})
    monkeypatch.setattr(device, "_REPEATS", 1)


def test_few_records_take_a_batch_that_they_fill_and_keep_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "WORTH_TUNING", 10**7)
    engine = open_engine(PORT)
    found = [device.batch_tokens(engine, records, tmp_path) for records in (10, 1500, 4999)]
    assert found == [512, 1024, 2048]
    assert device.batch_tokens(engine, 10**6, tmp_path) == device.default_batch_tokens() == 2048
    assert not list(tmp_path.iterdir())


def test_many_records_are_worth_a_comparison_that_is_kept(tmp_path, small, monkeypatch):
    engine = open_engine(PORT)
    rates = {32: 1.0, 64: 0.5}  # seconds a batch: the larger does four times as much a second
    turns = iter(rates.values())
    monkeypatch.setattr(device, "best_seconds", lambda work: next(turns))
    assert device.batch_tokens(engine, 5000, tmp_path) == 64
    assert engine.speed.records == engine.speed.programs == 0
    assert device.batch_tokens(open_engine(PORT), 10, tmp_path) == 64  # no more turns: it was read
    (kept,) = (tmp_path / "devices").iterdir()
    assert "random" in kept.read_text()


def test_the_smallest_batch_close_to_the_best_is_taken(tmp_path, small, monkeypatch):
    turns = iter([1.0, 1.97])
    monkeypatch.setattr(device, "best_seconds", lambda work: next(turns))
    assert device.batch_tokens(open_engine(PORT), 5000, tmp_path) == 32


@pytest.mark.parametrize(
    "words",
    [
        "RESOURCE_EXHAUSTED: allocating 4.3G",  # of GPUs and TPUs
        "INTERNAL: Error dispatching computation: Out of memory allocating 45959777796 bytes.",
    ],
)
def test_memory_that_runs_out_ends_the_comparison(tmp_path, small, monkeypatch, words):
    def seconds(work):
        if seen:
            raise jax.errors.JaxRuntimeError(words)
        seen.append(work)
        return 1.0

    seen = []
    monkeypatch.setattr(device, "best_seconds", seconds)
    assert device.batch_tokens(open_engine(PORT), 5000, tmp_path) == 32
    with pytest.raises(jax.errors.JaxRuntimeError):  # the smallest does not fit
        device.batch_tokens(open_engine(PORT), 5000, tmp_path / "other")


def test_models_whose_shapes_are_given_are_not_tuned(tmp_path):
    port = replace(PORT, preset=replace(PORT.preset, batching="exact"))
    assert device.batch_tokens(open_engine(port), 5000, tmp_path) == device.default_batch_tokens()


def test_the_matrix_rate_is_measured_once_a_workdir(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(device, "best_seconds", lambda work: calls.append(work) or 0.5)
    assert device.matmul_rate("float32", tmp_path) == 2 * 2048**3 / 0.5
    assert device.matmul_rate("float32", tmp_path) == 2 * 2048**3 / 0.5
    assert len(calls) == 1
    device.matmul_rate("bfloat16", tmp_path)
    device.matmul_rate("float32")  # no workdir: nothing is kept
    assert len(calls) == 3


def test_figures_of_a_model(tmp_path, monkeypatch):
    engine = open_engine(PORT)
    embed_array(engine, ["ACGTAC", "ACGTACGTTTAA"], 32)
    figures = device.speed_figures(engine, tmp_path)
    assert figures["records"] == 2
    assert figures["program_bytes"] > 0
    assert "share_of_matmul_rate" not in figures  # too short to say
    monkeypatch.setattr(device, "matmul_rate", lambda dtype, workdir: 1e9)
    engine.speed.seconds, engine.speed.compile_seconds, engine.speed.flop = 5.0, 1.0, 1e9
    figures = device.speed_figures(engine, tmp_path)
    assert figures["flop_per_second"] == 0.25e9
    assert figures["matmul_flop_per_second"] == 1e9
    assert figures["share_of_matmul_rate"] == 0.25


def test_peak_memory_is_the_devices_or_not_known(monkeypatch):
    class Device:
        def __init__(self, stats):
            self.stats = stats

        def memory_stats(self):
            return self.stats

    for stats, expected in ((None, None), ({}, None), ({"peak_bytes_in_use": 7}, 7)):
        monkeypatch.setattr(device.jax, "local_devices", lambda: [Device(stats)])  # noqa: B023
        assert device.peak_bytes() == expected


def test_programs_are_dropped_before_they_hold_too_many_memory_maps(tmp_path, monkeypatch):
    doubled = jax.jit(lambda x: 2 * x)
    doubled(1.0)
    maps, most = tmp_path / "maps", tmp_path / "most"
    maps.write_text("map\n" * 51)
    monkeypatch.setattr(device, "_MAPS", maps)
    monkeypatch.setattr(device, "_MOST_MAPS", most)
    for limit, programs in (("102\n", 1), ("101\n", 0)):
        most.write_text(limit)
        device.make_room_for_programs()
        assert doubled._cache_size() == programs
    most.unlink()  # another system
    device.make_room_for_programs()
