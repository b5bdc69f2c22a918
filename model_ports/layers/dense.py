"""Linear layers, embedding tables, layer norms and activations as PyTorch has them."""

from collections.abc import Callable, Mapping

import jax
from flax import nnx
from jax import Array

# `gelu` is the exact one (erf), as in PyTorch; `gelu_new` and `gelu_fast` are its tanh form.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_fast": lambda x: jax.nn.gelu(x, approximate=True),
}


def linear(
    features_in: int, features_out: int, *, rngs: nnx.Rngs, bias: bool = True, std: float = 0.02
) -> nnx.Linear:
    """A linear layer; random weights are normal with standard deviation `std`."""
    init = nnx.initializers.normal(std)
    return nnx.Linear(features_in, features_out, use_bias=bias, kernel_init=init, rngs=rngs)


def embed(rows: int, features: int, *, rngs: nnx.Rngs, std: float = 0.02) -> nnx.Embed:
    """An embedding table; random weights are normal with standard deviation `std`."""
    table = nnx.Embed(rows, features, embedding_init=nnx.initializers.normal(std), rngs=rngs)
    table.dtype = None  # that of the weights, not the one they had here
    return table


def layer_norm(features: int, epsilon: float, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """PyTorch's LayerNorm: biased variance of the centred values, which float32 needs."""
    return nnx.LayerNorm(features, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
