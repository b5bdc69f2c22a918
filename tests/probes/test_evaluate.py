import functools
import itertools
import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import Probe, evaluate, evaluate_task, few_shot_rows
from probes.lbfgs import MEMORY
from probes.logistic import SOLVERS, decision_values, fit_heads, targets
from probes.mlp import fit_mlp, mlp_values
from probes.ridge import fit_ridge
from probes.sampling import stratified_folds

SEEDS = (13, 17)


def problem(n=400, d=24, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * np.exp(rng.normal(size=d))).astype(np.float32)
    scores = x @ rng.normal(size=(d, classes)) + 4 * rng.normal(size=(n, classes))
    labels = np.array([-7, 3, 4, 10, 11])[scores.argmax(1)]
    return x[::2], labels[::2], x[1::2], labels[1::2]


def reference(x, y, **options):
    # scikit-learn 1.5, which the harness runs, casts to float64; later versions do not.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=1000, **options).fit(x.astype(np.float64), y)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_heads_are_scikit_learns(classes):
    x, y, x_test, y_test = problem(classes=classes)
    probe = Probe(solver="geneb", strengths=(0.01, 1.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None, 10, 1], seeds=SEEDS)
    assert len(heads) == 2 * 3 * 2
    for head in heads:
        rows = slice(None) if head.shots is None else few_shot_rows(y, head.shots, head.seed)
        model = reference(x[rows], y[rows], C=head.C)
        assert abs(head.iterations - model.n_iter_[0]) <= 0.1 * model.n_iter_[0] + 1
        agree = np.mean(head.predictions == model.predict(x_test))
        assert agree >= 0.99
        assert head.MCC == pytest.approx(matthews_corrcoef(y_test, head.predictions))
        assert head.accuracy == pytest.approx(accuracy_score(y_test, head.predictions))
        assert head.macro_F1 == pytest.approx(f1_score(y_test, head.predictions, average="macro"))
        if head.shots is None:
            np.testing.assert_allclose(
                head.scores, model.decision_function(x_test), atol=0.02, rtol=0.02
            )


@pytest.mark.parametrize("classes", [2, 3])
def test_converged_is_the_optimum(classes):
    x, y, x_test, y_test = problem(classes=classes)
    probe = Probe(solver="converged", strengths=(0.1, 10.0))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(13,))
    for head in heads:
        model = reference(x, y, C=head.C, tol=1e-10, solver="newton-cholesky")
        assert head.converged
        assert head.gradient_norm <= 1e-8
        np.testing.assert_allclose(
            head.scores, model.decision_function(x_test), atol=1e-4, rtol=1e-4
        )
        assert np.mean(head.predictions == model.predict(x_test)) >= 0.999


def test_full_fit_is_reported_for_every_seed_and_runs_repeat_exactly():
    x, y, x_test, y_test = problem()
    runs = [
        evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None, 5], seeds=SEEDS)
        for _ in range(2)
    ]
    full = [head for head in runs[0] if head.shots is None]
    assert [head.seed for head in full] == list(SEEDS)
    assert full[0].objective == full[1].objective
    for a, b in zip(*runs, strict=True):
        assert (a.MCC, a.objective, a.gradient_norm) == (b.MCC, b.objective, b.gradient_norm)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_padding_to_the_ladder_changes_nothing():
    x, y, x_test, y_test = problem(n=162)  # 81 rows: padded to 96
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    model = reference(x, y)
    np.testing.assert_allclose(head.scores, model.decision_function(x_test), atol=1e-3, rtol=1e-3)


def test_fewer_rows_than_shots_and_classes_absent_from_test():
    x, y, x_test, y_test = problem(classes=3)
    kept = y_test != np.unique(y)[2]
    heads = evaluate_task(
        x[:30], y[:30], x_test[kept], y_test[kept], probes=[Probe()], shots=[1000], seeds=SEEDS
    )
    model = reference(x[:30], y[:30])
    for head in heads:
        assert np.mean(head.predictions == model.predict(x_test[kept])) >= 0.99
        expected = f1_score(y_test[kept], head.predictions, average="macro", zero_division=0)
        assert head.macro_F1 == pytest.approx(expected)


def test_constant_features_predict_the_larger_class():
    x = np.zeros((50, 4), np.float32)
    y = np.repeat([0, 1], [40, 10])
    (head,) = evaluate_task(x, y, x, y, probes=[Probe()], shots=[None], seeds=(13,))
    assert set(head.predictions.tolist()) == {0}
    assert (head.MCC, head.accuracy) == (0.0, 0.8)


