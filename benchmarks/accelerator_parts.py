"""What `benchmarks.accelerator` measures, as cases; its text explains the rows."""

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import attention, few_shot, projection
from benchmarks.all_tasks import problems
from benchmarks.embedding_engine import draw_records, run
from benchmarks.isolation import Case, Session
from benchmarks.needs import FIXTURES
from benchmarks.probes import (
    FEW,
    FULL,
    SEEDS,
    STRENGTHS,
    TEST_ROWS,
    Problem,
    fit_and_score,
    make_problem,
    scikit_learn,
    timed,
)
from benchmarks.rows import Row
from geneb_jax.devices.capacity import best_seconds, matmul_rate, out_of_memory
from geneb_jax.embedding.batches import batch_size, ladder_of, typical_length
from geneb_jax.tasks.sizes import TaskSize, published_sizes
from model_ports import catalog
from model_ports.loading.ports import random_port
from probes.logistic_compiled import program

_CHAIN = 16  # products in one program
_CUDNN = "__cudnn$fmha"  # how the calls of its attention begin in a compiled program
_SHARED_CLASSES = 2  # numbers of classes that several tasks have: 97 of the 100 have 2 or 3
_CHECKED_QUERIES, _CHECKED_HEADS = 64, 2  # of attention, in float64


@dataclass(frozen=True)
class Model:
    """A case of `models`.

    Attributes:
        model_id: GENEB's model id.
        dtype: Of parameters and computation.
        batches: Batches that are timed: a few seconds.
        length: Tokens of a record; None: as most of the benchmark's.
        fields: Fields of config.json that differ from the model's.
    """

    model_id: str
    dtype: str
    batches: int
    length: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


_NT_50M = "nucleotide-transformer-v2-50m-multi-species"
_NT_250M = "nucleotide-transformer-v2-250m-multi-species"
_DNABERT_2 = "dnabert2-no-flashattention"
_LLAMA_1B = "GENERator-eukaryote-1.2b-base"
_HYENA = "hyenadna-large-1m-seqlen-hf"
_CADUCEUS = "caduceus-ps_seqlen-131k_d_model-256_n_layer-16"
_EVO = "evo-1-131k-base"
_EVO_LAYERS = {
    "num_layers": 8,
    "attn_layer_idxs": [4],
    "hyena_layer_idxs": [0, 1, 2, 3, 5, 6, 7],
}
MODELS = (
    Model(_NT_50M, "bfloat16", 64),
    Model("METAGENE-1", "bfloat16", 4, 512),
    Model(_DNABERT_2, "bfloat16", 32),
    Model(_LLAMA_1B, "bfloat16", 12),
    Model(_HYENA, "bfloat16", 16),
    Model(_CADUCEUS, "bfloat16", 8),
    Model(_EVO, "bfloat16", 6, fields=_EVO_LAYERS),
    Model(_NT_250M, "bfloat16", 24),
    Model(_NT_50M, "float32", 16),
    Model(_DNABERT_2, "float32", 8),
    Model(_LLAMA_1B, "float32", 2),
    Model(_HYENA, "float32", 8),
    Model(_CADUCEUS, "float32", 4),
    Model(_EVO, "float32", 2, fields=_EVO_LAYERS),
    Model(_NT_250M, "float32", 6),
    Model(_HYENA, "bfloat16", 4, 65536),
)
# Models, and the tokens of a record.
ATTENTION = (
    (_NT_50M, 512),
    ("METAGENE-1", 512),
    ("GENERator-eukaryote-3b-base", 2048),
    ("gena-lm-bert-large-t2t", 128),
    ("METAGENE-1", 8192),
)
# Families that are not measured, and measured ones whose arithmetic is most like theirs.
LIKE = {
    "bert": "esm",
    "lucaone": "esm",
    "enformer": "esm",
    "gpt2": "llama",
    "olmo": "llama",
    "mamba2": "caduceus",
    "janusdna": "caduceus",
}


