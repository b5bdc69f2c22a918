import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import log_loss

from probes.loss import row_loss, targets


def test_targets_are_an_indicator_or_one_hot_rows():
    assert targets(np.array([0, 1, 1]), 2).tolist() == [[0], [1], [1]]
    assert targets(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_losses_are_scikit_learns_and_slopes_their_derivatives():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 40)
    with jax.enable_x64(True):
        for count in (2, 3):
            y = jnp.asarray(targets(classes % count, count))
            z = jnp.asarray(4 * rng.normal(size=y.shape))
            loss, slope = row_loss(z, y)
            odds = jnp.concatenate([jnp.zeros_like(z), z], axis=1) if count == 2 else z
            chance = np.asarray(jax.nn.softmax(odds))
            expected = log_loss(classes % count, chance, normalize=False)
            np.testing.assert_allclose(loss.sum(), expected, rtol=1e-9)
            derivative = jax.grad(lambda z, y=y: row_loss(z, y)[0].sum())(z)
            np.testing.assert_allclose(slope, derivative, atol=1e-12)
            across, _ = row_loss(z.T, y.T, axis=0)
            np.testing.assert_allclose(across, loss, rtol=1e-12)
