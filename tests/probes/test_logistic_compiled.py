import functools
import itertools

import jax
import numpy as np
import pytest
from probe_problems import problem, some_slow

from probes import logistic_compiled
from probes.draws import PaddedRows
from probes.linear import decision_values
from probes.logistic_compiled import fit_logistic, program
from probes.loss import targets
from probes.sampling import stratified_folds
from probes.solvers import MEMORY, SOLVERS


@pytest.mark.parametrize(
    ("solver", "shape", "standardised"),
    [
        ("geneb", (600, 24, 4), False),  # more rows than features
        pytest.param("geneb", (200, 260, 2), True, marks=pytest.mark.slow),  # fewer
        pytest.param("converged", (600, 24, 4), True, marks=pytest.mark.slow),
        pytest.param("converged", (200, 260, 2), True, marks=pytest.mark.slow),
        pytest.param("optax", (600, 24, 4), True, marks=pytest.mark.slow),
        pytest.param("optax", (200, 260, 2), False, marks=pytest.mark.slow),
    ],
)
def test_draws_of_shared_rows_are_fitted_together_as_alone(solver, shape, standardised):
    x, y, _, _ = problem(*shape)
    x[:, 3], x[0, 3] = 2.5, 3.5  # a constant where the first row is left out
    numbers = np.unique(y, return_inverse=True)[1]
    weight = 1.0 * (stratified_folds(numbers, 3, 13) != np.arange(3)[:, None])
    weight[1] *= 1 + np.arange(len(y)) % 2  # as class weights may be
    size = 768 if len(x) > shape[1] else len(x)
    t = targets(numbers, shape[2])
    x, t = (np.pad(a, [(0, size - len(a)), (0, 0)]) for a in (x, t))
    weight = np.pad(weight, [(0, 0), (0, size - len(y))])
    strength = np.array([1e-3, 1e-2])
    with jax.enable_x64(True):
        fit = functools.partial(program(), x, t, solver=solver, standardised=standardised)
        together = fit(weight, strength)
        ends = [fit(of_draw[None], strength) for of_draw in weight]
        alone = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends)
        values = [decision_values(x, np.asarray(end.head)) for end in (together, alone)]
    np.testing.assert_allclose(together.objective, alone.objective, rtol=1e-6)
    close = 1e-2 if solver == "geneb" else 1e-6
    for joint, single in zip(*values, strict=True):
        np.testing.assert_allclose(joint, single, atol=close * np.abs(single).max())
    if solver == "geneb" and not standardised:
        np.testing.assert_array_equal(together.iterations, alone.iterations)


def test_as_many_draws_are_fitted_together_as_the_state_of_their_heads_allows(monkeypatch):
    shapes = (800, 99), (800, 2), (25, 800)
    rows = PaddedRows(*map(np.zeros, shapes), np.zeros(25, np.uint32))
    of_a_draw = 2 * 6 * 2 * MEMORY * 2 * 100 * 8  # 6 strengths, 2 x 100 parameters, two copies
    for room, together in ((100, 25), (25, 25), (24, 13), (9, 9), (8, 7), (1, 1), (0.5, 1)):
        monkeypatch.setattr(logistic_compiled, "_STATE_BYTES", int(room * of_a_draw))
        assert logistic_compiled._draws_together(rows, 6) == together


@pytest.mark.parametrize("shape", [(64, 16), (16, 64)])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_fits_export_for_every_platform(shape, standardised, platform):
    x = jax.ShapeDtypeStruct(shape, np.float32)
    y, weight = (jax.ShapeDtypeStruct(s, np.float32) for s in ((shape[0], 3), (2, shape[0])))
    strength = jax.ShapeDtypeStruct((4,), np.float32)
    for solver in SOLVERS:
        call = jax.jit(functools.partial(fit_logistic, solver=solver, standardised=standardised))
        exported = jax.export.export(call, platforms=[platform])(x, y, weight, strength)
        assert exported.platforms == (platform,)


@pytest.mark.parametrize(
    ("solver", "classes"),
    some_slow(itertools.product(SOLVERS, (2, 5)), fast=[("geneb", 5)]),
)
def test_a_compiled_fit_needs_less_than_three_times_the_memory_of_its_features(solver, classes):
    rows, width = 32768, 256
    with jax.enable_x64(True):
        shapes = [(rows, classes if classes > 2 else 1), (1, rows), (5,)]
        arrays = [jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes]
        x = jax.ShapeDtypeStruct((rows, width), np.float32)
        compiled = program().lower(x, *arrays, solver=solver).compile()
    memory = compiled.memory_analysis()
    used = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    assert used <= 3 * rows * width * 4


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["geneb", "converged-float32"])
def test_a_way_to_compile_on_cpus_changes_no_bit(solver):
    x, y, _, _ = problem(300, 20, 2)
    arrays = x, targets(np.unique(y, return_inverse=True)[1], 2), np.ones((1, len(y)))
    with jax.enable_x64(True):
        ends = [
            program(platform)(*arrays, np.array([0.1, 10.0]), solver=solver)
            for platform in ("cpu", "another")
        ]
    jax.tree.map(np.testing.assert_array_equal, *ends)