def test_impossible_tasks_are_named():
    x = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match=r"class \[5\] alone"):
        evaluate_task(x, np.full(4, 5), x, np.full(4, 5), probes=[Probe()], shots=[1], seeds=(1,))
    with pytest.raises(ValueError, match=r"train lacks: \[9\]"):
        evaluate_task(
            x,
            np.array([0, 1, 0, 1]),
            x,
            np.array([0, 1, 9, 1]),
            probes=[Probe()],
            shots=[1],
            seeds=(1,),
        )


def fit_rows(head, y):
    return slice(None) if head.shots is None else few_shot_rows(y, head.shots, head.seed)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("width", [24, 300])  # fewer and more features than rows
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_ridge_is_scikit_learns(classes, width, standardised, class_weight):
    x, y, x_test, y_test = problem(classes=classes, d=width)
    probe = Probe("ridge", strengths=(0.01, 10.0), standardised=standardised,
                  class_weights=(class_weight,))  # fmt: skip
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None, 10], seeds=SEEDS)
    assert len(heads) == 2 * 2 * 2
    for head in heads:
        rows = fit_rows(head, y)
        scaler = StandardScaler(with_mean=standardised, with_std=standardised)
        weight = None if class_weight == "none" else "balanced"
        ridge = RidgeClassifier(alpha=1 / (2 * head.C), class_weight=weight, solver="svd")
        model = make_pipeline(scaler, ridge).fit(x[rows].astype(np.float64), y[rows])
        np.testing.assert_allclose(
            head.scores, model.decision_function(x_test.astype(np.float64)), atol=2e-4, rtol=2e-3
        )
        assert head.gradient_norm < 1e-9
        assert head.solver == "closed form"


@pytest.mark.parametrize("solver", ["geneb", "converged"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("shots", [None, 10])
def test_standardised_and_balanced_heads_are_scikit_learns(solver, classes, shots):
    x, y, x_test, y_test = problem(classes=classes)
    kept = np.flatnonzero((y != y.min()) | (np.arange(len(y)) % 4 == 0))  # uneven classes
    x, y = x[kept], y[kept]
    x[:, 3] = 2.5  # a constant
    probe = Probe(solver=solver, strengths=(0.1,), standardised=True, class_weights=("balanced",))
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[shots], seeds=SEEDS)
    for head in heads:
        rows = fit_rows(head, y)
        scaler = StandardScaler().fit(x[rows].astype(np.float64))
        model = reference(scaler.transform(x[rows]), y[rows], C=0.1, class_weight="balanced",
                          tol=1e-10, solver="newton-cholesky")  # fmt: skip
        expected = model.decision_function(scaler.transform(x_test.astype(np.float64)))
        close = 1e-3 if solver == "converged" else 2e-2
        np.testing.assert_allclose(head.scores, expected, atol=close, rtol=close)


@pytest.mark.parametrize(
    ("kind", "standardised"),
    [("logistic", False), ("logistic", True), ("ridge", False), ("mlp", True)],
)
def test_class_weights_together_are_those_alone(kind, standardised):
    x, y, x_test, y_test = problem(classes=3)
    probe = Probe(kind, strengths=(0.01, 1.0), standardised=standardised,
                  class_weights=("none", "balanced"))  # fmt: skip
    options = {"shots": [None, 10], "seeds": SEEDS}
    found = evaluate_task(x, y, x_test, y_test, probes=[probe], **options)
    keys = [(h.shots, h.C, h.class_weight, h.seed) for h in found]
    assert keys == list(itertools.product((None, 10), probe.strengths, probe.class_weights, SEEDS))
    together = dict(zip(keys, found, strict=True))
    for weight in probe.class_weights:
        own = replace(probe, class_weights=(weight,))
        for head in evaluate_task(x, y, x_test, y_test, probes=[own], **options):
            other = together[head.shots, head.C, weight, head.seed]
            assert head.iterations == other.iterations
            np.testing.assert_allclose(head.scores, other.scores, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("selection", ["folds", "carve"])
@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_selection_never_sees_test_labels(selection, kind):
    x, y, x_test, y_test = problem(classes=3)
    probe = Probe(kind, strengths=(1e-4, 1.0, 100.0), standardised=True,
                  class_weights=("none", "balanced"), selection=selection)  # fmt: skip
    options = {"probes": [probe], "shots": [None, 20, 1], "seeds": SEEDS}
    heads = evaluate_task(x, y, x_test, y_test, **options)
    assert {(h.shots, h.seed) for h in heads} == {(k, s) for k in (None, 20, 1) for s in SEEDS}
    assert len(heads) == 6
    shuffled = np.random.default_rng(1).permutation(y_test)
    again = {(h.shots, h.seed): h for h in evaluate_task(x, y, x_test, shuffled, **options)}
    for head in heads:
        other = again[head.shots, head.seed]
        assert (head.C, head.class_weight) == (other.C, other.class_weight)
        np.testing.assert_array_equal(head.scores, other.scores)
    assert {(h.C, h.class_weight) for h in heads if h.shots == 1} == {(1.0, "none")}


@pytest.mark.parametrize("together", [5, 2])  # folds whose heads are fitted in one program
def test_selection_takes_the_best_of_the_grid_on_held_out_rows(together, monkeypatch):
    monkeypatch.setattr(
        evaluate, "_draws_together", lambda rows, _: min(together, len(rows.weight))
    )
    x, y, x_test, y_test = problem(classes=2)
    grid = (1e-5, 1.0, 100.0)
    probe = Probe(solver="converged", strengths=grid, selection="folds")
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(13,))
    fold = stratified_folds(np.unique(y, return_inverse=True)[1], 5, 13)
    means = [
        np.mean([
            matthews_corrcoef(y[fold == i],
                              reference(x[fold != i], y[fold != i], C=C,
                                        solver="newton-cholesky").predict(x[fold == i]))
            for i in range(5)
        ])
        for C in grid
    ]  # fmt: skip
    assert grid[int(np.argmax(means))] == head.C
    model = reference(x, y, C=head.C, solver="newton-cholesky", tol=1e-10)
    np.testing.assert_allclose(head.scores, model.decision_function(x_test), atol=1e-3, rtol=1e-3)


def test_as_many_draws_are_fitted_together_as_the_state_of_their_heads_allows(monkeypatch):
    shapes = (800, 99), (800, 2), (25, 800), (25, 800)
    rows = evaluate.Rows(*map(np.zeros, shapes), np.zeros(25))
    of_a_draw = 2 * 6 * 2 * MEMORY * 2 * 100 * 8  # 6 strengths, 2 x 100 parameters, two copies
    for room, together in ((100, 25), (25, 25), (24, 13), (9, 9), (8, 7), (1, 1), (0.5, 1)):
        monkeypatch.setattr(evaluate, "_STATE_BYTES", int(room * of_a_draw))
        assert evaluate._draws_together(rows, 6) == together


def test_areas_stand_where_there_are_two_classes():
    x, y, x_test, y_test = problem(classes=2)
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    truth = y_test == y.max()
    assert head.AUROC == pytest.approx(roc_auc_score(truth, head.scores))
    assert head.AUPRC == pytest.approx(average_precision_score(truth, head.scores))
    x, y, x_test, y_test = problem(classes=3)
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[Probe()], shots=[None], seeds=(13,))
    assert np.isnan(head.AUROC)
    assert np.isnan(head.AUPRC)


