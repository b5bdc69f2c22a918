import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import accelerator_parts as measured
from benchmarks.attention import Shape, draw
from benchmarks.isolation import Session
from benchmarks.projection import flop_per_record
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.layers.attention import attend
from model_ports.loading.ports import abstract_port

TOY = measured.SCALES["toy"]
NT = "nucleotide-transformer-v2-50m-multi-species"


def session(tmp_path, rows=(), scale=TOY):
    return Session(scale, rows, tmp_path)


@pytest.mark.parametrize("shape", [Shape(4, 2, 8, causal=True), Shape(2, 2, 8, causal=False)])
def test_the_reference_of_attention_is_what_the_models_compute(shape):
    query, key, value, mask = draw(shape, 24, 2, "float32")
    seen = int(mask[0].sum())
    positions = np.arange(3, seen)
    exact = measured.exact_attention(
        shape, *(np.asarray(x[0], np.float64) for x in (query, key[:, :seen], value[:, :seen])),
        positions,
    )  # fmt: skip
    with jax.default_matmul_precision("highest"):
        found = attend(query, key, value, mask, causal=shape.causal)[0, positions]
    found = np.asarray(found).reshape(len(positions), shape.heads, -1)[:, :2]
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_attention_is_as_right_as_bfloat16_and_a_wrong_one_is_seen(monkeypatch):
    row = measured.one_attention(Shape(4, 2, 8, causal=True), 24, 2)
    assert row["cudnn"] is False and row["gain"] > 0
    assert 1e-4 < row["engine_error"] < 0.02 and row["whole_ms"] > 0
    sides = dict(measured.attention.SIDES)
    sides["engine"] = lambda *arrays, causal: 1.1 * attend(*arrays, causal=causal)
    monkeypatch.setattr(measured.attention, "SIDES", sides)
    row = measured.one_attention(Shape(4, 2, 8, causal=True), 24, 2)
    assert row["engine_error"] == pytest.approx(0.1, abs=0.02) and row["blocks_error"] < 0.02


def test_rates_are_of_what_was_computed(monkeypatch, tmp_path):
    monkeypatch.setattr(measured, "best_seconds", lambda work: work() is not None and 0.5)
    assert measured.chain(64, "float64", "highest") == {"TFLOP_s": 16 * 2 * 64**3 / 0.5e12}
    assert measured.device_copy(4096) == 2 * 4096 / 0.5
    assert measured.copy_from_host(4096) == 4096 / 0.5
    assert measured.copy_to_host(4096) > 0
    assert not jax.config.jax_enable_x64


def test_models_are_those_of_the_catalog_and_evo_keeps_some_layers_at_full_width():
    for model in measured.MODELS:
        assert (measured.FIXTURES / model.model_id).is_dir()
        limit = catalog.get(model.model_id).preset("corrected").max_tokens
        assert model.length is None or model.length <= (limit or model.length)
    fields = next(model.fields for model in measured.MODELS if model.model_id == measured._EVO)
    port = abstract_port(
        catalog.get(measured._EVO), measured.FIXTURES / measured._EVO, fields=fields
    )
    assert port.config.layers == fields["num_layers"] == 8
    assert port.config.width == catalog.get(measured._EVO).width


def test_a_model_is_embedded_in_full_batches(tmp_path):
    row = measured.one_model(measured.Model(NT, "float32", 3), session(tmp_path))
    assert row["length"] == TOY.longest == 16
    count = 3 * TOY.tokens // 16
    assert row["tokens_s"] == pytest.approx(16 * row["records_s"])
    config = family("esm").TINY
    width, inner = config["hidden_size"], config["intermediate_size"]
    products = 2 * config["num_hidden_layers"] * (4 * width**2 + 3 * width * inner)
    flop = row["TFLOP_s"] * 1e12 / row["tokens_s"]
    assert products < flop < 2 * products  # scores of attention beside
    assert count == 12 and row["share"] > 0 and row["GiB"] > 0


def test_float64_fits_are_compared_with_those_of_the_device(tmp_path, monkeypatch):
    device = [
        {"part": "float64", "case": "geneb", "warm_s": 2.0, "iterations": [7, 8, 9],
         "objective": [1.0, 0.5, 0.25]},
        {"part": "float64", "case": "converged", "failed": "does not fit into memory"},
    ]  # fmt: skip
    host = {"warm_s": 3.0, "iterations": [7, 8, 11], "objective": [1.0, 0.5, 0.2]}
    monkeypatch.setattr(measured, "compiled_fit", lambda problem, solver: dict(host))
    cases = dict(measured.float64_on_cpu(session(tmp_path, device)))
    assert cases["converged"]() == host
    row = cases["geneb"]()
    assert (row["device_s"], row["ratio"], row["equal_iterations"]) == (2.0, 1.5, "2 of 3")
    assert row["objective_change"] == pytest.approx(0.25)


def test_families_without_a_measured_model_take_the_rate_of_a_like_one():
    families = {entry.family for entry in catalog.entries().values()}
    own = {catalog.get(model.model_id).family for model in measured.MODELS}
    assert own.isdisjoint(measured.LIKE) and own | measured.LIKE.keys() == families
    assert set(measured.LIKE.values()) <= own
    rates = {NT: 1.0, "METAGENE-1": 2.0, "GENERator-eukaryote-1.2b-base": 3.0}
    assert measured.like_model(catalog.get("dna_gpt3b_m"), rates) in list(rates)[1:]
    assert (
        measured.like_model(catalog.get("nucleotide-transformer-2.5b-multi-species"), rates) == NT
    )
    assert measured.like_model(catalog.get("evo-1-131k-base"), rates) is None


def test_hours_are_operations_over_the_rate_at_the_benchmarks_length(tmp_path):
    model = "caduceus-ps_seqlen-131k_d_model-256_n_layer-16"
    rows = [
        {"part": "models", "case": "a", "model": model, "dtype": "float32", "TFLOP_s": 2.0},
        {"part": "models", "case": "b", "model": model, "dtype": "float32", "TFLOP_s": 9.0},
        {"part": "models", "case": "c", "model": NT, "dtype": "float32", "failed": "why"},
    ]
    *cases, (name, total) = measured.projected(session(tmp_path, rows))
    assert len(cases) == 2 and name == "3585016 records"
    hours = 0.0
    for name, measure in cases:
        row = measure()
        assert row["like"] == model
        expected = flop_per_record(name) * 3585016 / 2e12 / 3600
        assert row["float32_h"] == pytest.approx(expected) and "bfloat16_h" not in row
        hours += expected
    assert total()["float32_h"] == pytest.approx(hours)
    with pytest.raises(ValueError, match="measure that part first"):
        next(measured.projected(session(tmp_path)))


@pytest.mark.slow
def test_compiled_fits_end_at_the_optimum():
    from sklearn.linear_model import LogisticRegression

    from benchmarks.probes import STRENGTHS, make_problem, objective

    problem = make_problem(60, 4, 2)
    row = measured.compiled_fit(problem, "converged")
    assert jnp.ones(1).dtype == jnp.float32
    for C, found in zip(STRENGTHS, row["objective"], strict=True):
        x = problem.x_train.astype(np.float64)
        head = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(x, problem.y_train)
        assert found == pytest.approx(objective(head, x, problem.y_train, C), rel=1e-8)
