from dataclasses import replace

import jax
import pytest

from geneb_jax.devices import capacity
from geneb_jax.embedding import tuning
from geneb_jax.embedding.batches import Batch
from geneb_jax.embedding.engine import DeviceMemoryError, embed_array, open_engine
from model_ports import catalog
from model_ports.loading.ports import random_port

PORT = random_port(catalog.get("nucleotide-transformer-v2-50m-multi-species"), tiny=True)


@pytest.fixture
def small(monkeypatch):
    """Few and small candidates."""
    monkeypatch.setattr(tuning, "_CANDIDATES", {"cpu": (32, 64)})
    monkeypatch.setattr(capacity, "_REPEATS", 1)


def test_few_records_take_a_batch_that_they_fill_and_keep_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "WORTH_TUNING", 10**7)
    engine = open_engine(PORT)
    found = [tuning.batch_tokens(engine, records, tmp_path) for records in (10, 1500, 4999)]
    assert found == [512, 1024, 2048]
    assert tuning.batch_tokens(engine, 10**6, tmp_path) == tuning.default_batch_tokens() == 2048
    assert not list(tmp_path.iterdir())


def test_many_records_are_worth_a_comparison_that_is_kept(tmp_path, small, monkeypatch):
    engine = open_engine(PORT)
    rates = {32: 1.0, 64: 0.5}  # seconds a batch: the larger does four times as much a second
    turns = iter(rates.values())
    monkeypatch.setattr(tuning, "best_seconds", lambda work: next(turns))
    assert tuning.batch_tokens(engine, 5000, tmp_path) == 64
    assert engine.speed.records == engine.speed.programs == 0
    assert tuning.batch_tokens(open_engine(PORT), 10, tmp_path) == 64  # no more turns: it was read
    (kept,) = (tmp_path / "devices").iterdir()
    assert "random" in kept.read_text()


def test_the_smallest_batch_close_to_the_best_is_taken(tmp_path, small, monkeypatch):
    turns = iter([1.0, 1.97])
    monkeypatch.setattr(tuning, "best_seconds", lambda work: next(turns))
    assert tuning.batch_tokens(open_engine(PORT), 5000, tmp_path) == 32


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
    monkeypatch.setattr(tuning, "best_seconds", seconds)
    assert tuning.batch_tokens(open_engine(PORT), 5000, tmp_path) == 32
    # The smallest does not fit either: embedding begins with it, and halves it.
    assert tuning.batch_tokens(open_engine(PORT), 5000, tmp_path / "other") == 32


def test_the_first_batch_fits_the_device_beside_the_model(monkeypatch):
    engine = open_engine(PORT)
    length = tuning.typical_length(PORT)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(PORT.state))

    def needed(tokens):
        return engine.needed_bytes(Batch((), length, tokens // length))

    # Weights and, of each token, at least what a block's feed-forward holds at once.
    widest = 2 * PORT.config.intermediate_size * 4
    assert weights + 2048 * widest < needed(2048) < weights + 10 * 2048 * widest
    for fits in (2048, 512, 256):
        monkeypatch.setattr(tuning, "memory_bytes", lambda: needed(fits) / tuning._USED + 1)  # noqa: B023
        assert tuning.untuned_batch_tokens(engine, 10**6) == fits
    monkeypatch.setattr(tuning, "memory_bytes", lambda: 1)  # not even a record: nothing is smaller
    assert length <= tuning.untuned_batch_tokens(engine, 10**6) < 2 * length


def too_large(engine, size, length):
    return DeviceMemoryError(engine.port.entry.id, Batch(tuple(range(size)), length, size))


def test_batches_are_halved_down_to_a_record_and_that_is_remembered(tmp_path, monkeypatch, caplog):
    engine = open_engine(PORT)
    assert tuning.smaller_batches(engine, 2048, too_large(engine, 8, 256), tmp_path) == 1024
    assert tuning.smaller_batches(engine, 1024, too_large(engine, 4, 256), tmp_path) == 512
    assert caplog.messages == [
        f"model '{PORT.entry.id}': the device's memory does not hold a batch of {size} x 256 "
        f"tokens; from now on at most {tokens} tokens a device"
        for size, tokens in ((8, 1024), (4, 512))
    ]
    other = open_engine(PORT)  # of a later run
    monkeypatch.setattr(tuning, "_fastest", lambda *_: pytest.fail("compared sizes"))
    for records, wanted in ((5000, 0), (4000, 0), (5000, 4096), (10, 513)):
        assert tuning.batch_tokens(other, records, tmp_path, wanted) == 512
    assert tuning.batch_tokens(other, 10, tmp_path, 100) == 100
    with pytest.raises(DeviceMemoryError, match="does not hold a batch of 1 x 256 tokens"):
        tuning.smaller_batches(engine, 512, too_large(engine, 1, 256), tmp_path)


def test_models_whose_shapes_are_given_are_not_tuned(tmp_path):
    port = replace(PORT, preset=replace(PORT.preset, batching="exact"))
    assert tuning.batch_tokens(open_engine(port), 5000, tmp_path) == tuning.default_batch_tokens()


def test_figures_of_a_model(tmp_path, monkeypatch):
    engine = open_engine(PORT)
    embed_array(engine, ["ACGTAC", "ACGTACGTTTAA"], 32)
    figures = tuning.speed_figures(engine, tmp_path)
    assert figures["records"] == 2
    assert figures["program_bytes"] > 0
    assert "share_of_matmul_rate" not in figures  # too short to say
    monkeypatch.setattr(tuning, "matmul_rate", lambda dtype, workdir: 1e9)
    engine.speed.seconds, engine.speed.compile_seconds, engine.speed.flop = 5.0, 1.0, 1e9
    figures = tuning.speed_figures(engine, tmp_path)
    assert figures["flop_per_second"] == 0.25e9
    assert figures["matmul_flop_per_second"] == 1e9
    assert figures["share_of_matmul_rate"] == 0.25