@pytest.mark.parametrize("shape", [(64, 16), (16, 64)])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_fits_export_for_every_platform(shape, standardised, platform):
    x = jax.ShapeDtypeStruct(shape, np.float32)
    y, weight = (jax.ShapeDtypeStruct(s, np.float32) for s in ((shape[0], 3), (2, shape[0])))
    strength = jax.ShapeDtypeStruct((4,), np.float32)
    own_x, own_y = (jax.ShapeDtypeStruct((2, *a.shape), a.dtype) for a in (x, y))
    fits = [functools.partial(fit_heads, solver=solver) for solver in SOLVERS]
    shared, own = (x, y), (own_x, own_y)
    for fit, rows in (*((fit, shared) for fit in fits), (fit_ridge, shared), (fit_ridge, own)):
        call = jax.jit(functools.partial(fit, standardised=standardised))
        exported = jax.export.export(call, platforms=[platform])(*rows, weight, strength)
        assert exported.platforms == (platform,)


def test_mlps_export_for_every_platform():
    platforms = ("cpu", "cuda", "tpu")
    shapes = ((64, 16), (64, 3), (2, 64), (2, 8), (4,), (2,))
    dtypes = (np.float32, np.float32, np.float32, np.int32, np.float32, np.uint32)
    arguments = [jax.ShapeDtypeStruct(*own) for own in zip(shapes, dtypes, strict=True)]
    call = jax.jit(functools.partial(fit_mlp, standardised=True))
    exported = jax.export.export(call, platforms=platforms)(*arguments)
    assert exported.platforms == platforms
    network = jax.eval_shape(call, *arguments).network
    assert network.w1.shape == (4, 2, 16, 256)
    exported = jax.export.export(mlp_values, platforms=platforms)(arguments[0], network)
    assert exported.out_avals[0].shape == (4, 2, 64, 3)


