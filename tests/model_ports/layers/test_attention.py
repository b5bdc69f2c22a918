import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_ports import GOLDEN
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from geneb_jax.devices.flop import matrix_flop
from model_ports import catalog
from model_ports.layers import attention
from model_ports.layers.attention import attend
from model_ports.layers.positions import symmetric_alibi
from model_ports.loading.ports import abstract_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length

NT = "nucleotide-transformer-v2-50m-multi-species"


@pytest.mark.parametrize(
    ("causal", "masked", "limited", "biased"), list(itertools.product([False, True], repeat=4))
)
def test_attention_in_blocks_of_queries_is_attention(monkeypatch, causal, masked, limited, biased):
    batch, length, heads, groups = 2, 13, 4, 2
    rng = np.random.default_rng(0)
    query = jnp.asarray(rng.normal(size=(batch, length, heads, 6)), jnp.float32)
    key, value = (
        jnp.asarray(rng.normal(size=(batch, length, groups, 6)), jnp.float32) for _ in range(2)
    )
    mask = np.arange(length) < np.array([[9], [length]])
    allowed = rng.random((length, length)) < 0.7
    allowed[:, 0] = True
    bias = symmetric_alibi(length, heads)
    seen = (mask if masked else np.ones_like(mask))[:, None, None] & (
        allowed if limited else np.ones_like(allowed)
    )
    expected = jax.nn.dot_product_attention(
        query, key, value, bias=bias if biased else None, mask=jnp.asarray(seen), is_causal=causal
    ).reshape(batch, length, -1)

    def run(query, key, value):
        return attend(
            query,
            key,
            value,
            jnp.asarray(mask) if masked else None,
            causal=causal,
            allowed=jnp.asarray(allowed) if limited else None,
            bias=bias if biased else None,
        )

    whole = run(query, key, value)
    monkeypatch.setattr(attention, "_CPU_SCORES", 5 * batch * heads * length)  # 5, 5 and 3 queries
    blocks = run(query, key, value)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(blocks, expected, atol=1e-6)


def test_scores_of_all_pairs_never_stand_in_memory():
    def scratch(length):
        parts = jax.ShapeDtypeStruct((1, length, 8, 16), jnp.float32)
        causal = jax.jit(lambda q, k, v: attend(q, k, v, None, causal=True))
        compiled = causal.lower(parts, parts, parts).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # Four bytes a score of all pairs would be 2 GiB, and grow 16 times.
    assert scratch(8192) < 2**28
    assert scratch(8192) < 5 * scratch(2048)


@pytest.fixture
def no_kernels():
    """No test leaves what it made of the device behind."""
    attention._has_kernel.cache_clear()
    yield
    attention._has_kernel.cache_clear()


def bfloat16_parts(length=40, heads=4, groups=2, width=16):
    rng = np.random.default_rng(0)
    shapes = [(3, length, heads, width)] + 2 * [(3, length, groups, width)]
    mask = np.arange(length) < np.array([[9], [length], [0]])
    return [jnp.asarray(rng.normal(size=shape), jnp.bfloat16) for shape in shapes], mask


@pytest.mark.parametrize(("causal", "masked"), list(itertools.product([False, True], repeat=2)))
def test_a_kernel_gets_what_attention_is_given(monkeypatch, no_kernels, causal, masked):
    parts, mask = bfloat16_parts()
    given = jnp.asarray(mask) if masked else None
    run = jax.jit(lambda parts: attend(*parts, given, causal=causal))
    plain = np.asarray(run(parts), np.float32)
    # The kernel's stand-in is JAX's own implementation of the same function.
    calls = []

    def by_xla(*args, **options):
        calls.append(args[0].shape)
        return by_kernel(*args, **options, implementation="xla")

    by_kernel = attention._by_kernel
    monkeypatch.setattr(attention, "_by_kernel", by_xla)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    jax.clear_caches()
    attention._has_kernel.cache_clear()
    found = np.asarray(jax.jit(lambda parts: attend(*parts, given, causal=causal))(parts))
    assert len(calls) == 2  # alone, and where it is used
    some = mask.any(axis=1) | (not masked)
    np.testing.assert_allclose(found[some].astype(np.float32), plain[some], atol=0.02)
    assert np.isfinite(found.astype(np.float32)).all()


def test_where_the_kernel_refuses_attention_is_computed_plainly(monkeypatch, no_kernels):
    parts, mask = bfloat16_parts(width=6)  # a width that cuDNN does not take
    plain = attend(*parts, jnp.asarray(mask))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
    attention._has_kernel.cache_clear()
    np.testing.assert_array_equal(attend(*parts, jnp.asarray(mask)), plain)
    assert attention._has_kernel.cache_info().currsize == 1


@pytest.mark.parametrize(("causal", "masked"), list(itertools.product([False, True], repeat=2)))
def test_the_kernel_lowers_for_cuda_and_its_operations_are_counted(monkeypatch, causal, masked):
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
    parts, mask = bfloat16_parts(width=64)
    given = jnp.asarray(mask) if masked else None
    traced = jax.jit(lambda parts: attention._by_kernel(*parts, given, causal=causal)).trace(parts)
    assert "__cudnn$fmhaSoftmax" in traced.lower(lowering_platforms=("cuda",)).as_text()
    plain = jax.make_jaxpr(lambda parts: attend(*parts, given, causal=causal))(parts)
    assert matrix_flop(traced.jaxpr.jaxpr) == matrix_flop(plain.jaxpr)


@pytest.mark.parametrize("model", [1, 2])
def test_the_kernel_is_each_devices_own(monkeypatch, model):
    """Where devices share parameters, the compiler would have to split it, and JAX fails."""
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
    monkeypatch.setattr(attention, "_has_kernel", lambda *shape, **options: True)
    auto = 2 * (jax.sharding.AxisType.Auto,)
    mesh = jax.sharding.AbstractMesh((4, model), ("data", "model"), auto)
    port = abstract_port(catalog.get(NT), GOLDEN / NT, dtype="bfloat16", mesh=mesh)
    inputs = collate(port, 4 * [np.zeros(1, np.int32)], padded_length(port, 64))
    program = str(embedder(port).trace(port.state, inputs).jaxpr)
    assert ("dot_product_attention_fwd_wrapper" in program) == (model == 1)


def test_where_a_model_with_attention_gets_a_mask_records_stand_at_the_front():
    without_attention = {"caduceus", "enformer", "hyena", "mamba2"}
    for entry in catalog.entries().values():
        for name, fields in entry.presets.items():
            if "unavailable" not in fields and entry.family not in without_attention:
                preset = entry.preset(name)  # pyright: ignore (one of the names)
                assert not preset.masked or preset.padding_side == "right", (entry.id, name)
