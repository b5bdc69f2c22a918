import jax
import numpy as np
import pytest

from geneb_jax.embedding import tuning
from geneb_jax.embedding.batches import Batch, plan_batches, typical_length
from geneb_jax.embedding.engine import DeviceMemoryError, embed_array, open_engine
from model_ports import catalog
from model_ports.loading.ports import random_port

PORT = random_port(catalog.get("nucleotide-transformer-v2-50m-multi-species"), tiny=True)


def test_sizes_depend_on_the_device_and_the_model_alone(tmp_path):
    engine = open_engine(PORT)
    assert tuning.batch_sizes(engine, tmp_path) == tuning.batch_sizes(engine) == (2048, 512)
    assert tuning.batch_sizes(engine, tmp_path, 300) == (300,)
    assert not list(tmp_path.iterdir())


def test_few_records_take_small_batches_and_many_take_large_ones():
    engine = open_engine(PORT)
    sizes = tuning.batch_sizes(engine)
    lengths = np.random.default_rng(0).integers(20, 400, 4000).tolist()
    for records, size in ((10, 512), (4000, 2048)):
        first = plan_batches(PORT, lengths[:records], sizes)[0]
        assert size - first.length < first.size * first.length <= size


def test_the_first_batch_fits_the_device_beside_the_model(monkeypatch):
    engine = open_engine(PORT)
    length = typical_length(PORT)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(PORT.state))

    def needed(tokens):
        return engine.needed_bytes(Batch((), length, tokens // length))

    # Weights and, of each token, at least what a block's feed-forward holds at once.
    widest = 2 * PORT.config.intermediate_size * 4
    assert weights + 2048 * widest < needed(2048) < weights + 10 * 2048 * widest
    for fits in (2048, 512, 256):
        monkeypatch.setattr(tuning, "memory_bytes", lambda: needed(fits) / tuning._USED + 1)  # noqa: B023
        assert tuning.batch_sizes(engine) == (fits, fits // 4)
    monkeypatch.setattr(tuning, "memory_bytes", lambda: 1)  # not even a record: nothing is smaller
    assert length <= tuning.batch_sizes(engine)[0] < 2 * length


def too_large(engine, size, length):
    return DeviceMemoryError(engine.port.entry.id, Batch(tuple(range(size)), length, size))


def test_batches_are_halved_down_to_a_record_and_that_is_remembered(tmp_path, caplog):
    engine = open_engine(PORT)
    assert tuning.smaller_batches(engine, (2048, 512), too_large(engine, 8, 256), tmp_path) == 1024
    assert tuning.smaller_batches(engine, (1025, 256), too_large(engine, 4, 256), tmp_path) == 512
    assert caplog.messages == [
        f"model '{PORT.entry.id}': the device's memory does not hold a batch of {size} x 256 "
        f"tokens; from now on at most {tokens} tokens a device"
        for size, tokens in ((8, 1024), (4, 512))
    ]
    other = open_engine(PORT)  # of a later run
    for wanted in (0, 4096, 513):
        assert tuning.batch_sizes(other, tmp_path, wanted) == (512,)
    assert tuning.batch_sizes(other, tmp_path, 100) == (100,)
    with pytest.raises(DeviceMemoryError, match="does not hold a batch of 1 x 256 tokens"):
        tuning.smaller_batches(engine, (512,), too_large(engine, 1, 256), tmp_path)


def test_figures_of_a_model(tmp_path, monkeypatch):
    engine = open_engine(PORT)
    embed_array(engine, ["ACGTAC", "ACGTACGTTTAA"], [32])
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


def told(engine, workdir, advance, seconds, flop):
    """Embeds something in some seconds, two of which are compiling, and tells of it."""
    with tuning.keeping_rate(engine, "some", workdir, advance) as tell:
        engine.speed.seconds, engine.speed.compile_seconds = seconds, 2.0
        engine.speed.flop = flop
        tell(3)
        return tuning.embedding_rate("some", "float32", workdir)


def test_how_fast_a_model_is_embedded_is_kept_while_it_is_and_at_the_end(tmp_path, monkeypatch):
    engine, records = open_engine(PORT), []
    assert tuning.embedding_rate("some", "float32", tmp_path) is None
    assert told(engine, tmp_path, records.append, 0.0, 0.0) is None  # nothing was embedded
    assert not list(tmp_path.iterdir())
    # 0.5 s without compiling, in which nothing is kept; at the end it is, as nothing else is known.
    assert told(engine, tmp_path, records.append, 2.5, 1e9) is None
    assert tuning.embedding_rate("some", "float32", tmp_path) == 2e9 * jax.device_count()
    monkeypatch.setattr(tuning, "_KEPT", 0.0)  # as after ten seconds
    for seconds, flop, rate in ((10.0, 4e9, 5e8), (2.1, 9e9, 5e8), (6.0, 4e9, 1e9)):
        found = told(engine, tmp_path, records.append, seconds, flop)
        assert found == pytest.approx(rate * jax.device_count())
    assert records == [3] * 5
    of_both = tuning.embedding_rate("some:both", "float32", tmp_path)
    assert of_both == pytest.approx(1e9 * jax.device_count())
    for model, dtype in (("other", "float32"), ("some", "bfloat16")):
        assert tuning.embedding_rate(model, dtype, tmp_path) is None
