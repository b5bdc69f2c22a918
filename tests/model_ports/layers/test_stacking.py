import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from model_ports.layers.stacking import interleaved, scan_mixed, stack_layers


class Scale(nnx.Module):
    def __init__(self, rngs):
        self.factor = nnx.Param(jax.random.uniform(rngs.params(), (3,)))


class Shift(nnx.Module):
    def __init__(self, rngs):
        self.summand = nnx.Param(jax.random.uniform(rngs.params(), (3,)))


def test_layers_of_several_kinds_run_in_their_order():
    """Against a loop: hidden states of two arrays, a setting a layer, and states in any order."""
    scales = stack_layers(Scale, 2, nnx.Rngs(0))
    shifts = stack_layers(Shift, 3, nnx.Rngs(1))
    order = interleaved((1, 3), (0, 2, 4))
    assert order == ((1, 0), (0, 0), (1, 1), (0, 1), (1, 2))
    settings = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])

    def apply(layer, both, setting):
        x, _ = both
        new = (
            x * layer.factor[...] if isinstance(layer, Scale) else x + setting * layer.summand[...]
        )
        return new, new - x

    x = jnp.arange(6.0).reshape(2, 3)
    expected, state = {0: (x, x)}, (x, x)
    for layer, (kind, index) in enumerate(order):
        if kind == 0:
            new = state[0] * scales.factor[...][index]
        else:
            new = state[0] + settings[layer] * shifts.summand[...][index]
        state = new, new - state[0]
        expected[layer + 1] = state
    last, states = scan_mixed((scales, shifts), order, (x, x), apply, (4, -1, 0, 2, 4), (settings,))
    assert set(states) == {0, 2, 4}
    for tap, both in {**states, 5: last}.items():
        for found, wanted in zip(both, expected[tap], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    _, none = scan_mixed((scales, shifts), order, (x, x), apply, (-1,), (settings,))
    assert none == {}
