import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import need

from geneb_jax.embedding.batches import (
    benchmark_lengths,
    bucket_lengths,
    model_ladder,
    plan_batches,
)
from geneb_jax.tasks.reading import find_tasks, read_task
from model_ports import catalog
from model_ports.loading.ports import random_port
from model_ports.running.records import padded_length
from model_ports.tokenizers import build_tokenizer

NT = "nucleotide-transformer-v2-50m-multi-species"
PORT = random_port(catalog.get(NT), tiny=True)
BUCKETED = [
    entry.id
    for entry in catalog.entries().values()
    if entry.preset("corrected").batching in ("masked", "causal")
]
_COUNTED_SHARE = 8  # the table holds one of so many records
COUNTED = [model_id for model_id in BUCKETED if benchmark_lengths(model_id) is not None]
# One model of each table and limit.
DISTINCT = {
    (str(benchmark_lengths(name)), catalog.get(name).preset("corrected").max_tokens): name
    for name in COUNTED
}.values()


@given(st.integers(1, 5000), st.sampled_from([(4, 8), (8, 4)]))
def test_ladder_rises_in_small_steps_to_the_limit(limit, steps):
    ladder = bucket_lengths(limit, *steps)
    assert ladder[-1] == limit
    assert ladder == sorted(ladder)
    # Another limit only cuts the ladder: no length below it is padded otherwise.
    assert ladder[:-1] == bucket_lengths(10**5, *steps)[: len(ladder) - 1]
    for shorter, longer in itertools.pairwise(ladder):
        assert longer <= 1.25 * shorter + 8


@pytest.mark.parametrize("model_id", DISTINCT)
def test_less_than_a_tenth_of_the_benchmark_is_padding(model_id):
    """In the batches of a CPU and in those of an accelerator."""
    port = replace(
        PORT, entry=catalog.get(model_id), preset=catalog.get(model_id).preset("corrected")
    )
    port = replace(port, config=replace(port.config, rotary=True))
    table = benchmark_lengths(model_id)
    assert table is not None
    lengths = np.repeat(table[0], _COUNTED_SHARE * table[1])
    lengths = np.minimum(lengths, port.preset.max_tokens or 10**9)
    for batch_tokens in (2048, 65536):
        batches = plan_batches(port, lengths.tolist(), [batch_tokens])
        computed = sum(batch.size * batch.length for batch in batches)
        assert 1 - lengths.sum() / computed < 0.10
        assert len({batch.length for batch in batches}) <= 32


def test_every_kind_of_tokenizer_is_counted():
    kinds = {catalog.get(model_id).tokenizer["kind"] for model_id in COUNTED}
    assert kinds == {catalog.get(model_id).tokenizer["kind"] for model_id in BUCKETED}


@pytest.mark.parametrize("model_id", [NT, "LucaOne-default-step36M", "dnabert2-no-flashattention"])
def test_table_holds_the_lengths_of_real_records(model_id):
    tasks = need("tasks")
    entry = catalog.get(model_id)
    tokenizer = build_tokenizer(need("tokenizers", model_id), entry.tokenizer)
    table = benchmark_lengths(model_id)
    assert table is not None
    found = find_tasks(tasks)
    for name in ("leannmlindsey_GUE_human_tf_0", "iDNA_ABF_6mA"):
        records = read_task(tasks, found[name]).test.sequences
        lengths = {len(ids) for ids in tokenizer.encode(records[::8], None)}
        assert lengths <= set(table[0].tolist())


@pytest.mark.parametrize(
    "model_id", [*(f"DNA_bert_{k}" for k in range(3, 7)), "splicebert-1024nt", "borzoi-replicate-3"]
)
def test_lengths_of_models_beyond_the_papers_follow_from_letters(model_id, tmp_path):
    """The shortest record of the table has 40 letters."""
    tokenizer = build_tokenizer(tmp_path, catalog.get(model_id).tokenizer)
    table = benchmark_lengths(model_id)
    assert table is not None
    assert table[0].min() == len(tokenizer.encode(["ACGT" * 10], None)[0])


@pytest.mark.parametrize("model_id", ["METAGENE-1", NT, "evo-1-131k-base"])
def test_a_ladder_wastes_little_on_any_length(model_id):
    ladder = np.array(model_ladder(model_id, 2048))
    lengths = np.arange(32, 2049)
    padded = ladder[np.searchsorted(ladder, lengths)]
    assert (padded / lengths).max() <= 1.28


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=80), st.integers(1, 4096))
def test_every_record_runs_once_in_a_shape_that_holds_it(lengths, batch_tokens):
    batches = plan_batches(PORT, lengths, [batch_tokens])
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch.rows) <= batch.size
        assert batch.size == 1 or batch.size * batch.length <= batch_tokens
        assert max(lengths[row] for row in batch.rows) <= batch.length


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=80), st.integers(1, 4096))
def test_records_of_other_lengths_leave_only_one_batch_with_empty_rows(lengths, batch_tokens):
    batches = plan_batches(PORT, lengths, [batch_tokens])
    assert all(len(batch.rows) == batch.size for batch in batches[:-1])
    exact = replace(PORT, preset=replace(PORT.preset, batching="exact"))
    for batch in plan_batches(exact, lengths, [batch_tokens]):
        assert {padded_length(exact, lengths[row]) for row in batch.rows} == {batch.length}


@given(
    st.lists(st.integers(1, 2048), min_size=1, max_size=80),
    st.lists(st.integers(1, 4096), min_size=1, max_size=3),
    st.integers(1, 4),
)
def test_the_first_size_is_taken_that_computes_little_more_than_the_best(lengths, sizes, shards):
    def computed(batches):
        return sum(batch.size * batch.length for batch in batches)

    plans = [plan_batches(PORT, lengths, [size], shards) for size in sizes]
    best = min(map(computed, plans))
    taken = plan_batches(PORT, lengths, sizes, shards)
    assert taken == next(plan for plan in plans if computed(plan) <= 1.1 * best)
