import threading
from dataclasses import replace

import jax
import numpy as np
import pytest

from geneb_jax.embedding import engine as embedding
from geneb_jax.embedding.batches import Batch, plan_batches
from geneb_jax.embedding.engine import (
    DeviceMemoryError,
    NotFiniteError,
    Work,
    _ahead,
    _stream,
    embed_array,
    embed_in_order,
    embed_records,
    open_engine,
)
from geneb_jax.embedding.store import Store, key
from geneb_jax.embedding.units import deal, units_of
from model_ports import catalog
from model_ports.contract.family import View
from model_ports.loading.ports import random_port
from model_ports.pooling import POOLINGS
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, tokenize

PORT = random_port(catalog.get("nucleotide-transformer-v2-50m-multi-species"), tiny=True)
ENGINE = open_engine(PORT)
EMBED = embedder(PORT)
RNG = np.random.default_rng(0)
RECORDS = ["".join(RNG.choice(list("ACGTN"), n)) for n in (6, 40, 41, 300, 6, 700, 90, 300)]
RECORDS.append(RECORDS[3])


def alone(record):
    (ids,) = tokenize(PORT, [record])
    return np.asarray(EMBED(PORT.state, collate(PORT, [ids], len(ids))))[0]


def embedded(store, *groups, engine=ENGINE, sizes=(512,), advance=lambda _: None):
    """Embeds groups of records into a store; float32 [N, D] of all of them."""
    embed_records(engine, units_of(groups), [store], sizes, advance)
    return store.get([key(record) for group in groups for record in group])


def test_embeddings_are_those_of_each_record_alone(tmp_path):
    store = Store(tmp_path)
    done = []
    found = embedded(store, RECORDS, advance=done.append)
    assert len(store) == sum(done) == len(set(RECORDS))
    expected = np.stack([alone(record) for record in RECORDS])
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-5)


def test_only_what_is_missing_is_embedded_and_old_rows_stay(tmp_path):
    before = embedded(Store(tmp_path), RECORDS[:4])
    done = []
    found = embedded(Store(tmp_path), RECORDS, advance=done.append)
    assert sum(done) == len(set(RECORDS)) - 4
    np.testing.assert_array_equal(found[:4], before)
    once = embedded(Store(tmp_path / "all at once"), RECORDS)
    np.testing.assert_allclose(once, found, atol=2e-6, rtol=1e-5)


def test_bytes_of_a_task_depend_on_no_other(tmp_path):
    rng = np.random.default_rng(1)
    tasks = [["".join(rng.choice(list("ACGT"), n)) for n in rng.integers(5, 300, 9)] for _ in "abc"]
    tasks[2][4] = tasks[0][0]  # is embedded with its first task
    together = [*np.split(embedded(Store(tmp_path / "all"), *tasks), 3)]
    assert (together[2][4] == together[0][0]).all()
    for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        store = Store(tmp_path / repr(order))
        for task in order:
            np.testing.assert_array_equal(embedded(store, tasks[task]), together[task])
    for processes in (2, 3):
        folder = tmp_path / str(processes)
        for share in deal(units_of(tasks), processes):
            embed_records(ENGINE, share, [Store(folder)], [512])
        np.testing.assert_array_equal(embedded(Store(folder), *tasks), np.concatenate(together))
        assert len(Store(folder)) == 26


def test_a_killed_run_ends_with_the_same_bytes(tmp_path):
    class KilledError(Exception):
        pass

    def dies(_):
        raise KilledError

    whole = embedded(Store(tmp_path / "whole"), RECORDS)
    killed = Store(tmp_path / "killed")
    for _ in range(2):  # one batch at a time, whole ones and mixed ones
        with pytest.raises(KilledError):
            embedded(killed, RECORDS, advance=dies)
    assert 0 < len(killed) < len(set(RECORDS))
    np.testing.assert_array_equal(embedded(killed, RECORDS), whole)


