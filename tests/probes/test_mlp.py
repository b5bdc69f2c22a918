import functools
import warnings

import jax
import numpy as np
import pytest
from probe_problems import SEEDS, problem, xor_problem
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    matthews_corrcoef,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import Probe, evaluate_task, few_shot_rows
from probes.mlp import fit_mlp, mlp_values


def test_mlps_export_for_every_platform():
    platforms = ("cpu", "cuda", "tpu")
    shapes = ((64, 16), (64, 3), (2, 64), (2, 8), (4,), (2,))
    dtypes = (np.float32, np.float32, np.float32, np.int32, np.float32, np.uint32)
    arguments = [jax.ShapeDtypeStruct(*pair) for pair in zip(shapes, dtypes, strict=True)]
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
