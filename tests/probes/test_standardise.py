import jax
import jax.numpy as jnp
import numpy as np
from sklearn.preprocessing import StandardScaler

from probes.standardise import fold_into_head, standardise, standardise_draws


def made_rows():
    rng = np.random.default_rng(0)
    x = (5 + rng.normal(size=(16, 4)) * [1, 10, 0.1, 3]).astype(np.float32)
    x[:, 2] = 2.5  # a constant
    return x, (np.arange(16) < [[12], [9]]) * np.array([[1.0], [3.0]])


def test_features_are_standardised_as_scikit_learn_does():
    x, weight = made_rows()
    scaler = StandardScaler().fit(x[:12].astype(np.float64))
    with jax.enable_x64(True):
        features, mean, deviation = standardise(
            jnp.asarray(x), jnp.asarray(weight[0]), np.dtype("float64")
        )
        assert features.dtype == np.float32
        np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(deviation, scaler.scale_, rtol=1e-6)
        np.testing.assert_allclose(features[:12], scaler.transform(x[:12]), atol=1e-6)
        assert not features[12:].any()

        features, shared, of_draws = standardise_draws(
            jnp.asarray(x), jnp.asarray(weight), np.dtype("float64")
        )
        scaler = StandardScaler().fit(x[:9].astype(np.float64))
        again = (np.asarray(features, np.float64)[:9] - of_draws[0][1]) / of_draws[1][1]
        np.testing.assert_allclose(again, scaler.transform(x[:9]), atol=1e-5)

        head = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 3)))
        folded = head
        for scaling in (of_draws, shared):
            folded = fold_into_head(folded, *scaling)
        np.testing.assert_allclose(
            x[:9] @ folded[1, :-1] + folded[1, -1], again @ head[1, :-1] + head[1, -1], atol=1e-5
        )
