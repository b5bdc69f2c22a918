import numpy as np
import pytest

from benchmarks.embedding_engine import length_mix, models_beyond
from benchmarks.projection import (
    PROJECTED,
    flop_per_record,
    nearest,
    project,
    smallest_models,
)
from benchmarks.rows import Rows, read_rows
from model_ports import catalog

SMALL = "nucleotide-transformer-v2-50m-multi-species"


def test_operations_of_a_record_are_those_of_its_tokens_and_attention():
    # Layers of width 512 with gated halves of 2,048; scores and their product with the values.
    lengths, share = length_mix(SMALL)
    layer = 2 * (4 * 512**2 + 3 * 512 * 2048)
    expected = share @ (12 * (layer * lengths + 4 * 512 * lengths.astype(float) ** 2))
    assert flop_per_record(SMALL) == pytest.approx(expected, rel=0.02)


def test_models_are_projected_from_the_nearest_measured_one_of_their_family():
    known = map(catalog.get, [*catalog.entries(), *models_beyond()])
    assert len(smallest_models()) == len({entry.family for entry in known})
    rates = {SMALL: 1e12, "nucleotide-transformer-2.5b-multi-species": 2e12}
    assert nearest(catalog.get("nucleotide-transformer-v2-100m-multi-species"), rates) == SMALL
    assert nearest(catalog.get("agro-nucleotide-transformer-1b"), rates) == list(rates)[1]
    assert nearest(catalog.get("METAGENE-1"), rates) is None


@pytest.mark.slow
def test_hours_follow_from_operations_and_rate(tmp_path):
    rates = {"caduceus-ph_seqlen-1k_d_model-256_n_layer-4_lr-8e-3": 1e12}
    project(rates, list(catalog.entries()), Rows(PROJECTED, tmp_path / "rows.jsonl"))
    *rows, total = read_rows(tmp_path / "rows.jsonl")
    models = [e.id for e in catalog.entries().values() if e.family == "caduceus"]
    flop = sum(map(flop_per_record, models))
    assert total["hours"] == pytest.approx(flop * 3585016 / 3.6e15)
    assert [row["model"] for row in rows if row["like"]] == models
    assert len(rows) == len(catalog.entries()) and np.isfinite(flop)
