"""Every ported family against the original code's fixtures, and what each port promises."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_ports import (
    FIXTURES,
    FOLDERS,
    GOLDEN,
    MORE_FIXTURES,
    golden_layers,
    golden_port,
    golden_records,
)

from geneb_jax.devices.flop import matrix_flop
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.loading.ports import abstract_port, random_port
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, padded_length, tokenize
from model_ports.verification.verify import Difference, verify

PORTED = [entry.id for entry in catalog.entries().values() if entry.ported]
WHOLE = [*catalog.entries().values(), *(m.entry for m in catalog.more().values() if m.entry)]
PLATFORMS = ("cpu", "cuda", "tpu")


def kind(model_id: str) -> tuple:
    """What a program depends on beside its sizes: the family, and how records are batched."""
    entry = catalog.get(model_id)
    preset = entry.preset("corrected")
    return entry.family, preset.batching, preset.padding_side, preset.masked


# The first model of each kind; what compiles long and differs by kind alone is slow for the others.
FIRST = {kind(model_id): model_id for model_id in reversed(FOLDERS)}
BY_KIND = [
    model_id if model_id in FIRST.values() else pytest.param(model_id, marks=pytest.mark.slow)
    for model_id in FOLDERS
]

EVO_2 = ("hcs", "hcm", "hcl", "attn")  # kinds of block
# By family: the fields of config.json that make it of twice as many blocks of the same kinds.
DEPTHS = {
    **dict.fromkeys(
        ("bert", "esm", "llama", "lucaone", "mosaic_bert"),
        ({"num_hidden_layers": 3}, {"num_hidden_layers": 6}),
    ),
    **dict.fromkeys(("caduceus", "hyena", "mamba2"), ({"n_layer": 3}, {"n_layer": 6})),
    **dict.fromkeys(("enformer", "glm2"), ({"depth": 3}, {"depth": 6})),
    "gpt2": ({"num_layers": 3}, {"num_layers": 6}),
    "janusdna": ({"config": {"num_hidden_layers": 8}}, {"config": {"num_hidden_layers": 16}}),
    "gpn": ({"n_layers": 3, "num_hidden_layers": 3}, {"n_layers": 6, "num_hidden_layers": 6}),
    "megadna": ({"depth": [1, 1, 1]}, {"depth": [2, 2, 2]}),
    "olmo": ({"n_layers": 3}, {"n_layers": 6}),
    "borzoi": ({"depth": 3}, {"depth": 6}),
    "ntv3": ({"num_downsamples": 1, "num_layers": 1}, {"num_downsamples": 1, "num_layers": 4}),
    "striped_hyena": (
        {"num_layers": 3, "hyena_layer_idxs": [0, 2], "attn_layer_idxs": [1]},
        {"num_layers": 6, "hyena_layer_idxs": [0, 2, 3, 5], "attn_layer_idxs": [1, 4]},
    ),
    "striped_hyena2": tuple(
        {"num_layers": layers}
        | {f"{name}_layer_idxs": [*range(first, layers, 4)] for first, name in enumerate(EVO_2)}
        for layers in (4, 8)
    ),
}


def test_every_port_has_a_fixture():
    assert set(FIXTURES) == set(PORTED)


@pytest.mark.parametrize("entry", WHOLE, ids=lambda entry: entry.id)
def test_a_family_says_how_its_models_are_batched(entry: catalog.Entry):
    assert family(entry.family).BATCHING == entry.preset("corrected").batching
    assert family(entry.family).BATCHING in catalog.BATCHINGS


@pytest.mark.parametrize("model_id", FIXTURES)
def test_agrees_with_the_original_code(model_id: str):
    verdict = verify(GOLDEN / model_id)
    assert verdict.passed, verdict
    assert verdict.keys == ""
    available = {
        n for n, fields in catalog.get(model_id).presets.items() if "unavailable" not in fields
    }
    checked = {n for n, d in verdict.presets.items() if isinstance(d, Difference)}
    assert checked <= available


# Of these a length compiles seconds; `verify` compares their batches with records alone.
SLOWER = ("evo2_1b_base", "gpn-animal-promoter", "megaDNA_phage_145M")


@pytest.mark.parametrize(
    "model_id",
    [pytest.param(m, marks=pytest.mark.slow) if m in SLOWER else m for m in FOLDERS],
)
def test_every_layer_agrees_with_the_original_code(model_id: str):
    layers = golden_layers(model_id)
    if layers is None:
        pytest.skip("the fixture holds no hidden states of all layers of the corrected preset")
    golden, mask = layers
    check = json.loads((FOLDERS[model_id] / "meta.json").read_text())["check"]
    port = golden_port(model_id)
    encoded = tokenize(port, golden_records(model_id))
    inputs = collate(port, encoded, padded_length(port, max(map(len, encoded))))
    taps = (*range(len(golden) - 1), -1)
    states = jax.jit(lambda state, x: forward(port, state, x, taps))(port.state, inputs).states
    for tap, expected in zip(taps, golden, strict=True):
        found = np.asarray(states[tap])[inputs["attention_mask"]]
        np.testing.assert_allclose(
            found,
            expected[mask],
            rtol=check["rtol"],
            atol=2 * check["hidden_atol"],
            err_msg=f"{tap}",
        )


@pytest.mark.parametrize(
    "model_id",
    [pytest.param(m, marks=pytest.mark.slow) if m in SLOWER else m for m in BY_KIND],
)
def test_embedding_does_not_depend_on_batch_or_bucket(model_id: str):
    port = golden_port(model_id)
    encoded = tokenize(port, golden_records(model_id))
    embed = embedder(port)

    def run(rows: list[int], extra: int) -> np.ndarray:
        longest = max(len(encoded[row]) for row in rows)
        length = padded_length(port, longest + extra)
        return np.asarray(embed(port.state, collate(port, [encoded[row] for row in rows], length)))

    alone = np.concatenate([run([row], 0) for row in range(len(encoded))])
    groups = [list(range(len(encoded)))]
    extra = 3
    if port.preset.batching == "exact":
        lengths = [len(ids) for ids in encoded]
        groups = [[i for i, n in enumerate(lengths) if n == length] for length in set(lengths)]
        extra = 0
    for group in groups:
        together = run(group, extra)
        scale = np.abs(alone[group]).max(axis=1, keepdims=True)
        assert (np.abs(together - alone[group]) / scale).max() <= 1e-5


@pytest.mark.parametrize("model_id", BY_KIND)
def test_bfloat16_stays_close_to_float32(model_id: str):
    vectors = {}
    for dtype in ("float32", "bfloat16"):
        port = golden_port(model_id, dtype)
        encoded = tokenize(port, golden_records(model_id))
        longest = max(map(len, encoded))
        rows = range(len(encoded))
        if port.preset.batching == "exact":
            rows = [row for row in rows if len(encoded[row]) == longest]
        inputs = collate(port, [encoded[row] for row in rows], padded_length(port, longest))
        vectors[dtype] = np.asarray(embedder(port)(port.state, inputs), np.float64)
    a, b = vectors["float32"], vectors["bfloat16"]
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= 0.999


@pytest.mark.parametrize("model_id", BY_KIND)
def test_a_bfloat16_port_multiplies_in_bfloat16(model_id: str):
    """At full size; what stays float32 beside it are the products of scans and of gates.

    They are most of all in PlantCAD2, 12 %, whose blocks have no feed-forward.
    """
    port = abstract_port(catalog.get(model_id), FOLDERS[model_id], dtype="bfloat16")
    length = padded_length(port, min(64, port.config.max_tokens or 64))
    inputs = collate(port, [np.zeros(1, np.int32)], length)
    program = embedder(port).trace(port.state, inputs).jaxpr.jaxpr  # pyright: ignore (jitted)
    routed = {"JanusDNA_72_w", "JanusDNA_72_wo", "space"}  # experts change with the last digits
    share = matrix_flop(program, "float32") / matrix_flop(program)
    assert share == 1 if model_id in routed else share < 0.15


@pytest.mark.parametrize("model_id", ["gpt2_gene_v1", "dna_gpt3b_m", "GROVER", "genomics-fm"])
def test_records_beyond_the_position_table_are_refused(model_id: str):
    port = golden_port(model_id)
    endless = replace(port, preset=replace(port.preset, max_tokens=None))
    with pytest.raises(ValueError, match=f"but the model has {port.config.max_tokens} positions"):
        tokenize(endless, ["ACGTTGCA" * 100])


# Of these the tiny model compiles up to half a minute; their fixtures run in any case.
LONG_TO_COMPILE = (
    "JanusDNA_72_w", "NTv3_100M_post", "borzoi-replicate-0", "flashzoi-replicate-0", "space",
    *SLOWER,
)  # fmt: skip


@pytest.mark.parametrize(
    "model_id",
    [pytest.param(m, marks=pytest.mark.slow) if m in LONG_TO_COMPILE else m for m in BY_KIND],
)
def test_tiny_random_model_embeds(model_id: str):
    port = random_port(catalog.get(model_id), FOLDERS[model_id], tiny=True, seed=1)
    assert sum(leaf.size for leaf in jax.tree.leaves(port.state)) < 1e7
    encoded = tokenize(port, ["ACGTTAGCCA" * 6, "TTGACA" * 4])
    rows = [collate(port, [ids], padded_length(port, len(ids))) for ids in encoded]
    embed = embedder(port)
    first, second = (np.asarray(embed(port.state, inputs))[0] for inputs in rows)
    assert np.isfinite(first).all()
    assert not np.allclose(first, second)
    other = random_port(catalog.get(model_id), FOLDERS[model_id], tiny=True, seed=2)
    assert not np.allclose(first, embed(other.state, rows[0])[0])


@pytest.mark.slow
@pytest.mark.parametrize("model_id", FOLDERS)
def test_full_size_forward_exports_for_every_platform(model_id: str):
    port = abstract_port(catalog.get(model_id), FOLDERS[model_id])
    preset = port.preset
    whole = sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(port.state))
    assert whole >= 0.5 * port.entry.params  # it is not the tiny one
    length = preset.max_tokens if preset.batching == "fixed" else min(512, preset.max_tokens or 512)
    inputs = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in collate(port, [np.zeros(1, np.int32)], length).items()
    }
    exported = jax.export.export(embedder(port), platforms=PLATFORMS)(port.state, inputs)
    assert exported.platforms == PLATFORMS
    (vector,) = exported.out_avals
    assert vector.shape == (1, port.entry.width)
    assert vector.dtype == jnp.float32


@pytest.mark.parametrize(
    "model_id",
    sorted({*{catalog.get(m).family: m for m in reversed(FOLDERS)}.values(), *MORE_FIXTURES}),
)
def test_the_program_grows_with_the_kinds_of_block_only(model_id: str):
    entry = catalog.get(model_id)
    assert entry.family in DEPTHS, (
        f"add '{entry.family}' to DEPTHS: the fields of config.json for some blocks and for twice "
        "as many of the same kinds"
    )
    lines, layers = [], []
    for depth in DEPTHS[entry.family]:
        fields = {**family(entry.family).TINY, **depth}
        port = abstract_port(entry, FOLDERS[model_id], fields=fields)
        inputs = collate(port, [np.zeros(1, np.int32)], padded_length(port, 16))
        lowered = embedder(port).lower(port.state, inputs)
        lines.append(len(lowered.as_text().splitlines()))
        layers.append(port.config.layers)
    assert layers[1] == 2 * layers[0]
    assert lines[1] == lines[0]