@pytest.mark.parametrize("side", ["left", "right"])
def test_input_order_sees_the_padding_of_its_batch(tmp_path, side):
    # Unmasked, so that padding counts; one batch is one call of the model.
    fields = {"batching": "input-order", "padding_side": side, "pooling": "mean-all-rows"}
    port = replace(PORT, preset=replace(PORT.preset, **fields))
    engine = open_engine(port)
    store = Store(tmp_path)
    keys = embed_in_order(engine, RECORDS, [store], 4)
    found = store.get(keys)
    embed = embedder(port)
    for start in range(0, len(RECORDS), 4):
        encoded = tokenize(port, RECORDS[start : start + 4])
        inputs = collate(port, encoded, max(map(len, encoded)))
        expected = np.asarray(embed(port.state, inputs))
        np.testing.assert_allclose(found[start : start + 4], expected, atol=1e-6, rtol=1e-5)
    assert keys[3] != keys[8]  # the same record in another batch
    done = []
    assert embed_in_order(engine, RECORDS, [store], 4, done.append) == keys
    assert not done
    assert embed_in_order(engine, RECORDS, [store], 3) != keys


def test_all_views_of_one_pass_are_those_of_single_passes():
    views = [View(tap, pooling) for tap in (-1, 0, 1) for pooling in ("mean", "max", "last")]
    engine = open_engine(PORT, views)
    assert engine.widths() == [PORT.config.hidden_size] * len(views)
    parts = np.split(embed_array(engine, RECORDS, [512]), len(views), axis=1)
    (ids,) = tokenize(PORT, RECORDS[:1])
    inputs = collate(PORT, [ids], len(ids))
    alone = {tap: forward(PORT, PORT.state, inputs, (tap,)) for tap in (-1, 0, 1)}
    for view, part in zip(views, parts, strict=True):
        states, mask = alone[view.tap]
        expected = POOLINGS[view.pooling](states[view.tap], mask)[0]
        np.testing.assert_allclose(part[0], expected, atol=2e-6, rtol=1e-5)
    assert len({part.tobytes() for part in parts}) == len(views)


@pytest.mark.parametrize("tap", [-2, 3, "mlp1"])
def test_a_hidden_state_that_is_not_there_is_named(tap):
    with pytest.raises(ValueError, match=rf"no hidden state {tap}; valid: .* 1 \.\. 2"):
        open_engine(PORT, [View(tap, "mean")])
    with pytest.raises(ValueError, match="pooling 'median' is not valid"):
        open_engine(PORT, [View(-1, "median")])


def test_speed_counts_tokens_padding_and_products():
    engine = open_engine(PORT)
    embed_array(engine, ["ACGTAC", "ACGTACGTTTAA", "ACGTAC"], [32])
    speed = engine.speed
    # <cls> and one or two 6-mers; one batch of 2 x 12.
    assert (speed.records, speed.tokens, speed.computed_tokens, speed.programs) == (2, 5, 24, 1)
    # Of each block the four square projections, the gated feed-forward's two and one, and the
    # attention of 12 keys: scores and their product with the values.
    D, F = PORT.config.hidden_size, PORT.config.intermediate_size
    block = 24 * 2 * (4 * D * D + 3 * D * F) + 2 * (2 * 2 * 12 * 12 * D)
    assert speed.flop == PORT.config.layers * block
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(PORT.state))
    assert weights < speed.program_bytes < 10 * weights
    assert 0 < speed.compile_seconds < speed.seconds
    assert speed.figures()["padding_share"] == round(1 - 5 / 24, 4)


