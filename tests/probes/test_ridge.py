import functools

import jax
import numpy as np
import pytest
from probe_problems import SEEDS, fit_rows, problem
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import Probe, evaluate_task
from probes.ridge import fit_ridge


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


@pytest.mark.parametrize("shape", [(64, 16), (16, 64)])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_fits_export_for_every_platform(shape, standardised, platform):
    x = jax.ShapeDtypeStruct(shape, np.float32)
    y, weight = (jax.ShapeDtypeStruct(s, np.float32) for s in ((shape[0], 3), (2, shape[0])))
    strength = jax.ShapeDtypeStruct((4,), np.float32)
    of_draws = [jax.ShapeDtypeStruct((2, *a.shape), a.dtype) for a in (x, y)]
    for rows in ((x, y), of_draws):
        call = jax.jit(functools.partial(fit_ridge, standardised=standardised))
        exported = jax.export.export(call, platforms=[platform])(*rows, weight, strength)
        assert exported.platforms == (platform,)