@dataclass(frozen=True)
class Scale:
    """Sizes of everything.

    Attributes:
        tiny: Whether models are the families' tiny ones.
        product: Rows of the square matrices of a chain of products.
        copied: Bytes that are copied.
        tokens: Tokens of a batch, padding included.
        longest: Tokens that a record is cut to.
        problem: Rows of train, width and classes of the made task.
        width: Width of the 100 tasks' embeddings.
        tasks: Every how manyth of the 100 tasks is taken.
        train: Largest number of rows of train of the 100 tasks.
        fits: As `problem`, of the fits that are compared with the CPU's.
    """

    tiny: bool
    product: int
    copied: int
    tokens: int
    longest: int
    problem: tuple[int, int, int]
    width: int
    tasks: int
    train: int
    fits: tuple[int, int, int]


SCALES = {
    "full": Scale(
        tiny=False,
        product=8192,
        copied=2**30,
        tokens=65536,
        longest=65536,
        problem=(20_000, 1_024, 4),
        width=1_024,
        tasks=1,
        train=20_000,
        fits=(6_000, 512, 3),
    ),
    "toy": Scale(
        tiny=True,
        product=64,
        copied=2**16,
        tokens=64,
        longest=16,
        problem=(80, 8, 3),
        width=8,
        tasks=25,
        train=1_000,
        fits=(80, 8, 3),
    ),
}


def device(session: Session) -> Iterator[Case]:
    """Yields the facts of the device."""
    first = jax.devices()[0]
    memory = (first.memory_stats() or {}).get("bytes_limit", 0)
    yield (
        first.device_kind,
        lambda: {
            "backend": jax.default_backend(),
            "devices": jax.device_count(),
            "GiB": memory / 2**30,
            "jax": jax.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "cores": os.cpu_count(),
        },
    )


def rates(session: Session) -> Iterator[Case]:
    """Yields rates of products and of copies."""
    scale = session.scale
    for dtype in ("bfloat16", "float32"):
        yield (
            f"product {dtype}",
            lambda dtype=dtype: {"TFLOP_s": matmul_rate(dtype, session.workdir) / 1e12},
        )
    for dtype, precision in (
        ("bfloat16", "highest"),
        ("float32", "highest"),
        ("float32", "default"),
        ("float64", "highest"),
    ):
        yield (
            f"chain {dtype} {precision}",
            lambda dtype=dtype, precision=precision: chain(scale.product, dtype, precision),
        )
    for name, copy in COPIES.items():
        yield (
            name,
            lambda copy=copy: {"GB_s": copy(scale.copied) / 1e9},
        )


def chain(size: int, dtype: str, precision: str) -> Row:
    """Measures dependent products of square matrices in one program."""
    with jax.enable_x64(dtype == "float64"):
        keys = jax.random.split(jax.random.key(0))
        a, b = (jax.random.normal(key, (size, size), dtype) for key in keys)
        b = b * jnp.asarray(size**-0.5, dtype)  # products keep the variance

        @jax.jit
        def products(a: Array, b: Array) -> Array:
            step = functools.partial(jnp.matmul, precision=precision)
            return jax.lax.fori_loop(0, _CHAIN, lambda _, a: step(a, b), a)

        seconds = best_seconds(lambda: products(a, b))
    return {"TFLOP_s": _CHAIN * 2 * size**3 / seconds / 1e12}