def test_the_device_is_waited_for_before_a_program_is(monkeypatch):
    """What it still computes while a program is compiled is no waiting for that program."""
    engine, calls = open_engine(PORT), []
    works = [Work(Batch((i,), 8 * (1 + i // 2), 1), [np.zeros(3, np.int32)]) for i in range(4)]
    for name, does in {"run": engine.run, "settle": engine.settle}.items():

        def noted(first, second, name=name, does=does):
            batch = first.batch if isinstance(first, Work) else first
            calls.append((name, batch.rows[0]))
            return does(first, second)

        monkeypatch.setattr(engine, name, noted)
    assert len(list(_stream(engine, iter(works), [""] * 4))) == 4
    # The first of each of the two shapes is compiled; what runs before is then two batches.
    order = [("run", 0), ("run", 1), ("settle", 0), ("settle", 1), ("run", 2), ("run", 3)]
    assert calls == order


def test_an_error_of_the_thread_comes_to_the_caller():
    def items():
        yield 1
        raise RuntimeError("in the thread")

    made = _ahead(items(), 2)
    assert next(made) == 1
    with pytest.raises(RuntimeError, match="in the thread"):
        next(made)


def test_a_record_that_the_model_cannot_take_is_named():
    with pytest.raises(ValueError, match="token id"):
        bad = replace(PORT, config=replace(PORT.config, vocab_size=5))
        embed_array(open_engine(bad), RECORDS, [512])


def test_a_thread_stops_when_nobody_asks():
    made = _ahead(iter(range(10**9)), 2)
    assert next(made) == 0
    made.close()


def test_a_record_whose_embedding_is_no_number_is_named(tmp_path, monkeypatch):
    real = embedding.Engine.fetch

    def fetch(engine, batch, vectors):
        found = np.array(real(engine, batch, vectors))
        if 5 in batch.rows:
            found[batch.rows.index(5), 3] = np.inf
        return found

    monkeypatch.setattr(embedding.Engine, "fetch", fetch)
    with pytest.raises(NotFiniteError) as error:
        embedded(Store(tmp_path), RECORDS[:8], sizes=[64])
    assert error.value.sequence == RECORDS[5]
    assert str(error.value) == (
        f"model '{PORT.entry.id}': the embedding of record '{RECORDS[5][:40]}...' (700 letters) "
        "is not finite in float32"
    )
    words = "task 'mine': the embedding of test row 7 is not finite in float32"
    assert str(error.value.on("mine", "test row 7")) == words
    other = NotFiniteError("M", "ACGT", "bfloat16")
    assert str(other).endswith(
        "'ACGT' (4 letters) is not finite in bfloat16; try --config.dtype=float32"
    )


def small_device(monkeypatch, tokens):
    """Makes the device run out of memory, in its words, with batches of more tokens."""
    real = embedding.Engine.compiled

    def compiled(engine, batch):
        if batch.size * batch.length > tokens:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4.3G")
        return real(engine, batch)

    monkeypatch.setattr(embedding.Engine, "compiled", compiled)


def test_a_batch_that_the_device_does_not_hold_is_named(tmp_path, monkeypatch):
    small_device(monkeypatch, 256)
    with pytest.raises(DeviceMemoryError) as error:
        embedded(Store(tmp_path), RECORDS, engine=open_engine(PORT))
    size, length = error.value.batch.size, error.value.batch.length
    assert size * length > 256
    assert str(error.value) == (
        f"model '{PORT.entry.id}': the device's memory does not hold a batch of {size} x {length} "
        "tokens"
    )


def test_another_error_of_the_device_stays_what_it_is(monkeypatch):
    def compiled(engine, batch):
        raise jax.errors.JaxRuntimeError("INTERNAL: a bit fell over")

    monkeypatch.setattr(embedding.Engine, "compiled", compiled)
    with pytest.raises(jax.errors.JaxRuntimeError, match="a bit fell over"):
        embed_array(open_engine(PORT), RECORDS, [512])


def test_the_shapes_of_a_unit_are_compiled_while_others_run(monkeypatch):
    engine, order = open_engine(PORT), []
    real = embedding.Engine._compile

    def compile_one(engine, batch):
        order.append((threading.current_thread().name.split("_")[0], batch.size, batch.length))
        return real(engine, batch)

    monkeypatch.setattr(embedding.Engine, "_compile", compile_one)
    embed_array(engine, RECORDS, [512])
    lengths = [len(ids) for ids in tokenize(PORT, list(dict.fromkeys(RECORDS)))]
    planned = dict.fromkeys((b.size, b.length) for b in plan_batches(PORT, lengths, [512]))
    assert sorted(order) == sorted(("compile", *shape) for shape in planned)
    assert engine.speed.programs == len(planned)


def test_what_waits_to_be_compiled_is_forgotten_where_embedding_ends_early(monkeypatch):
    begun, at_work, go_on = [], threading.Semaphore(0), threading.Event()

    def compile_one(engine, batch):
        begun.append((batch.size, batch.length))
        at_work.release()
        assert go_on.wait(60)
        return real(engine, batch)

    real = embedding.Engine._compile
    monkeypatch.setattr(embedding.Engine, "_compile", compile_one)
    engine = open_engine(PORT)
    batches = [Batch((0,), length, 2) for length in (16, 24, 32, 40)]
    engine.compile_soon(batches)
    assert at_work.acquire(timeout=60) and at_work.acquire(timeout=60)
    engine.compile_no_more()
    go_on.set()
    assert engine.compiled(batches[3]).flop > engine.compiled(batches[0]).flop > 0
    assert sorted(begun) == [(2, 16), (2, 24), (2, 40)]  # two threads had begun two of them
