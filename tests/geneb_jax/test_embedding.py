import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.embedding import bucket_lengths, embed_in_order, embed_records, plan_batches
from geneb_jax.store import Store, key
from model_ports.port import collate, embedder, random_port, tokenize

PORT = random_port("nucleotide-transformer-v2-50m-multi-species", tiny=True)
RNG = np.random.default_rng(0)
RECORDS = ["".join(RNG.choice(list("ACGTN"), n)) for n in (6, 40, 41, 300, 6, 700, 90, 300)]
RECORDS.append(RECORDS[3])


@given(st.integers(1, 5000))
def test_ladder_rises_in_small_steps_to_the_limit(limit):
    ladder = bucket_lengths(limit)
    assert ladder[-1] == limit
    assert ladder == sorted(ladder)
    # Another limit only cuts the ladder: no length below it is padded otherwise.
    assert ladder[:-1] == bucket_lengths(10**5)[: len(ladder) - 1]
    for shorter, longer in itertools.pairwise(ladder):
        assert longer <= 1.25 * shorter + 8


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=80), st.integers(1, 4096))
def test_every_record_runs_once_in_a_shape_that_holds_it(lengths, batch_tokens):
    batches = plan_batches(PORT, lengths, batch_tokens)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch.rows) <= batch.size
        assert batch.size == 1 or batch.size * batch.length <= batch_tokens
        assert max(lengths[row] for row in batch.rows) <= batch.length


def alone(record):
    (ids,) = tokenize(PORT, [record])
    return np.asarray(embedder(PORT)(PORT.state, collate(PORT, [ids], len(ids))))[0]


def test_embeddings_are_those_of_each_record_alone(tmp_path):
    store = Store(tmp_path)
    done = []
    keys = embed_records(PORT, RECORDS, store, 512, done.append)
    assert len(store) == sum(done) == len(set(RECORDS))
    found = store.get(keys)
    expected = np.stack([alone(record) for record in RECORDS])
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-5)


def test_only_what_is_missing_is_embedded_and_old_rows_stay(tmp_path):
    store = Store(tmp_path)
    before = store.get(embed_records(PORT, RECORDS[:4], store, 512))
    done = []
    keys = embed_records(PORT, RECORDS, Store(tmp_path), 512, done.append)
    assert sum(done) == len(set(RECORDS)) - 4
    np.testing.assert_array_equal(Store(tmp_path).get(keys)[:4], before)
    other = Store(tmp_path / "all at once")
    np.testing.assert_array_equal(
        other.get(embed_records(PORT, RECORDS, other, 512)), Store(tmp_path).get(keys)
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_input_order_sees_the_padding_of_its_batch(tmp_path, side):
    # Unmasked, so that padding counts; one batch is one call of the model.
    fields = {"batching": "input-order", "padding_side": side, "pooling": "mean-all-rows"}
    port = replace(PORT, preset=replace(PORT.preset, **fields))
    store = Store(tmp_path)
    keys = embed_in_order(port, RECORDS, store, 4)
    found = store.get(keys)
    embed = embedder(port)
    for start in range(0, len(RECORDS), 4):
        encoded = tokenize(port, RECORDS[start : start + 4])
        inputs = collate(port, encoded, max(map(len, encoded)))
        expected = np.asarray(embed(port.state, inputs))
        np.testing.assert_allclose(found[start : start + 4], expected, atol=1e-6, rtol=1e-5)
    assert keys[3] != keys[8]  # the same record in another batch
    done = []
    assert embed_in_order(port, RECORDS, store, 4, done.append) == keys
    assert not done
    assert embed_in_order(port, RECORDS, store, 3) != keys


def test_a_store_key_is_of_the_content(tmp_path):
    assert embed_records(PORT, RECORDS[:1], Store(tmp_path), 512) == [key(RECORDS[0])]