def test_an_mlp_is_the_same_alone_and_among_others_that_stop_before_it():
    x, y, _, _ = xor_problem(600)
    seeds = np.arange(6, dtype=np.uint32)
    weight = np.ones((6, len(x)), np.float32)
    held_out = np.tile(np.arange(30, dtype=np.int32), (6, 1))
    strength = np.array([1.0], np.float32)
    fit = functools.partial(fit_mlp, x, y[:, None].astype(np.float32))
    together = fit(weight, held_out, strength, seeds)
    epochs = together.epochs[0].tolist()
    assert len(set(epochs)) > 2
    for i in (int(np.argmin(epochs)), int(np.argmax(epochs))):
        alone = fit(weight[:1], held_out[:1], strength, seeds[i : i + 1])
        assert alone.epochs[0, 0] == epochs[i]
        np.testing.assert_allclose(alone.objective[0, 0], together.objective[0, i], rtol=1e-4)
        np.testing.assert_allclose(alone.network.w1[0, 0], together.network.w1[0, i], atol=1e-4)


@pytest.mark.parametrize(
    ("solver", "shape", "standardised"),
    [
        ("geneb", (600, 24, 4), False),  # more rows than features
        ("geneb", (200, 260, 2), True),  # fewer
        ("converged", (600, 24, 4), True),
        ("converged", (200, 260, 2), True),
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
        fit = functools.partial(fit_heads, x, t, solver=solver, standardised=standardised)
        together = fit(weight, strength)
        ends = [fit(own[None], strength) for own in weight]
        alone = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *ends)
        found = [decision_values(x, end.x.astype(np.float64)) for end in (together, alone)]
    np.testing.assert_allclose(together.f, alone.f, rtol=1e-6)
    close = 1e-2 if solver == "geneb" else 1e-6
    for some, own in zip(*found, strict=True):
        np.testing.assert_allclose(some, own, atol=close * np.abs(own).max())
    if solver == "geneb" and not standardised:
        np.testing.assert_array_equal(together.iterations, alone.iterations)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 5])
def test_a_compiled_fit_needs_less_than_three_times_the_memory_of_its_features(solver, classes):
    rows, width = 32768, 256
    with jax.enable_x64(True):
        shapes = [(rows, classes if classes > 2 else 1), (1, rows), (5,)]
        arrays = [jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes]
        x = jax.ShapeDtypeStruct((rows, width), np.float32)
        compiled = fit_heads.lower(x, *arrays, solver=solver).compile()
    memory = compiled.memory_analysis()
    used = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    assert used <= 3 * rows * width * 4


def xor_problem(n=4000, seed=0):
    """Two classes that no line separates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=n) > 0).astype(int)
    return x[::2], y[::2], x[1::2], y[1::2]


def test_mlp_learns_what_scikit_learns_does_and_a_line_cannot():
    x, y, x_test, y_test = xor_problem()
    options = {"shots": [None], "seeds": (13, 17, 42)}
    heads = evaluate_task(x, y, x_test, y_test, probes=[Probe("mlp"), Probe()], **options)
    mlp, linear = ([h.MCC for h in heads if h.probe == kind] for kind in ("mlp", "logistic"))
    assert len(mlp) == 3
    assert len(set(mlp)) > 1  # seeds count
    theirs = [
        matthews_corrcoef(y_test, MLPClassifier((256,), early_stopping=True, random_state=seed)
                          .fit(x, y).predict(x_test))
        for seed in (13, 17, 42)
    ]  # fmt: skip
    assert max(linear) < 0.2
    assert np.mean(mlp) > 0.7
    assert np.mean(mlp) == pytest.approx(np.mean(theirs), abs=0.08)


def test_mlp_in_few_shot_with_strengths_and_three_classes():
    x, y, x_test, y_test = problem(classes=3)
    probe = Probe("mlp", strengths=(0.001, 1.0), standardised=True)
    options = {"probes": [probe], "shots": [20, 1], "seeds": SEEDS}
    heads = evaluate_task(x, y, x_test, y_test, **options)
    assert len(heads) == 2 * 2 * 2
    assert all(np.isfinite(h.scores).all() and h.iterations > 1 for h in heads)
    theirs = []
    for seed in SEEDS:
        rows = few_shot_rows(y, 20, seed)
        network = MLPClassifier((256,), random_state=seed)
        model = make_pipeline(StandardScaler(), network)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[rows], y[rows])
        theirs.append(matthews_corrcoef(y_test, model.predict(x_test)))
    ours = [h.MCC for h in heads if h.shots == 20 and h.C == 1.0]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.1)
    again = evaluate_task(x, y, x_test, y_test, **options)
    assert [h.MCC for h in heads] == [h.MCC for h in again]