def device_copy(size: int) -> float:
    """Measures bytes a second that are read and written on the device."""
    x = jnp.ones(size // 4, jnp.float32)
    add = jax.jit(lambda x: x + 1)
    return 2 * size / best_seconds(lambda: add(x))


def copy_from_host(size: int) -> float:
    """Measures bytes a second from NumPy's memory to the device."""
    x = np.ones(size // 4, np.float32)
    return size / best_seconds(lambda: jax.device_put(x))


def copy_to_host(size: int) -> float:
    """Measures bytes a second from the device to NumPy's memory."""
    add = jax.jit(lambda x: x + 1)
    x = add(jnp.zeros(size // 4, jnp.float32))
    times = []
    for _ in range(3):
        x = add(x).block_until_ready()  # an array keeps what was copied once
        start = time.perf_counter()
        np.asarray(x)
        times.append(time.perf_counter() - start)
    return size / min(times)


COPIES = {"copy": device_copy, "copy from host": copy_from_host, "copy to host": copy_to_host}


def attentions(session: Session) -> Iterator[Case]:
    """Yields one layer's attention of some models."""
    scale = session.scale
    for model_id, tokens in ATTENTION:
        length = min(tokens, scale.longest)
        yield (
            f"{catalog.get(model_id).paper_name} {tokens}",
            functools.partial(
                one_attention, attention.shape_of(model_id), length, scale.tokens // length
            ),
        )


def one_attention(shape: attention.Shape, length: int, batch: int) -> Row:
    """Measures the ways to compute attention in bfloat16, and two of them against float64."""
    arrays = attention.draw(shape, length, batch, "bfloat16")
    query, key, value = (np.asarray(array[0], np.float64) for array in arrays[:3])
    length = int(np.asarray(arrays[3])[0].sum())  # without the padding
    checked = np.arange(length)[-_CHECKED_QUERIES:]
    expected = exact_attention(shape, query, key[:length], value[:length], checked)
    row: Row = {"batch": batch}
    times: dict[str, float] = {}
    for name, side in attention.SIDES.items():
        try:
            with jax.default_matmul_precision("highest"):  # as models' forward
                traced = jax.jit(functools.partial(side, causal=shape.causal)).trace(*arrays)
                call = traced.lower().compile()
            times[name] = best_seconds(lambda call=call: call(*arrays))
        except jax.errors.JaxRuntimeError as error:
            if name == "engine" or not out_of_memory(error):
                raise
            continue
        row[f"{name}_ms"] = 1000 * times[name]
        if name == "engine":
            row["cudnn"] = _CUDNN in (call.as_text() or "")
        if name != "whole":
            found = np.asarray(call(*arrays)[0, checked].astype(jnp.float32))
            found = found.reshape(len(checked), shape.heads, -1)[:, :_CHECKED_HEADS]
            row[f"{name}_error"] = float(np.abs(found - expected).max() / np.abs(expected).max())
    others = [seconds for name, seconds in times.items() if name != "engine"]
    if others:
        row["gain"] = min(others) / times["engine"]
    return row


def exact_attention(
    shape: attention.Shape,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    positions: np.ndarray,
) -> np.ndarray:
    """Computes some queries of the first heads of one record, by the definition.

    Args:
        shape: The layer's attention.
        query: Float64 [L, H, d].
        key: Of the tokens that may be seen, float64 [M, G, d].
        value: As `key`.
        positions: Of the queries.

    Returns:
        Float64 [queries, heads, d].
    """
    seen = positions[:, None] >= np.arange(len(key)) if shape.causal else True
    mixed = []
    for head in range(min(_CHECKED_HEADS, shape.heads)):
        group = head // (shape.heads // shape.groups)
        scores = query[positions, head] @ key[:, group].T / math.sqrt(shape.width)
        scores = np.where(seen, scores, -np.inf)
        weight = np.exp(scores - scores.max(axis=1, keepdims=True))
        mixed.append(weight @ value[:, group] / weight.sum(axis=1, keepdims=True))
    return np.stack(mixed, axis=1)


def models(session: Session) -> Iterator[Case]:
    """Yields the engine with some models."""
    for model in MODELS:
        words = (catalog.get(model.model_id).paper_name, model.dtype, str(model.length or ""))
        yield " ".join(words).strip(), functools.partial(one_model, model, session)


def one_model(model: Model, session: Session) -> Row:
    """Embeds full batches of records of one length."""
    scale = session.scale
    start = time.perf_counter()
    port = random_port(
        catalog.get(model.model_id),
        FIXTURES / model.model_id,
        tiny=scale.tiny,
        fields={} if scale.tiny else model.fields,
        dtype=model.dtype,
    )
    jax.block_until_ready(jax.tree.leaves(port.state))
    random_s = time.perf_counter() - start
    length = min(model.length or typical_length(port), scale.longest)
    padded = min(step for step in ladder_of(port, length) if step >= length)
    count = model.batches * batch_size(padded, scale.tokens)
    limit, vocab_size = port.preset.max_tokens, port.config.vocab_size
    records = draw_records(model.model_id, count, vocab_size, limit, length)
    figures, _ = run(port, records, scale.tokens, session.workdir)
    seconds, rate = figures["seconds"], figures["flop"] / figures["seconds"]
    return {
        "model": model.model_id,
        "dtype": model.dtype,
        "length": length,
        "records_s": count / seconds,
        "tokens_s": figures["tokens"] / seconds,
        "TFLOP_s": rate / 1e12,
        "share": rate / figures["matmul_rate"],
        "waits": figures["waits"],
        "GiB": figures["program_bytes"] / 2**30,
        "random_s": random_s,
    }


def probes(session: Session) -> Iterator[Case]:
    """Yields full and few-shot fits beside scikit-learn's, and few-shot fits by both engines."""
    problem = make_problem(*session.scale.problem)
    by_classes = few_shot.tasks_by_classes(few_shot_sizes(session.scale), session.scale.width)
    engines = [
        (f"few-shot fits, {classes} classes", functools.partial(few_shot_engines, tasks))
        for classes, tasks in by_classes.items()
    ]
    peers: list[float] = []

    def peer(C: float) -> Row:
        found = scikit_learn(problem, FULL, [C])
        peers.append(found["full"])
        return {"peer_s": peers[-1], "iterations": found["iterations"], "MCC": found["MCC"]}

    def sum_of_peers() -> Row:
        if len(peers) < len(STRENGTHS):
            raise ValueError("not all of scikit-learn's fits were measured")
        return {"peer_s": sum(peers)}

    yield "geneb full", lambda: fits(problem, "geneb", FULL)
    yield "converged full", lambda: fits(problem, "converged", FULL)
    yield "geneb few-shot", lambda: fits(problem, "geneb", FEW)
    yield "geneb few-shot, all tasks", lambda: few_shot_fits(session.scale)
    yield from engines[:_SHARED_CLASSES]
    for size in few_shot_sizes(session.scale)[::10]:
        yield f"few-shot {size.task}", functools.partial(few_shot_beside, size, session.scale)
    for C in STRENGTHS:
        yield f"scikit-learn full C={C:g}", functools.partial(peer, C)
    yield "scikit-learn full", sum_of_peers
    yield from engines[_SHARED_CLASSES:]


def fits(problem: Problem, solver: str, shots: Sequence[int | None]) -> Row:
    """Fits and scores all heads of some regimes twice, the second time without compiling."""
    call = functools.partial(fit_and_score, problem, solver, shots, STRENGTHS)
    _, first_s = timed(call)
    heads, warm_s = timed(call)
    row: Row = {"first_s": first_s, "warm_s": warm_s}
    if None in shots:
        full = heads[:: len(SEEDS)]
        row["iterations"] = [head.iterations for head in full]
        row["MCC"] = [head.MCC for head in full]
    return row


def few_shot_sizes(scale: Scale) -> list[TaskSize]:
    """The tasks' sizes, with no more rows than few-shot fits notice."""
    most = scale.train, TEST_ROWS
    return [
        size._replace(train=min(size.train, most[0]), test=min(size.test, most[1]))
        for size in published_sizes()[:: scale.tasks]
    ]


def few_shot_fits(scale: Scale) -> Row:
    """Fits and scores the few-shot heads of all tasks."""
    sizes = few_shot_sizes(scale)
    first_s = sum(
        timed(functools.partial(fit_and_score, problem, "geneb", FEW, STRENGTHS))[1]
        for _, problem in problems(sizes, scale.width)
    )
    return {"first_s": first_s, "fits": len(sizes) * len(FEW) * len(SEEDS) * len(STRENGTHS)}


def few_shot_beside(size: TaskSize, scale: Scale) -> Row:
    """Fits and scores the few-shot heads of one task, and the same by scikit-learn."""
    ((_, problem),) = problems([size], scale.width)
    row = fits(problem, "geneb", FEW) | {"fits": len(FEW) * len(SEEDS) * len(STRENGTHS)}
    peer_s = scikit_learn(problem, FEW)["few"]
    return row | {"peer_s": peer_s, "ratio": peer_s / row["warm_s"]}


def few_shot_engines(tasks: Sequence[few_shot.FewShot]) -> Row:
    """Fits the few-shot heads of tasks of one number of classes in one batch, and by SciPy."""
    scipy, scipy_s = timed(lambda: few_shot.fit_by_scipy(tasks))
    _, first_s = timed(lambda: few_shot.fit_compiled(tasks))
    fitted, warm_s = timed(lambda: few_shot.fit_compiled(tasks))
    found = few_shot.differences(fitted, scipy)
    fits = fitted.iterations.size
    return found | {
        "first_s": first_s,
        "warm_s": warm_s,
        "fits": fits,
        "scipy_s": scipy_s,
        "ratio": scipy_s / warm_s,
        "equal_iterations": f"{found['equal_iterations']} of {fits}",
    }


def float64_fits(session: Session) -> Iterator[Case]:
    """Yields compiled fits."""
    problem = make_problem(*session.scale.fits)
    for solver in ("geneb", "converged"):
        yield solver, functools.partial(compiled_fit, problem, solver)


def compiled_fit(problem: Problem, solver: str) -> Row:
    """Fits one head for each C by the compiled engine, however small the problem is."""
    x, classes = problem.x_train, problem.y_train
    labels = np.unique(classes)
    y = (classes[:, None] == labels).astype(np.float64)
    y = y[:, 1:] if len(labels) == 2 else y
    with jax.enable_x64(True):
        arrays = jax.device_put((x, y, np.ones((1, len(x))), np.array(STRENGTHS)))
        call = functools.partial(program(), *arrays, solver=solver)
        _, first_s = timed(lambda: jax.block_until_ready(call()))
        fitted, warm_s = timed(lambda: jax.block_until_ready(call()))
    return {
        "first_s": first_s,
        "warm_s": warm_s,
        "iterations": np.asarray(fitted.iterations)[:, 0].tolist(),
        "objective": np.asarray(fitted.objective)[:, 0].tolist(),
    }


def float64_on_cpu(session: Session) -> Iterator[Case]:
    """Yields the fits of `float64_fits` on the host, beside the device's."""
    known = {row["case"]: row for row in session.rows if row["part"] == "float64"}

    def compare(measure: Callable[[], Row], theirs: Row) -> Row:
        row = measure()
        pairs = zip(row["iterations"], theirs["iterations"], strict=True)
        change = np.array(theirs["objective"]) / np.array(row["objective"]) - 1
        return row | {
            "device_s": theirs["warm_s"],
            "ratio": row["warm_s"] / theirs["warm_s"],
            "equal_iterations": f"{sum(a == b for a, b in pairs)} of {len(row['iterations'])}",
            "objective_change": float(np.abs(change).max()),
        }

    for solver, measure in float64_fits(session):
        measured = known.get(solver, {})
        if "failed" in measured or not measured:
            yield solver, measure
        else:
            yield solver, functools.partial(compare, measure, measured)


def projected(session: Session) -> Iterator[Case]:
    """Yields the hours of each model on all records, and their sum."""
    done = [row for row in session.rows if row["part"] == "models" and "TFLOP_s" in row]
    measured = {
        # Of several lengths of a model, the first: that of the benchmark.
        dtype: {row["model"]: row["TFLOP_s"] * 1e12 for row in done[::-1] if row["dtype"] == dtype}
        for dtype in ("float32", "bfloat16")
    }
    if not done:
        raise ValueError("no row of the part 'models' stands in --out; measure that part first")
    records = sum(size.train + size.test for size in projection.published_sizes())
    found: list[Row] = []

    def hours(entry: catalog.Entry) -> Row:
        flop = projection.flop_per_record(entry.id)
        row: Row = {"GFLOP": flop / 1e9}
        for dtype, rates_of in measured.items():
            like = like_model(entry, rates_of)
            if like:
                row[f"{dtype}_h"] = records * flop / rates_of[like] / 3600
                row["like"] = like
        found.append(row)
        return row

    def total() -> Row:
        names = ("float32_h", "bfloat16_h")
        sums = {name: sum(row.get(name, 0.0) for row in found) for name in names}
        counts = (sum(name in row for row in found) for name in names)
        return sums | {"like": "sums of {} and {} models".format(*counts)}

    entries = list(catalog.entries().values())
    for entry in entries[-2:] if session.scale.tiny else entries:
        yield entry.id, functools.partial(hours, entry)
    yield f"{records} records", total


def like_model(entry: catalog.Entry, measured: Mapping[str, float]) -> str | None:
    """The measured model nearest in size, of the family or of one like it; None: there is none."""
    kin = replace(entry, family=LIKE.get(entry.family, entry.family))
    return projection.nearest(entry, measured) or projection.nearest(kin, measured)
